"""A file is read up to a limit, whatever it is."""

import os
import socket
from pathlib import Path

import pytest

from edge.system.bounded_read import read_at_most


def test_file_up_to_the_limit_is_read(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_at_most(path, 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_at_most(path, 4)


@pytest.mark.parametrize("name", ["zero", "null", "socket"])
def test_devices_and_sockets_are_not_opened(name, tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    path = tmp_path / name if name == "socket" else Path("/dev") / name
    with pytest.raises(OSError, match="a device or a socket, not a file"):
        read_at_most(path, 1000)


def test_fifo_without_a_writer_is_empty(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert read_at_most(tmp_path / "fifo", 10) == b""


def test_fifo_with_a_writer_is_read_to_its_end(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # keeps what is written
    writer = os.open(path, os.O_WRONLY)
    os.write(writer, b"from a pipe")
    os.close(writer)
    assert read_at_most(path, 100) == b"from a pipe"
    os.close(reader)
