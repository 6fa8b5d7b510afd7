"""Reads a FlatBuffer of unknown origin: every offset, length and alignment is checked before it is followed.

The format is that of https://flatbuffers.dev/internals/: a table starts with the distance to its vtable, which has the
place of each field in the table; strings, vectors and other tables are stored as the distance to them; a vector starts
with its number of items. Generated readers follow all of these without a check.
"""

from __future__ import annotations

import struct
from typing import Any

MAX_TABLES = 20_000  # in one vector; a network with 1,000 layers has 5,000 tensors
_FIRST_FIELD = 4  # bytes in a vtable before its fields, and in a table before its values
_UNSIGNED_32, _SIGNED_32, _UNSIGNED_16 = struct.Struct("<I"), struct.Struct("<i"), struct.Struct("<H")


class FlatBufferError(ValueError):
    """The bytes are no FlatBuffer, or one whose parts are not within it."""


class FlatBuffer:
    """The bytes of a FlatBuffer with the identifier `identifier`; `root` is its outermost table."""

    def __init__(self, content: bytes, identifier: bytes) -> None:
        if content[4:8] != identifier:
            raise FlatBufferError(f"its identifier is {content[4:8]!r}, expected {identifier!r}")
        self._content = content
        # Honest files hold each item once. Without this limit, few bytes that are referred to often take hours.
        self._items_left = len(content)
        self.root = Table(self, self.follow(0))

    def number(self, kind: struct.Struct, place: int) -> Any:
        """Return the number at byte `place`."""
        self.check(place, kind.size, kind.size)
        return kind.unpack_from(self._content, place)[0]

    def follow(self, place: int) -> int:
        """Return the place to which the offset at `place` leads."""
        return place + int(self.number(_UNSIGNED_32, place))

    def numbers(self, code: str, place: int) -> tuple[Any, ...]:
        """Return the items of the vector of numbers at `place`, whose type has the struct module's `code`."""
        size = struct.calcsize(f"<{code}")
        count = self.vector_length(place, size)
        self._take(count)
        return struct.unpack_from(f"<{count}{code}", self._content, place + _UNSIGNED_32.size)

    def vector_length(self, place: int, item_size: int) -> int:
        """Return the number of items of the vector at `place`, all of which are within the file."""
        count = int(self.number(_UNSIGNED_32, place))
        self.check(place + _UNSIGNED_32.size, count * item_size, item_size)
        return count

    def tables(self, place: int) -> list[Table]:
        """Return the tables of the vector of tables at `place`."""
        count = self.vector_length(place, _UNSIGNED_32.size)
        if count > MAX_TABLES:
            raise FlatBufferError(f"{count} tables in a vector, at most {MAX_TABLES} are read")
        self._take(count * _UNSIGNED_32.size)
        first = place + _UNSIGNED_32.size
        return [Table(self, self.follow(first + index * _UNSIGNED_32.size)) for index in range(count)]

    def check_string(self, place: int) -> None:
        """Raise FlatBufferError unless there is a string at `place`: a vector of bytes that a zero byte follows."""
        end = place + _UNSIGNED_32.size + self.vector_length(place, 1)
        self.check(end, 1, 1)
        if self._content[end]:
            raise FlatBufferError(f"the string at byte {place} has no end")

    def check(self, place: int, size: int, alignment: int) -> None:
        """Raise FlatBufferError unless `size` bytes at `place` are within the file, and aligned."""
        if place < 0 or place + size > len(self._content):
            raise FlatBufferError(f"{size} bytes at byte {place} are not within its {len(self._content)}")
        if place % alignment:
            raise FlatBufferError(f"byte {place} is not a multiple of {alignment}")

    def _take(self, count: int) -> None:
        self._items_left -= count
        if self._items_left < 0:
            raise FlatBufferError("its vectors have more items than it has bytes")


class Table:
    """The table at byte `place` of `buffer`. Its fields have the numbers of the schema, from 0."""

    def __init__(self, buffer: FlatBuffer, place: int) -> None:
        self._buffer, self._place = buffer, place
        self._vtable = place - int(buffer.number(_SIGNED_32, place))
        self._vtable_size = int(buffer.number(_UNSIGNED_16, self._vtable))
        buffer.check(self._vtable, self._vtable_size, 2)
        self._size = int(buffer.number(_UNSIGNED_16, self._vtable + 2))
        buffer.check(place, self._size, 4)
        if self._vtable_size < _FIRST_FIELD or self._vtable_size % 2 or self._size < _FIRST_FIELD:
            raise FlatBufferError(f"the table at byte {place} is smaller than a table can be")

    def number(self, field: int, code: str, default: float = 0) -> Any:
        """Return the number in `field`, whose type has the struct module's `code`."""
        kind = struct.Struct(f"<{code}")
        place = self._find(field, kind.size)
        return default if place is None else self._buffer.number(kind, place)

    def numbers(self, field: int, code: str) -> tuple[Any, ...]:
        """Return the vector of numbers in `field`; without one, nothing."""
        place = self._target(field)
        return () if place is None else self._buffer.numbers(code, place)

    def vector_range(self, field: int, item_size: int) -> range:
        """Return which bytes of the file are the items of the vector in `field`, without reading them."""
        place = self._target(field)
        if place is None:
            return range(0)
        count = self._buffer.vector_length(place, item_size)
        return range(place + _UNSIGNED_32.size, place + _UNSIGNED_32.size + count * item_size)

    def table(self, field: int) -> Table | None:
        """Return the table in `field`; None: there is none."""
        place = self._target(field)
        return None if place is None else Table(self._buffer, place)

    def tables(self, field: int) -> list[Table]:
        """Return the vector of tables in `field`; without one, nothing."""
        place = self._target(field)
        return [] if place is None else self._buffer.tables(place)

    def check_string(self, field: int) -> None:
        """Raise FlatBufferError unless the string in `field`, if there is one, is within the file."""
        place = self._target(field)
        if place is not None:
            self._buffer.check_string(place)

    def check_fields(self) -> None:
        """Raise FlatBufferError unless every field is within the table, whatever its type."""
        for field in range((self._vtable_size - _FIRST_FIELD) // 2):
            self._find(field, 1)

    def __contains__(self, field: int) -> bool:
        return self._find(field, 1) is not None

    def _find(self, field: int, size: int) -> int | None:
        """Return the place of the value of `field`, `size` bytes in the table; None: it has its default."""
        slot = _FIRST_FIELD + 2 * field
        if slot >= self._vtable_size:
            return None
        distance = int(self._buffer.number(_UNSIGNED_16, self._vtable + slot))
        if not distance:
            return None
        if distance < _FIRST_FIELD or distance + size > self._size:
            raise FlatBufferError(f"field {field} of the table at byte {self._place} is not within the table")
        return self._place + distance

    def _target(self, field: int) -> int | None:
        place = self._find(field, _UNSIGNED_32.size)
        return None if place is None else self._buffer.follow(place)
