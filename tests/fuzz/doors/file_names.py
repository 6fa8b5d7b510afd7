"""File names: of sources, of what sinks write, and of models and cascades, for files of every kind.

An input is a name. In an empty folder, its length decides what has the name: an image, text, a video, a folder with an
image, a FIFO, a link to one of them, to nothing or to itself, or nothing at all.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from edge.capture import registry as cameras
from edge.capture.file import read_files
from edge.capture.file_list import ListedFile, SourceFiles, list_files
from edge.errors import EmotionEdgeError
from edge.sinks import registry as sinks
from edge.system.log import PlainFormatter
from edge.system.paths import MAX_PATH_BYTES, display_name, expand_path, file_problem
from edge.types import RunInfo
from tests.fuzz.door import Door
from tests.support.fakes import face_result, frame_result

IMAGE = cv2.imencode(".png", np.full((8, 8), 128, np.uint8))[1].tobytes()
SHORT_NAME_CHARACTERS = 3  # below which the name would be one that the system has: `~`, `.`, `..`


@cache
def top() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fuzz-names-"))
    os.environ["HOME"] = str(folder / "home")  # what `~` is
    logging.disable()  # names of files that are left out
    return folder


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "1.png").write_bytes(IMAGE)


def make_link(path: Path, target: str) -> None:
    (path.parent / "other.png").write_bytes(IMAGE)
    path.symlink_to(target)


KINDS: tuple[Callable[[Path], object], ...] = (
    lambda path: path.write_bytes(IMAGE),
    lambda path: path.write_text('{"time": 0.0, "frame": 0, "faces": []}\nhalf'),
    lambda path: path.write_bytes(b"RIFF....AVI LIST"),
    make_folder,
    os.mkfifo,
    lambda path: make_link(path, "other.png"),
    lambda path: make_link(path, "gone.png"),
    lambda path: make_link(path, path.name),
    lambda path: make_link(path, "."),
    lambda _: None,
)


def receive(content: bytes) -> None:
    """Read from and write to the name; raise what the program says if it could not be read."""
    place = top() / "work"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    os.chdir(place)
    name = os.fsdecode(content)
    with suppress(OSError, ValueError, RecursionError):  # no file has such a name
        path = place / name
        fits = len(name) >= SHORT_NAME_CHARACTERS and len(content) <= MAX_PATH_BYTES
        if fits and path.resolve().parent.is_relative_to(place):
            path.parent.mkdir(parents=True, exist_ok=True)
            KINDS[len(content) % len(KINDS)](path)
    before = contents(place)
    problem = attempt(lambda: read(name))
    attempt(lambda: file_problem(expand_path(name)))
    files = listed(name)
    for spec in (f"jsonl:{name}", f"video:{name}", f"video:{name}.png", f"csv:{name}.csv", f"daylog:{name}"):
        if is_inside(spec.partition(":")[2], place):
            attempt(lambda spec=spec: write(spec, files))  # type: ignore[misc]
    for path, old in before.items():
        assert path.is_symlink() or path.read_bytes().startswith(old[:40]), f"{path!a} was overwritten"
        assert old.endswith(b"half") or path.is_symlink() or path.read_bytes() == old, f"{path!a} was changed"
    if problem:
        raise problem


def attempt(action: Callable[[], object]) -> EmotionEdgeError | None:
    """Return the error that `action` raised, or None. The error must be one printable line."""
    try:
        action()
    except EmotionEdgeError as error:
        record = logging.LogRecord("edge", logging.ERROR, "", 0, "edge: error: %s", (error,), None)
        line = PlainFormatter().format(record)
        assert line.isprintable(), line
        return error
    return None


def listed(name: str) -> list[ListedFile]:
    files: list[ListedFile] = []
    attempt(lambda: files.extend(list_files([name])))
    return files


def read(name: str) -> None:
    camera, _ = cameras.parse(name)
    if camera == "file":
        files = list_files([name])
        assert all(file.name.isprintable() for file in files)
        display_name(name).encode()
        for _ in islice(read_files(files[:3], []), 3):
            pass


def write(spec: str, files: list[ListedFile]) -> None:
    """Write one result to the sink of `spec`, in a run over `files`."""
    is_live = spec.startswith("daylog:")
    run = RunInfo(live=is_live, is_source=SourceFiles(files), stopped=lambda: True)
    with sinks.find(spec)(run) as sink:
        sink.write(frame_result(face_result(), source_name="" if is_live else "a.png"))


def is_inside(target: str, place: Path) -> bool:
    """Return whether a sink may try to write to `target`: neither name nor links may lead out of the folder."""
    if "\0" in target:
        return True
    try:
        return expand_path(target).resolve().is_relative_to(place)
    except (EmotionEdgeError, OSError, RuntimeError):
        return False


def contents(folder: Path) -> dict[Path, bytes]:
    """Return the content of each regular file in `folder`."""
    paths = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
    return {path: path.read_bytes() for path in paths if path.is_file() and not path.is_symlink()}


DOOR = Door(
    lambda: [
        *(b"a.png", b"clip.mp4", b"folder", b"12:30:00.mp4", b"~tmp.jpg", b"caf\xe9.jpg", b"caf\xe9.mp4", b"log.jsonl"),
        *(b"a/b/c.avi", b"*.png", b"file:x.png", b"./-.png", b"usb:1", b"photos/**", b"with space.webm"),
    ],
    receive,
    tokens=(
        *(b"\0", b"\n", b"\r", b"\x1b[2J", b"\xc2\x9b2J", b"\xe2\x80\xae", b"\xff", b"\xed\xa0\x80", b":", b"~", b"~/"),
        *(
            b"/",
            b"//",
            b"../",
            b"./",
            b"*",
            b"**",
            b"?",
            b"[",
            b"]",
            b"[!",
            b"{",
            b"%d",
            b"%s",
            b"%05d",
            b"$HOME",
            b"`",
        ),
        *(
            b"a" * 256,
            b"b/" * 3000,
            b".png",
            b".mp4",
            b".jsonl",
            b".avi",
            b".webm",
            b".py",
            b",days=1",
            b"http://",
            b"-",
        ),
        *(b"concat:", b"pipe:0", b"|", b"\\", b"'", b'"', b" ", b"#", b".part.00000000."),
    ),
    campaign_inputs=40_000,
)
