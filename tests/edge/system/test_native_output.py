"""Output of native code is discarded inside the block, and only there."""

import os

import pytest

from edge.system.native_output import suppress_native_output
from tests.support.commands import open_descriptors


def test_only_the_given_stream_inside_the_block_is_discarded(capfd):
    os.write(2, b"before ")
    with suppress_native_output(2):
        os.write(2, b"inside ")
        os.write(1, b"other stream")
    os.write(2, b"after")
    assert capfd.readouterr() == ("other stream", "before after")


def test_both_streams_can_be_discarded(capfd):
    with suppress_native_output(1, 2):
        os.write(1, b"out")
        os.write(2, b"err")
    assert capfd.readouterr() == ("", "")


def test_an_error_inside_the_block_restores_the_stream(capfd):
    with pytest.raises(KeyError), suppress_native_output(2):
        raise KeyError
    os.write(2, b"restored")
    assert capfd.readouterr().err == "restored"


def test_no_descriptor_stays_open():
    before = open_descriptors()
    for _ in range(5):
        with suppress_native_output(1, 2):
            pass
    assert open_descriptors() == before
