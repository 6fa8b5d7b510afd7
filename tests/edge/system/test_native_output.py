"""What C++ code prints is lost inside the block, nothing outside it."""

import os

import pytest

from edge.system.native_output import suppress_native_output
from tests.support.commands import open_descriptors


def test_only_what_is_written_inside_the_block_is_lost(capfd):
    os.write(2, b"before ")
    with suppress_native_output(2):
        os.write(2, b"inside ")
        os.write(1, b"other stream")
    os.write(2, b"after")
    assert capfd.readouterr() == ("other stream", "before after")


def test_both_streams_can_be_silenced(capfd):
    with suppress_native_output(1, 2):
        os.write(1, b"out")
        os.write(2, b"err")
    assert capfd.readouterr() == ("", "")


def test_an_error_inside_the_block_gives_the_stream_back(capfd):
    with pytest.raises(KeyError), suppress_native_output(2):
        raise KeyError
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_no_descriptor_is_left_open():
    before = open_descriptors()
    for _ in range(5):
        with suppress_native_output(1, 2):
            pass
    assert open_descriptors() == before
