"""A bundle that somebody else has made, whose checksums are right: its manifest, its model, its unit, and a link."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from edge.errors import EmotionEdgeError
from tests.fuzz.door import Door
from tests.support.board import INSTALLER, TARGET, Board, bundle, fake_programs, seal, unit
from tests.support.hostile_text import TOKENS, check_harmless

TIMEOUT_SECONDS = 1000  # long, since a campaign runs behind all other processes
SEPARATOR = b"\n====\n"


@cache
def kept() -> Board:
    """Return a board on which release 1 runs. It is kept in the folder `kept` beside it, too."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-bundle-"))
    board = Board(folder / "board", fake_programs(folder / "tools"))
    result = board.install(bundle(folder, "1"))
    assert result.returncode == 0, result.stdout
    shutil.copytree(board.root, folder / "kept", symlinks=True)
    return board


def receive(content: bytes) -> None:
    """Install a bundle of the parts of `content` on a board on which release 1 runs."""
    board = kept()
    folder = board.root.parent
    for old in (board.root, folder / "new"):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(folder / "kept", board.root, symlinks=True)
    before = outside_of_releases(board)
    result = subprocess.run(
        ["bash", INSTALLER, "--health-check", "0", "install", make(folder / "new", content)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT_SECONDS,
        check=False,
        env=board.environment,
    )
    check_harmless(result)
    assert board.current, "no release is current"
    assert board.is_complete(board.current), "the current release is not complete"
    assert outside_of_releases(board) <= before, "it wrote elsewhere"
    if result.returncode:
        assert board.current == "1", "a refused release is current"
        raise EmotionEdgeError("not installed")


def make(folder: Path, content: bytes) -> Path:
    """Return an unpacked bundle of the parts of `content`."""
    manifest, model, unit_file, link, *_ = [*content.split(SEPARATOR), b"", b"", b"", b""]
    link = link[:200]
    place = bundle(folder, "2")
    (place / "manifest").write_bytes(manifest)
    (place / "model.tflite").write_bytes(model)
    (place / "systemd" / "emotion-edge.service").write_bytes(unit_file)
    if link:
        with contextlib.suppress(OSError, ValueError):  # no name of a file
            (place / "wheelhouse" / os.fsdecode(link.replace(b"/", b"_")[:100])).symlink_to(os.fsdecode(link))
    return seal(place)


def outside_of_releases(board: Board) -> set[str]:
    """Return the files that an installation may replace, but not add to; without the service manager's."""
    paths = {str(path.relative_to(board.root)) for path in board.root.rglob("*")}
    return {path for path in paths if not path.startswith(("opt/emotion-edge/releases/", "manager"))}


def seeds() -> list[bytes]:
    manifest = f"release=2\nversion=2\ntarget={TARGET}\ninstalled_bytes=1000\n".encode()
    good = [manifest, b"good calm runs\n", unit("2").encode(), b""]
    return [SEPARATOR.join(good), SEPARATOR.join([*good[:3], b"/etc/shadow"])]


DOOR = Door(seeds, receive, tokens=TOKENS, test_inputs=10, campaign_inputs=500)
