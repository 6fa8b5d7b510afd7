"""The loop on slow boards, simulated: frames with boxes are not lost to inferences. See benchmarks/slow_board.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.slow_board import BOARDS, FPS, measure, simulate
from edge.capture.synthetic import SyntheticScene

PI_4, _, ZERO_2_W, ZERO_2_W_FAST = BOARDS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "faces", "min_fps", "max_delay"),
    [(PI_4, 1, 0.98 * FPS, 0.25), (PI_4, 4, 0.98 * FPS, 0.6), (ZERO_2_W_FAST, 1, 15.0, 0.25)],
    ids=["Pi 4, one face", "Pi 4, four faces", "Zero 2 W with a fast model"],
)
def test_board_keeps_its_frame_rate_and_labels_come_soon(board, faces, min_fps, max_delay, classifier):
    result = measure(board, faces, 7.0, classifier)
    assert result.fps >= min_fps, result
    assert result.delay_p95 <= max_delay, result
    assert result.age_p95 <= 0.6, result


def test_simulation_repeats_and_takes_the_time_of_the_board(classifier):
    def run(board):
        shown = list(simulate(board, SyntheticScene(), classifier, 0.5))
        return [(each.at, each.inferred, each.result.faces) for each in shown]

    assert run(PI_4) == run(PI_4)
    slower = replace(PI_4, instructions_per_second=PI_4.instructions_per_second / 50)
    assert len(run(slower)) < len(run(PI_4)) / 3
    assert run(ZERO_2_W)[0][0] > run(PI_4)[0][0]
