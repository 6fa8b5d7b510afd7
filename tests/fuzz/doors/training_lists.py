"""Lists of labels in published data sets: the first line of the input names the list, the rest is its content."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from tests.fuzz.door import Door
from tests.support import faces
from tests.trainer.data import published
from trainer.data.loader import load_dataset

MAX_LINES = 20  # each may be one more image to decode
# Files of a data set, and the list among them that the input replaces.
SETS = {
    b"rafdb": (published.rafdb((1, 7)), "basic/EmoLabel/list_patition_label.txt"),
    b"expw": (published.expw((0, 3)), "label/label.lst"),
    b"affectnet": (published.affectnet_files((0, 1)), "train_set/annotations/0_exp.npy"),
    b"affectnet-lists": (published.affectnet_lists((0, 1)), "Manually_Annotated_file_lists/training.csv"),
}


@cache
def folder(name: bytes) -> Path:
    created = Path(tempfile.mkdtemp())
    faces.write_folder(created, SETS[name][0])
    return created


def seeds() -> list[bytes]:
    return [name + b"\n" + files[path] for name, (files, path) in SETS.items()]


def receive(content: bytes) -> None:
    name, *lines = content.split(b"\n")
    if name in SETS:
        (folder(name) / SETS[name][1]).write_bytes(b"\n".join(lines[:MAX_LINES]))
        load_dataset(folder(name), data_format=name.partition(b"-")[0].decode(), skip_invalid=len(content) % 2 == 0)


DOOR = Door(
    seeds,
    receive,
    tokens=(
        *(b"\n", b" ", b"\0", b"-", b"-1", b"inf", b"nan", b"1e300", b"9" * 5000, b"\xff", b"\xe2\x80\xae", b"\x1b[2J"),
        *(b'"', b",", b"../", "\u0665".encode(), b"'descr': '|O'", b"(99999999999,)", b"train_00001.jpg 1\n"),
    ),
    test_inputs=100,
)
