"""Writes files atomically: to a temporary file in the same folder, which then replaces the old file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge.errors import EmotionEdgeError, FileError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path with the suffix of `path`; the file written there replaces `path` after the block.

    After an error, or if the process is killed, `path` is unchanged. Raises FileError if it cannot be written.
    """
    temporary = path.with_name(f".part.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except EmotionEdgeError:
        raise
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):  # it does not exist: it has replaced `path`, or an error was raised above
            temporary.unlink()


def atomic_write(path: Path, content: bytes) -> None:
    """Replace the file at `path` by one with `content`, or leave it unchanged. Raises FileError."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
