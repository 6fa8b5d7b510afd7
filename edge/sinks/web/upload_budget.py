"""Memory for uploads: reserved before their bodies are received, since an unfinished one holds what it has sent."""

from __future__ import annotations

from collections import Counter

MAX_BYTES = 30_000_000  # of all uploads together
MAX_BYTES_OF_ADDRESS = 10_000_000  # of one address: one photo of the largest size, or several small ones


class Reservation:
    """A part of the budget, which is taken until `release`."""

    def __init__(self, budget: UploadBudget, address: str, size: int) -> None:
        self._budget, self._address, self._size = budget, address, size

    def release(self) -> None:
        """Give the bytes back; a second call does nothing."""
        self._budget.give_back(self._address, self._size)
        self._size = 0


class UploadBudget:
    """How many bytes may be held, from the head of a request to its response."""

    def __init__(self) -> None:
        self._bytes: Counter[str] = Counter()  # address -> reserved bytes

    @property
    def reserved_bytes(self) -> int:
        return self._bytes.total()

    def reserve(self, address: str, size: int) -> Reservation | None:
        """Return a reservation of `size` bytes for `address`; None: there is no room now."""
        if self.reserved_bytes + size > MAX_BYTES or self._bytes[address] + size > MAX_BYTES_OF_ADDRESS:
            return None
        self._bytes[address] += size
        return Reservation(self, address, size)

    def give_back(self, address: str, size: int) -> None:
        self._bytes[address] -= size
        if not self._bytes[address]:
            del self._bytes[address]
