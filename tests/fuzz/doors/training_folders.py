"""Folders of a data set: a line of the input is the path of a file, whose content depends on its place."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from tests.fuzz.door import Door
from tests.support import faces
from trainer.data.loader import load_dataset

IMAGE = faces.encode(faces.tiny(training=1, public=0, private=0).faces[0])
LINK = b" -> "


@cache
def top() -> Path:
    return Path(tempfile.mkdtemp())


def seeds() -> list[bytes]:
    return [
        b"happy/1.png\nsad/1.png\nsad/anna/2.png\nreadme.txt",
        b"train/happy/1.png\ntrain/sad/1.png\ntest_set/happy/a\ntest_set/sad/b.gif\n@eaDir/x.jpg",
        b"happy/1.png\nelsewhere/2.png\nsad -> elsewhere\nhappy/link.png -> 1.png",
        b"all/happy/train/1.png\nall/happy/dev/1.png\nall/sad/train/1.png\nall/sad/dev/1.png",
    ]


def receive(content: bytes) -> None:
    shutil.rmtree(top(), ignore_errors=True)
    top().mkdir()
    for number, line in enumerate(content.split(b"\n")[:20]):
        name, _, target = (os.fsdecode(part.strip(b"\0")) for part in line.partition(LINK))
        path = Path(os.path.normpath("/" + name.lstrip("/")))  # .. cannot lead out of the folder
        path = top() / path.relative_to("/")
        with suppress(OSError, ValueError, RecursionError):  # no file name of the system, or it is there already
            path.parent.mkdir(parents=True, exist_ok=True)
            if target:
                path.symlink_to(target if ".." in target else target.lstrip("/"))
            else:
                path.write_bytes((IMAGE, IMAGE, IMAGE, b"text")[number % 4])
    load_dataset(top(), skip_invalid=len(content) % 2 == 0)


DOOR = Door(
    seeds,
    receive,
    tokens=(
        *(
            b"/",
            b"\n",
            b" -> ",
            b" -> ..",
            b" -> .",
            b"\xff",
            b"\xe2\x80\xae",
            b"\x1b[2J",
            b"happy/",
            b"train/",
            b"val/",
        ),
        *(b"\0", b".png", b".heic", b"a" * 70, b"\nfer2013.csv", b"\nfer2013.tar.gz", b".hidden/", b"neutral/1.png\n"),
    ),
    test_inputs=150,
    campaign_inputs=30_000,
)
