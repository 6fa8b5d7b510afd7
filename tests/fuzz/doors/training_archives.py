"""Zip and tar archives with FER2013's CSV or with images, links and archives in them."""

from __future__ import annotations

import io
import tarfile
import tempfile
from functools import cache
from pathlib import Path

from tests.fuzz.door import Door
from tests.support import faces
from trainer.data.loader import load_dataset

DATA = faces.tiny(training=1, public=1, private=0)


@cache
def folder() -> Path:
    return Path(tempfile.mkdtemp())


def seeds() -> list[bytes]:
    images = {name: data for name, data in faces.kaggle_files(DATA).items() if "/happy/" in name or "/sad/" in name}
    table = {"a/fer2013.csv": "\n".join(faces.csv_lines(DATA)[:3]).encode()}
    packed = [write("t.tar.gz", images), write("t.tar.xz", table), write("t.tar.bz2", images)]
    return [
        *packed,
        write("t.tar", images, links=True),
        write("t.tar", table),
        faces.write_zip(folder() / "seed.zip", images | {"readme.txt": b"x"}).read_bytes(),
        faces.write_zip(folder() / "seed.zip", table).read_bytes(),
        faces.write_zip(folder() / "seed.zip", {"fer2013.tar.gz": packed[0]}).read_bytes(),
    ]


def write(name: str, files: dict[str, bytes], *, links: bool = False) -> bytes:
    path: Path = faces.write_tar(folder() / name, files)
    if links:
        with tarfile.open(path, "a") as archive:
            for kind, target in ((tarfile.SYMTYPE, "gone.png"), (tarfile.LNKTYPE, next(iter(files)))):
                link = tarfile.TarInfo("train/happy/link.png")
                link.type, link.linkname = kind, target
                archive.addfile(link)
            sparse = tarfile.TarInfo("train/happy/sparse.png")
            sparse.pax_headers = {"GNU.sparse.realsize": "99999999999", "GNU.sparse.map": "0,0"}
            archive.addfile(sparse, io.BytesIO())
    return path.read_bytes()


def receive(content: bytes) -> None:
    path = folder() / ("data.zip" if content.startswith(b"PK") else "data.tar")
    path.write_bytes(content)
    load_dataset(path, skip_invalid=len(content) % 2 == 0)


DOOR = Door(
    seeds,
    receive,
    tokens=(
        *(b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"\x0e\0", b"ustar\0", b"ustar  \0", b"../", b"\0" * 512),
        *(b"x\0", b"g\0", b"L\0", b"S\0", b"7777777777\0", b"\x80\0\0\0\xff\xff\xff\xff", b"-0000001\0", b"\xff"),
        *(b"25 GNU.sparse.map=0,9999\n", b"30 size=99999999999999999999\n", b"9 path=\n", b"22 mtime=1e99\n"),
    ),
    test_inputs=150,
    campaign_inputs=20_000,
)
