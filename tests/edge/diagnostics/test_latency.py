"""Percentiles are those of MLPerf, and a reservoir samples all rows alike in bounded memory."""

import numpy as np
import pytest

from edge.diagnostics.latency import LatencyStats, Reservoir, latency_stats, percentile


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, (0, 0, 0)), (2, (1, 1, 1)), (10, (5, 9, 9)), (100, (50, 90, 99)), (1024, (512, 921, 1013))],
)
def test_percentiles_are_those_of_mlperfs_load_generator(count, expected):
    ordered = [float(value) for value in range(count)]
    assert tuple(percentile(ordered, percent) for percent in (50, 90, 99)) == expected


def test_stats_of_unsorted_seconds_are_in_milliseconds():
    assert latency_stats([0.004, 0.001, 0.003, 0.002]) == LatencyStats(2.5, 3.0, 4.0, 4.0)


def test_a_reservoir_keeps_all_rows_while_they_fit():
    reservoir = Reservoir(2, size=4)
    for value in (0.003, 0.001, 0.002, 0.004):
        reservoir.add((0.0, value))
    assert reservoir.stats(1) == latency_stats([0.001, 0.002, 0.003, 0.004])


def test_a_full_reservoir_samples_all_rows_with_equal_chance():
    reservoir = Reservoir(1, size=500)
    for value in range(20_000):
        reservoir.add((float(value),))
    sample = reservoir.rows[:, 0]
    assert len(set(sample)) == len(sample) == 500
    # Of 500 uniform draws the fraction below any bound has a standard deviation of at most 2.3 %; the seed is fixed.
    fractions = [np.mean(sample < bound) for bound in (5_000, 10_000, 15_000)]
    assert fractions == pytest.approx([0.25, 0.5, 0.75], abs=0.07)
    assert reservoir.stats(0).mean == pytest.approx(1000 * 19_999 / 2)  # of all rows
