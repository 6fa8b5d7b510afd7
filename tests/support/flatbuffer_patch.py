"""Changes single values of a TFLite FlatBuffer, for models that are wrong in one way."""

from __future__ import annotations

import struct


class FlatBufferPatch:
    """Overwrites values in the FlatBuffer `model`; fields have the numbers of the TFLite schema."""

    def __init__(self, model: bytes) -> None:
        self.content = bytearray(model)

    def set_type(self, which: int, value: int) -> bytes:
        self.content[self.field(self.tensor(which), 1)] = value
        return bytes(self.content)

    def set_quantization(self, which: int, scale: float, zero_point: int) -> bytes:
        quantization = self.follow(self.field(self.tensor(which), 4))
        struct.pack_into("<f", self.content, self.follow(self.field(quantization, 2)) + 4, scale)
        struct.pack_into("<q", self.content, self.follow(self.field(quantization, 3)) + 4, zero_point)
        return bytes(self.content)

    def set_number(self, table: int, number: int, kind: str, value: float) -> bytes:
        """Set field `number` of the table at `table`."""
        struct.pack_into(kind, self.content, self.field(table, number), value)
        return bytes(self.content)

    def set_item(self, table: int, number: int, kind: str, value: float, index: int = 0) -> bytes:
        """Set item `index` of the vector of numbers in field `number` of the table at `table`."""
        place = self.follow(self.field(table, number)) + 4 + index * struct.calcsize(kind)
        struct.pack_into(kind, self.content, place, value)
        return bytes(self.content)

    def tensor(self, which: int) -> int:
        """Return the place of the input (1) or output (2) tensor."""
        number = self.number("<i", self.follow(self.field(self.graph(), which)) + 4)
        return self.table(self.graph(), 0, number)

    def operator(self, code: int) -> int:
        """Return the place of the first operator with the BuiltinOperator `code`."""
        for index in range(self.number("<I", self.follow(self.field(self.graph(), 3)))):
            place = self.table(self.graph(), 3, index)
            entry = self.table(self.follow(0), 1, self.value(place, 0, "<I"))
            if self.value(entry, 0, "<b") == code:
                return place
        raise LookupError(code)

    def graph(self) -> int:
        return self.table(self.follow(0), 2, 0)

    def table(self, table: int, number: int, index: int) -> int:
        """Return the place of table `index` of the vector in field `number` of the table at `table`."""
        return self.follow(self.follow(self.field(table, number)) + 4 + 4 * index)

    def field(self, table: int, number: int) -> int:
        """Return the place of field `number` of the table at `table`."""
        offset = self.offset(table, number)
        assert offset, "the field has its default value and no place in the file"
        return table + offset

    def value(self, table: int, number: int, kind: str) -> int:
        """Return the number in field `number` of the table at `table`; 0 by default."""
        offset = self.offset(table, number)
        return self.number(kind, table + offset) if offset else 0

    def offset(self, table: int, number: int) -> int:
        vtable = table - self.number("<i", table)
        slot = 4 + 2 * number
        return self.number("<H", vtable + slot) if slot < self.number("<H", vtable) else 0

    def follow(self, place: int) -> int:
        return place + self.number("<I", place)

    def number(self, kind: str, place: int) -> int:
        return int(struct.unpack_from(kind, self.content, place)[0])
