"""One descriptor at a time holds the lock of a file, which ends with it; reading at an offset is exact."""

import os

import pytest

from edge.system.file_access import lock_file, make_folder, read_at, sync_folder


@pytest.fixture
def two_descriptors(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    descriptors = [os.open(path, os.O_RDWR | os.O_APPEND) for _ in range(2)]
    yield descriptors
    for descriptor in descriptors[1:]:
        os.close(descriptor)


def test_a_lock_is_held_until_its_descriptor_is_closed(two_descriptors):
    first, second = two_descriptors
    lock_file(first, wait=True)
    with pytest.raises(BlockingIOError):
        lock_file(second, wait=False)
    os.close(first)
    lock_file(second, wait=False)


def test_reading_at_an_offset_leaves_the_place_of_appending(two_descriptors):
    first, second = two_descriptors
    assert read_at(first, 3, 2) == b"234"
    assert read_at(first, 99, 8) == b"89"
    os.write(first, b"x")
    assert read_at(second, 99, 0) == b"0123456789x"
    os.close(first)


def test_a_folder_that_is_missing_cannot_be_synced(tmp_path):
    sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "missing")


def test_a_folder_is_made_once_and_never_in_place_of_a_file(tmp_path):
    assert make_folder(tmp_path / "a" / "b")
    assert not make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError, match="Not a directory"):
            make_folder(path)
