"""The loop hands every frame through the parts in order, stops where it was told to, and sums up what it saw."""

from dataclasses import replace

import numpy as np
import pytest

from edge import pipeline as module
from edge.detector import Detector
from edge.pipeline import Pipeline
from edge.tracker import Tracker
from edge.values import Box, Frame
from tests.conftest import FACE, frame

LABELS = ("calm", "cross")
BOX = Box(10, 10, 40, 40)


class Finder:
    """Finds one face in every frame that is not black."""

    def find(self, grey):
        return [BOX] if grey.any() else []


class Reader:
    """Reads the level of the picture as the share of calm, in percent."""

    def prepare(self, grey, box):
        return grey[box.y : box.y + box.height, box.x : box.x + box.width]

    def scores(self, face):
        share = face.mean() / 100
        return np.array([share, 1 - share], np.float32)


class Listener:
    """A sink that keeps what it gets."""

    def __init__(self):
        self.seen = []

    def write(self, seen):
        self.seen.append(seen)


class Ticks:
    """A clock that is a second later each time that it is asked."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        self.now += 1
        return self.now


@pytest.fixture
def pipeline():
    return Pipeline(Finder(), Reader(), Tracker(unsure=0.55, half_life=0), LABELS)


def frames(*levels: int):
    return (frame(time=index / 10, index=index, level=level) for index, level in enumerate(levels))


def test_every_sink_gets_every_frame_in_order(pipeline):
    sinks = [Listener(), Listener()]
    pipeline.run(frames(80, 0, 60), sinks)
    for sink in sinks:
        assert [seen.frame.index for seen in sink.seen] == [0, 1, 2]
        assert [len(seen.readings) for seen in sink.seen] == [1, 0, 1]


def test_a_reading_says_who_where_and_what_in_plain_values(pipeline):
    (reading,) = pipeline.observe(frame(level=80)).readings
    assert (reading.face_id, reading.box, reading.label) == (1, BOX, "calm")
    assert reading.scores == pytest.approx({"calm": 0.8, "cross": 0.2})
    assert reading.confidence == reading.scores["calm"]
    assert {type(share) for share in reading.scores.values()} == {float}


def test_an_unsure_reading_has_no_label_and_the_confidence_of_the_strongest(pipeline):
    (reading,) = pipeline.observe(frame(level=48)).readings
    assert reading.label is None
    assert reading.confidence == pytest.approx(0.52)


def test_a_label_that_stays_has_its_own_confidence_though_another_is_stronger(pipeline):
    pipeline.observe(frame(level=60))
    (reading,) = pipeline.observe(frame(level=51, time=0.1)).readings
    assert (reading.label, reading.confidence) == ("calm", pytest.approx(0.51))


def test_identities_follow_the_time_of_the_frames(pipeline):
    ids = [pipeline.observe(frame(level=80, time=seconds)).readings[0].face_id for seconds in (0, 0.5, 5)]
    assert ids == [1, 1, 2]


def test_no_more_frames_are_taken_than_were_asked_for(pipeline):
    source = frames(80, 80, 80, 80)
    assert pipeline.run(source, max_frames=2).frames == 2
    assert next(source).index == 2


def test_the_time_limit_ends_an_endless_source(pipeline, monkeypatch):
    monkeypatch.setattr(module, "time", Ticks())
    endless = (frame(time=index, index=index) for index in iter(int, 1))
    assert 1 <= pipeline.run(endless, max_seconds=100).frames < 100


def test_a_run_that_is_stopped_ends_after_the_frame_in_hand(pipeline):
    sink = Listener()
    summary = pipeline.run(frames(80, 80, 80, 80), [sink], stopped=lambda: len(sink.seen) == 2)
    assert (summary.frames, len(sink.seen)) == (2, 2)


def test_a_source_without_frames_gives_an_empty_summary(pipeline):
    summary = pipeline.run(iter(()))
    assert (summary.frames, summary.skipped, summary.readings, summary.faces) == (0, 0, 0, set())
    assert summary.emotions == {"calm": 0, "cross": 0}


def test_the_summary_counts_frames_faces_and_mean_shares(pipeline):
    summary = pipeline.run(frames(80, 0, 60, 70))
    assert (summary.frames, summary.readings, summary.faces) == (4, 3, {1})
    assert summary.emotions == pytest.approx({"calm": 0.7, "cross": 0.3})


@pytest.mark.parametrize(("indices", "skipped"), [((0, 1, 2), 0), ((0, 3, 4), 2), ((2, 3), 2), ((0, 2, 5), 3)])
def test_gaps_in_the_index_are_counted_as_skipped(pipeline, indices, skipped):
    assert pipeline.run(frame(index=index) for index in indices).skipped == skipped


def test_frames_a_second_are_counted_on_the_wall_clock(pipeline):
    summary = pipeline.run(frames(80, 80))
    assert summary.fps == pytest.approx(2 / summary.seconds)
    assert replace(summary, seconds=0.0).fps == 0


def test_the_time_of_every_stage_is_told_with_the_frame_and_summed(pipeline):
    sink = Listener()
    summary = pipeline.run(frames(80, 80), [sink])
    stages = {"wait", "search", "crop", "classify", "track"}
    assert all(set(seen.timings) == stages for seen in sink.seen)
    assert set(summary.stages) == stages | {"sinks"}
    assert summary.stages["search"] == pytest.approx(sum(seen.timings["search"] for seen in sink.seen))


def test_an_error_of_a_sink_ends_the_run(pipeline):
    class Broken(Listener):
        def write(self, seen):  # noqa: ARG002 (a sink's)
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        pipeline.run(frames(80, 80), [Broken()])


def test_the_real_parts_together_read_a_real_face(portrait, classifier):
    joined = Pipeline(Detector(), classifier, Tracker(), classifier.card.labels)
    grey = np.ascontiguousarray(portrait[..., 1])
    (reading,) = joined.observe(Frame(grey, lambda: portrait, 0.0, 0)).readings
    assert reading.label == "happy"
    assert reading.box.overlap(FACE) > 0.7
    assert tuple(reading.scores) == classifier.card.labels
