"""Damaged archives are errors, whatever is damaged."""

import tarfile
import zipfile

import pytest

from tests.support import faces
from tests.trainer.data.formats import CSV, FORMATS, KAGGLE, TINY
from trainer.data import archive as archive_module
from trainer.data import image_decoding
from trainer.data.loader import load_dataset

KAGGLE_IMAGE = next(iter(KAGGLE.values()))


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


@pytest.mark.parametrize("target", ["gone.png", "link.png"], ids=["nowhere", "itself"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE], ids=["symbolic", "hard"])
def test_tar_link_without_a_target_is_named_or_skipped(kind, target, load_error, tmp_path):
    path = faces.write_tar(tmp_path / "a.tar", KAGGLE)
    link = tarfile.TarInfo("train/sad/link.png")
    link.type, link.linkname = kind, f"train/sad/{target}" if kind == tarfile.LNKTYPE else target
    with tarfile.open(path, "a") as archive:
        archive.addfile(link)
    assert load_error(path).startswith(f"{path}/train/sad/link.png: cannot be read (the link leads nowhere)")
    found = load_dataset(path, skip_invalid=True)
    assert found.skipped == 1
    assert faces.content(found) == faces.content(TINY)


def test_tar_links_to_images_are_followed(tmp_path):
    path = faces.write_tar(tmp_path / "a.tar", {"happy/1.png": KAGGLE_IMAGE, "sad/1.png": KAGGLE_IMAGE})
    link = tarfile.TarInfo("sad/2.png")
    link.type, link.linkname = tarfile.SYMTYPE, "1.png"
    with tarfile.open(path, "a") as archive:
        archive.addfile(link)
    assert load_dataset(path).counts() == {"happy": 1, "sad": 2}


def test_zip_with_another_compression_is_refused(load_error, tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("fer2013.csv", CSV["fer2013.csv"])
    assert "unpack the archive" in load_error(path)


def test_too_large_image_in_an_archive_is_named_or_skipped(load_error, tmp_path, monkeypatch):
    monkeypatch.setattr(image_decoding, "MAX_IMAGE_BYTES", 10_000)
    path = faces.write_zip(tmp_path / "a.zip", KAGGLE | {"train/sad/large.png": bytes(20_000)})
    assert load_error(path).startswith(f"{path}/train/sad/large.png: has more than ")
    assert load_dataset(path, skip_invalid=True).skipped == 1


def test_tar_that_unpacks_to_more_than_the_limit_is_refused(load_error, tmp_path, monkeypatch):
    monkeypatch.setattr(archive_module, "MAX_UNPACKED_BYTES", 100_000)
    path = faces.write_tar(tmp_path / "a.tar.gz", {"zeros.bin": bytes(200_000)} | KAGGLE)
    assert "unpacks to more than is read" in load_error(path)


@pytest.mark.parametrize("write", [faces.write_zip, faces.write_tar])
@pytest.mark.parametrize("prefix", ["/", "//srv/data/", "../", "../../faces/"])
def test_members_that_lead_out_of_the_archive_are_read(prefix, write, load_error, tmp_path):
    path = write(tmp_path / "archive", {f"{prefix}{name}": content for name, content in KAGGLE.items()})
    path = path.rename(path.with_suffix(".zip" if write is faces.write_zip else ".tar"))
    assert faces.content(load_dataset(path)) == faces.content(TINY)


@pytest.mark.parametrize("write", [faces.write_zip, faces.write_tar])
def test_error_in_an_absolute_member_names_the_archive(write, load_error, tmp_path):
    path = write(tmp_path / "archive", {"/faces/happy/1.png": KAGGLE_IMAGE, "/faces/sad/1.png": b"damaged"})
    path = path.rename(path.with_suffix(".zip" if write is faces.write_zip else ".tar"))
    assert load_error(path).startswith(f"{path}/faces/sad/1.png: cannot be decoded")
