"""Files that are whole or not there: written aside, then renamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge.errors import EmotionEdgeError, FileError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a path beside `path`, with the same ending, to write to; it replaces `path` when the block is done.

    After an error, or when the process is killed, `path` is what it was before. Raises FileError when writing fails.
    """
    aside = path.with_name(f".part.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        aside.replace(path)
    except EmotionEdgeError:
        raise
    except OSError as error:
        raise FileError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):  # there is none, or there cannot be one: the error above has said so
            aside.unlink()


def atomic_write(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all. Raises FileError."""
    with whole(path) as aside:
        aside.write_bytes(content)
