"""Nothing of a FlatBuffer is read that is not within it."""

import struct
from contextlib import suppress

import pytest

from edge.system.flatbuffer import FlatBuffer, FlatBufferError

# root offset, identifier; vtable: 8 bytes, table of 12, field 0 at 4, field 1 at 8; table; vector of 3 numbers; string.
WHOLE = (
    struct.pack("<I4s", 16, b"TEST")
    + struct.pack("<4H", 8, 12, 4, 8)
    + struct.pack("<iII", 8, 8, 20)
    + struct.pack("<I3i", 3, 7, 8, 9)
    + struct.pack("<I3sB", 3, b"abc", 0)
)


def read(content: bytes) -> tuple[int, ...]:
    root = FlatBuffer(content, b"TEST").root
    root.check_string(1)
    root.check_fields()
    numbers: tuple[int, ...] = root.numbers(0, "i")
    return numbers


def test_fields_of_a_table_are_read():
    assert read(WHOLE) == (7, 8, 9)
    root = FlatBuffer(WHOLE, b"TEST").root
    assert len(root.vector_range(0, 4)) == 12
    assert 1 in root
    assert 2 not in root
    assert root.number(2, "i", 5) == 5


@pytest.mark.parametrize("size", range(len(WHOLE)))
def test_file_that_is_cut_anywhere_is_refused(size):
    with pytest.raises(FlatBufferError):
        read(WHOLE[:size])


def test_no_byte_can_lead_out_of_the_file():
    for place in range(len(WHOLE)):
        for value in (0, 1, 3, 4, 0x7F, 0x80, 0xFF):
            content = bytearray(WHOLE)
            content[place] = value
            with suppress(FlatBufferError):  # any other exception is one of reading outside of the file
                read(bytes(content))


def test_vector_that_is_referred_to_often_is_not_read_often():
    buffer = FlatBuffer(WHOLE, b"TEST")
    with pytest.raises(FlatBufferError, match="more items than it has bytes"):
        [buffer.root.numbers(0, "i") for _ in range(len(WHOLE))]


def test_another_identifier_is_refused():
    with pytest.raises(FlatBufferError, match="expected b'TFL3'"):
        FlatBuffer(WHOLE, b"TFL3")
