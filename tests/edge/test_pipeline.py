"""The loop hands every frame through the parts in order, stops where it was told to, and sums up what it saw."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge import pipeline as module
from edge.capture.frame_rate import FrameRateLimiter
from edge.detection.haar import HaarDetector
from edge.inference.smoothing import EVERY, TemporalSmoother
from edge.pipeline import Pipeline
from edge.tracking.tracker import Tracker
from edge.types import Box, Frame, Track
from tests.support.fakes import frame
from tests.support.images import PORTRAIT_FACE

LABELS = ("calm", "cross")
BOX = Box(10, 10, 40, 40)


class FaceTracker:
    """Sees one person in every image that is not black."""

    def __init__(self):
        self.times, self.stills = [], 0

    def update(self, gray, now):
        self.times.append(now)
        return (Track(1, BOX),) if gray.any() else ()

    def still(self, gray):
        self.stills += 1
        return (Track(1, BOX),) if gray.any() else ()


class Reader:
    """Reads the level of the image as the share of calm, in percent."""

    def __init__(self):
        self.looks = 0
        self.again: list[bool] = []

    def prepare(self, gray, box, *, again=False):
        self.again.append(again)
        return gray[box.y : box.y + box.height, box.x : box.x + box.width]

    def classify(self, face):
        self.looks += 1
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
def watcher():
    return FaceTracker()


@pytest.fixture
def reader():
    return Reader()


@pytest.fixture
def pipeline(watcher, reader):
    return Pipeline(watcher, reader, TemporalSmoother(unsure=0.55, half_life=0), LABELS)


def frames(*levels: int):
    return (frame(time=index / 10, index=index, level=level) for index, level in enumerate(levels))


def test_every_sink_gets_every_frame_in_order(pipeline):
    sinks = [Listener(), Listener()]
    pipeline.run(frames(80, 0, 60), sinks)
    for sink in sinks:
        assert [seen.frame.index for seen in sink.seen] == [0, 1, 2]
        assert [len(seen.faces) for seen in sink.seen] == [1, 0, 1]


def test_a_reading_says_who_where_and_what_in_plain_values(pipeline):
    (reading,) = pipeline.process(frame(level=80)).faces
    assert (reading.track_id, reading.box, reading.label) == (1, BOX, "calm")
    assert reading.probabilities == pytest.approx({"calm": 0.8, "cross": 0.2})
    assert reading.confidence == reading.probabilities["calm"]
    assert {type(share) for share in reading.probabilities.values()} == {float}


def test_an_unsure_reading_has_no_label_and_the_confidence_of_the_strongest(pipeline):
    (reading,) = pipeline.process(frame(level=48)).faces
    assert reading.label is None
    assert reading.confidence == pytest.approx(0.52)


def test_a_label_that_stays_has_its_own_confidence_though_another_is_stronger(watcher, reader):
    pipeline = Pipeline(watcher, reader, TemporalSmoother(half_life=0), LABELS)
    pipeline.process(frame(level=60))
    (reading,) = pipeline.process(frame(level=48, time=0.1)).faces
    assert reading.label == "calm"
    assert reading.confidence == pytest.approx(0.48)


def test_a_reading_says_since_when_it_has_its_label(pipeline):
    told = [
        pipeline.process(frame(level=level, time=now)) for level, now in ((80, 1.0), (90, 2.0), (10, 3.0), (9, 4.0))
    ]
    assert [seen.faces[0].since for seen in told] == [1, 1, 3, 3]


@pytest.mark.parametrize("name", ["", "image.png"])
def test_the_small_image_is_searched_and_the_face_is_read_in_the_large_one(pipeline, name):
    sharp, small = frame(level=80, size=(192, 128)), frame(level=20).gray
    (reading,) = pipeline.process(replace(sharp, search_image=small, name=name)).faces
    assert reading.box == BOX.scaled(2)
    assert reading.probabilities["calm"] == pytest.approx(0.8)
    dark = replace(sharp, search_image=np.zeros_like(small), name=name)
    assert not pipeline.process(dark).faces


def test_who_is_where_is_asked_by_the_time_of_the_frames(pipeline, watcher):
    pipeline.run(frame(time=seconds, index=index) for index, seconds in enumerate((0.0, 0.5, 5.0)))
    assert watcher.times == [0.0, 0.5, 5.0]
    assert watcher.stills == 0


def test_a_face_is_read_only_as_often_as_its_steadying_takes(pipeline, reader):
    for number in range(61):
        (reading,) = pipeline.process(frame(time=number / 60, level=80)).faces
        assert reading.label == "calm"  # told in each frame all the same
    assert reader.looks == pytest.approx(1 / EVERY, abs=1)


def test_every_second_look_at_a_face_is_another_one_and_a_image_on_its_own_is_read_as_it_is(pipeline, reader):
    for number in range(3):
        pipeline.process(frame(number / 10, number, level=80))
    assert reader.again == [False, True, False]
    for number in range(3, 6):
        pipeline.process(frame(number / 10, number, name=f"{number}.png", level=80))
    assert reader.again[3:] == [False] * 3


def test_each_image_of_a_folder_is_read_anew_whatever_came_before(pipeline, watcher, reader):
    levels = (80, 20, 80, 20)
    images = [frame(time=0.0, index=index, level=level, name=f"{index}.png") for index, level in enumerate(levels)]
    told = [pipeline.process(image).faces[0] for image in images]
    assert [reading.label for reading in told] == ["calm", "cross", "calm", "cross"]
    assert [reading.confidence for reading in told] == pytest.approx([0.8] * 4)
    assert (watcher.stills, watcher.times, reader.looks) == (4, [], 4)


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


class Slowly(FrameRateLimiter):
    """Notes what it is asked and told."""

    def __init__(self):
        super().__init__()
        self.said = []

    def wait(self, stopped=lambda: False):  # noqa: ARG002 (a pace's)
        self.said.append("wait")

    def saw(self, anybody):
        self.said.append(anybody)


def test_the_pace_is_asked_before_each_frame_and_told_whether_it_showed_anybody(pipeline):
    pace = Slowly()

    def source():
        for image in frames(80, 0):
            assert pace.said[-1] == "wait"
            yield image

    pipeline.run(source(), pace=pace)
    assert pace.said == ["wait", True, "wait", False, "wait"]


def test_a_source_without_frames_gives_an_empty_summary(pipeline):
    summary = pipeline.run(iter(()))
    assert (summary.frames, summary.skipped, summary.faces, summary.faces) == (0, 0, 0, set())
    assert summary.emotions == {"calm": 0, "cross": 0}


def test_the_summary_counts_frames_faces_and_mean_shares(pipeline):
    summary = pipeline.run(frames(80, 0, 60, 70))
    assert (summary.frames, summary.faces, summary.faces) == (4, 3, {1})
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
    stages = {"capture", "convert", "detect", "crop", "classify", "smooth"}
    assert all(set(seen.timings) == stages for seen in sink.seen)
    assert set(summary.stages) == stages | {"sinks"}
    for stage in stages:
        assert summary.stages[stage] == pytest.approx(sum(seen.timings[stage] for seen in sink.seen))


@pytest.mark.parametrize(("waited", "wait"), [(0.25, 0.25), (-0.01, 0.0)])
def test_the_camera_says_how_long_its_conversion_took_and_waiting_is_the_rest(pipeline, waited, wait):
    timings = pipeline.process(replace(frame(), convert_seconds=0.004), waited).timings
    assert (timings["convert"], timings["wait"]) == (0.004, wait)


def test_what_a_camera_converts_while_it_is_asked_is_not_waiting(pipeline, monkeypatch):
    monkeypatch.setattr(module, "time", Ticks())
    sink = Listener()
    pipeline.run(iter([replace(frame(), convert_seconds=0.75)]), [sink])
    assert sink.seen[0].timings["wait"] == pytest.approx(0.25)


def test_an_error_of_a_sink_ends_the_run(pipeline):
    class Broken(Listener):
        def write(self, seen):  # noqa: ARG002 (a sink's)
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        pipeline.run(frames(80, 80), [Broken()])


@pytest.mark.parametrize("name", ["", "portrait.png"])
def test_the_real_parts_together_read_a_real_face(portrait, classifier, name):
    joined = Pipeline(Tracker(HaarDetector()), classifier, TemporalSmoother(), classifier.card.labels)
    gray = np.ascontiguousarray(portrait[..., 1])
    for index in range(3):
        (reading,) = joined.process(Frame(gray, lambda: portrait, index / 10, index, name)).faces
        assert reading.label == "happy"
        assert reading.box.iou(PORTRAIT_FACE) > 0.7
        assert tuple(reading.probabilities) == classifier.card.labels
        assert reading.track_id == (index + 1 if name else 1)


def test_the_real_parts_together_read_a_real_face_that_they_searched_in_a_small_image(portrait, classifier):
    joined = Pipeline(Tracker(HaarDetector()), classifier, TemporalSmoother(), classifier.card.labels)
    small = np.ascontiguousarray(portrait[..., 1])
    large = cv2.resize(small, None, fx=2, fy=2).astype(np.uint8)
    (reading,) = joined.process(Frame(large, lambda: portrait, 0.0, 0, search_image=small)).faces
    assert reading.label == "happy"
    assert reading.box.iou(PORTRAIT_FACE.scaled(2)) > 0.7
