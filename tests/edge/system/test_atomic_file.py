"""A file is whole or what it was before, whatever happens while it is written."""

import resource
import subprocess
import sys

import pytest

from edge.errors import EmotionEdgeError, FileError
from edge.system.atomic_file import atomic_write, whole


@pytest.fixture
def full_disk():
    """A disk that takes 100 kB a file and no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_is_written_with_the_folders_that_it_needs(tmp_path):
    path = tmp_path / "new" / "folder" / "file.bin"
    atomic_write(path, b"content")
    assert path.read_bytes() == b"content"
    assert list(path.parent.iterdir()) == [path]


def test_the_file_is_replaced_only_when_the_block_is_done(tmp_path):
    path = tmp_path / "file.png"
    path.write_text("old")
    with whole(path) as aside:
        assert aside.suffix == ".png"  # OpenCV tells the format by it
        aside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_who_reads_the_old_file_meanwhile_reads_it_to_its_end(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with path.open() as reader:
        atomic_write(path, b"new")
        assert reader.read() == "old"


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, EmotionEdgeError])
def test_after_an_error_the_file_is_what_it_was_before(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(error), whole(path) as aside:  # noqa: PT012 (the error comes after half of the work)
        aside.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_error_that_names_the_file_and_leaves_the_old_one(tmp_path, full_disk):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(FileError, match=r"file: cannot be written \(File too large\)"):
        atomic_write(path, bytes(200_000))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_that_is_killed_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    program = (
        "import os, sys; from pathlib import Path; from edge.system.atomic_file import whole\n"
        "with whole(Path(sys.argv[1])) as aside: aside.write_text('half'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == -9
    assert path.read_text() == "old"
    atomic_write(path, b"new")  # what the dead process left is in nobody's way
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("place", ["file/inside", "folder"])
def test_a_place_that_cannot_hold_a_file_is_one_error_that_names_it(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(FileError, match=f"{place}: cannot be written"):
        atomic_write(tmp_path / place, b"content")
