"""Latency statistics: percentiles as MLPerf defines them, and a sample of bounded size for long runs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Frames of which every timing is kept, 36 minutes at 30 fps; of a longer run this many are sampled at random.
RESERVOIR_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class LatencyStats:
    """Mean and percentiles of a latency in milliseconds."""

    mean: float
    p50: float
    p90: float
    p99: float


def percentile(ordered: Sequence[float] | NDArray[np.float64], percent: int) -> float:
    """Return the element at index `len(ordered) * percent // 100` of the sorted, non-empty `ordered`.

    The definition of MLPerf's load generator; `percent` is 0 to 99.
    """
    return float(ordered[len(ordered) * percent // 100])


def latency_stats(seconds: Sequence[float] | NDArray[np.float64], mean: float | None = None) -> LatencyStats:
    """Return the statistics of the non-empty `seconds`.

    Args:
        mean: in seconds, where `seconds` is a sample and the mean of all values is known.
    """
    milliseconds = np.sort(np.asarray(seconds, np.float64)) * 1000
    return LatencyStats(
        float(milliseconds.mean()) if mean is None else mean * 1000,
        *(percentile(milliseconds, percent) for percent in (50, 90, 99)),
    )


class Reservoir:
    """A uniform random sample of rows, of fixed size: all rows while they fit.

    Algorithm R of Vitter: Random sampling with a reservoir, ACM Transactions on Mathematical Software 11 (1985). Sums
    are over all rows.

    Args:
        columns: numbers in a row.
        size: rows kept at most.
    """

    def __init__(self, columns: int, size: int = RESERVOIR_ROWS) -> None:
        self._rows = np.full((size, columns), np.nan)  # filled now, so that memory does not grow during the measurement
        self._random = random.Random(0)  # noqa: S311 (sampling, not cryptography)
        self.sums = np.zeros(columns)
        self.count = 0  # rows added

    @property
    def rows(self) -> NDArray[np.float64]:
        """The sampled rows, (rows, columns)."""
        return self._rows[: self.count]

    def add(self, row: Sequence[float]) -> None:
        index = self.count if self.count < len(self._rows) else self._random.randrange(self.count + 1)
        if index < len(self._rows):
            self._rows[index] = row
        self.sums += row
        self.count += 1

    def stats(self, column: int) -> LatencyStats:
        """Return the statistics of a column of seconds; at least one row was added. The mean is that of all rows."""
        return latency_stats(self.rows[:, column], float(self.sums[column]) / self.count)
