"""A file has its new content or its old one, whatever happens while it is written."""

import os
import resource
import subprocess
import sys

import pytest

from edge.errors import EmotionEdgeError, FileError
from edge.system.atomic_file import PartialFile, atomic_path, atomic_write, check_writable


@pytest.fixture
def full_disk():
    """A disk that accepts 100 kB for each file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def old_file(tmp_path):
    path = tmp_path / "file.png"
    path.write_text("old")
    return path


def test_missing_folders_are_created(tmp_path):
    path = tmp_path / "new" / "folder" / "file.bin"
    atomic_write(path, b"content")
    assert path.read_bytes() == b"content"
    assert list(path.parent.iterdir()) == [path]


def test_the_file_is_replaced_at_the_end_of_the_block(old_file):
    with atomic_path(old_file) as temporary:
        assert temporary.suffix == ".png"  # OpenCV chooses the format by it
        temporary.write_text("new")
        assert old_file.read_text() == "old"
    assert old_file.read_text() == "new"


def test_a_reader_of_the_old_file_is_not_disturbed(old_file):
    with old_file.open() as reader:
        atomic_write(old_file, b"new")
        assert reader.read() == "old"


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, EmotionEdgeError])
def test_an_error_leaves_the_old_file(old_file, error):
    with pytest.raises(error), atomic_path(old_file) as temporary:  # noqa: PT012 (the error comes after a write)
        temporary.write_text("half")
        raise error
    assert old_file.read_text() == "old"
    assert list(old_file.parent.iterdir()) == [old_file]


def test_a_full_disk_leaves_the_old_file(old_file, full_disk):
    with pytest.raises(FileError, match=r"file\.png: .*File too large"):
        atomic_write(old_file, bytes(200_000))
    assert old_file.read_text() == "old"
    assert list(old_file.parent.iterdir()) == [old_file]


def test_a_killed_process_leaves_the_old_file(old_file):
    program = (
        "import os, sys; from pathlib import Path; from edge.system.atomic_file import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as path: path.write_text('half'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program, old_file], check=False).returncode == -9
    assert old_file.read_text() == "old"
    atomic_write(old_file, b"new")  # despite the temporary file of the dead process
    assert list(old_file.parent.iterdir()) == [old_file]


@pytest.mark.parametrize("place", ["file/inside", "folder"])
def test_a_path_that_cannot_be_written_is_named(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(FileError, match=place):
        atomic_write(tmp_path / place, b"content")


def test_the_check_leaves_no_file_and_changes_none(tmp_path, old_file):
    before = sorted(tmp_path.rglob("*")), old_file.read_bytes()
    check_writable(old_file)
    check_writable(tmp_path / "new.json")
    assert (sorted(tmp_path.rglob("*")), old_file.read_bytes()) == before
    with pytest.raises(FileError, match=r"new\.json: cannot be written \(Not a directory\)"):
        check_writable(old_file / "new.json")


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    program = (
        "import os, sys; from pathlib import Path; from edge.system.atomic_file import PartialFile\n"
        "PartialFile(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "a.mp4"], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    foreign = tmp_path / ".part.a.mp4"
    foreign.touch()
    atomic_write(tmp_path / "b.mp4", b"new")
    assert sorted(tmp_path.iterdir()) == [foreign, tmp_path / "b.mp4"]


def test_a_partial_file_in_use_is_not_removed(tmp_path):
    partial = PartialFile(tmp_path / "a.mp4")
    program = (
        "import sys; from pathlib import Path; from edge.system.atomic_file import atomic_write\n"
        "atomic_write(Path(sys.argv[1]), b'new')"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "b.mp4"], check=True)
    partial.replace()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_a_link_in_place_of_the_partial_file_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda _: "00000000")
    (tmp_path / "victim").write_text("old")
    (tmp_path / ".part.00000000.a.png").symlink_to("victim")
    with pytest.raises(FileError, match=r"a\.png: .*File exists"):
        atomic_write(tmp_path / "a.png", b"new")
    assert (tmp_path / "victim").read_text() == "old"


@pytest.mark.parametrize("name", ["device", "link", "folder", "fifo"])
def test_only_a_file_is_replaced(name, tmp_path):
    (tmp_path / "device").symlink_to("/dev/null")  # a link to one stays a link, too: /dev/stdout is one
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FileError, match=f"{name}: cannot be written .not a regular file; name a file"):
        atomic_write(tmp_path / name, b"content")
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "device").is_symlink()
