"""Damaged archives are errors, whatever is damaged."""

import zipfile

import pytest

from tests.support import faces
from tests.trainer.data.formats import CSV, FORMATS, KAGGLE, TINY
from trainer.data.loader import load_dataset


def test_mac_resource_files_in_a_zip_are_ignored(tmp_path):
    resources = {f"__MACOSX/{name.replace('PublicTest', '._PublicTest')}": b"junk" for name in KAGGLE}
    path = faces.write_zip(tmp_path / "mac.zip", KAGGLE | resources)
    assert faces.content(load_dataset(path)) == faces.content(TINY)


@pytest.mark.parametrize("fraction", [0, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("name", ["zip", "tar.gz", "tar", "kaggle-zip", "kaggle-tar.gz"])
def test_truncated_archive_is_an_error(name, fraction, load_error, tmp_path):
    path = FORMATS[name](tmp_path)
    content = path.read_bytes()
    # A tar ends with up to 10 KB of zeros, which carry no data.
    path.write_bytes(content[: int(len(content.rstrip(b"\0")) * fraction)])
    message = load_error(path)
    assert message.startswith(f"{path}: ")
    assert "damaged" in message


def test_tar_truncated_between_two_images_is_an_error(load_error, tmp_path):
    path = faces.write_tar(tmp_path / "a.tar", KAGGLE)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"test/angry/")])
    assert "no end mark" in load_error(path)


def test_zip_checksum_is_verified(load_error, tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:  # stored, so that the row stays readable
        archive.writestr("fer2013.csv", CSV["fer2013.csv"])
    path.write_bytes(path.read_bytes().replace(b" 100 ", b" 101 ", 1))
    assert "CRC-32" in load_error(path)


def test_encrypted_zip_is_an_error(load_error, tmp_path):
    path = faces.write_zip(tmp_path / "a.zip", {"fer2013.csv": b"x"})
    content = path.read_bytes()
    # Bit 0 of the flags, at 6 of the member's header and 8 of the directory's entry, means "encrypted".
    flags = content.index(b"PK\x01\x02") + 8
    path.write_bytes(content[:6] + b"\x01" + content[7:flags] + b"\x01" + content[flags + 1 :])
    assert "encrypted" in load_error(path)
