"""A run is built from its settings: limits and threads."""

import pytest

from edge import app
from edge.capture import frame_rate, latest_frame
from edge.capture.frame_rate import FrameRateLimiter
from edge.capture.latest_frame import LatestFrame
from edge.config.settings import RunSettings


@pytest.mark.parametrize(
    ("source", "idle_fps", "expected"),
    [("synthetic", 3.0, 3.0), ("synthetic", 0.0, None), ("synthetic:fast", 3.0, None)],
)
def test_only_a_live_source_idles_and_has_a_thread(monkeypatch, source, idle_fps, expected):
    limits, threads = [], []

    class RecordingLimiter(FrameRateLimiter):
        def __init__(self, max_fps, idle_fps):
            limits.append((max_fps, idle_fps))
            super().__init__(max_fps, idle_fps)

    class RecordingThread(LatestFrame):
        def __enter__(self):
            threads.append(source)
            return super().__enter__()

    monkeypatch.setattr(frame_rate, "FrameRateLimiter", RecordingLimiter)
    monkeypatch.setattr(latest_frame, "LatestFrame", RecordingThread)
    settings = RunSettings(source, ("jsonl:/dev/null",), max_frames=1, max_fps=500.0, idle_fps=idle_fps)
    assert app.run(settings).stats.frames == 1
    assert limits == [(500.0, expected)]
    assert threads == ([source] if source == "synthetic" else [])


def test_the_run_limit_is_the_signal_or_the_duration():
    assert not app.RunLimit(lambda: False, None)()
    assert app.RunLimit(lambda: True, None)()
    assert app.RunLimit(lambda: False, 0.0)()
