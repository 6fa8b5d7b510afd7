"""The loop: stages in their order, limits, timings and the summary; and the real parts together."""

import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge import pipeline as pipeline_module
from edge.capture.frame_rate import FrameRateLimiter
from edge.detection.haar import HaarDetector
from edge.inference.schedule import MAX_AGE_SECONDS
from edge.inference.smoothing import TemporalSmoother
from edge.pipeline import STAGES, Pipeline, StageTimer, Summary
from edge.pipeline import run as run_loop
from edge.tracking.tracker import Tracker
from edge.types import Frame, RunStats, Track
from tests.support.fakes import (
    FACE_BOX,
    FAKE_LABELS,
    FakeClassifier,
    FakeClock,
    FakeSmoother,
    FakeTracker,
    RecordingSink,
    TickingClock,
    face_result,
    frame,
    frame_result,
)
from tests.support.images import PORTRAIT_FACE


@pytest.fixture
def tracker():
    return FakeTracker()


@pytest.fixture
def fake_classifier():
    return FakeClassifier()


@pytest.fixture
def pipeline(tracker, fake_classifier):
    return Pipeline(tracker, fake_classifier, TemporalSmoother(FAKE_LABELS, min_confidence=0.55, half_life=0))


@pytest.fixture
def real_pipeline(classifier):
    return Pipeline(Tracker(HaarDetector()), classifier, TemporalSmoother(classifier.card.labels))


def frames(*levels: int):
    return (frame(time=index * MAX_AGE_SECONDS, index=index, level=level) for index, level in enumerate(levels))


# --- color --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("uses_color", "level", "converted"), [(True, 80, 1), (True, 0, 0), (False, 80, 0)])
def test_color_is_made_only_for_faces_of_a_model_for_color(uses_color, level, converted, pipeline, fake_classifier):
    made, fake_classifier.uses_color = [], uses_color

    def color():
        made.append(1)
        return np.full((*frame().gray.shape, 3), 40, np.uint8)

    faces = pipeline.process(replace(frame(level=level), color=color)).faces
    assert len(made) == converted
    assert [face.probabilities["calm"] for face in faces] == pytest.approx([0.4 if converted else 0.8] * len(faces))


# --- one frame ----------------------------------------------------------------------------------------------------


def test_face_result_has_track_box_label_and_plain_probabilities(pipeline):
    (face,) = pipeline.process(frame(level=80)).faces
    assert (face.track_id, face.box, face.label) == (1, FACE_BOX, "calm")
    assert face.probabilities == pytest.approx({"calm": 0.8, "cross": 0.2})
    assert face.confidence == face.probabilities["calm"]
    assert {type(probability) for probability in face.probabilities.values()} == {float}


def test_uncertain_face_has_no_label_and_the_highest_confidence(pipeline):
    (face,) = pipeline.process(frame(level=48)).faces
    assert face.label is None
    assert face.confidence == pytest.approx(0.52)


def test_confidence_is_that_of_the_label_even_if_another_leads(tracker, fake_classifier):
    pipeline = Pipeline(tracker, fake_classifier, TemporalSmoother(FAKE_LABELS, min_confidence=0, half_life=0))
    pipeline.process(frame(level=60))
    (face,) = pipeline.process(frame(level=48, time=MAX_AGE_SECONDS)).faces
    assert face.label == "calm"
    assert face.confidence == pytest.approx(0.48)


def test_face_result_has_the_time_since_when_its_label_holds(pipeline):
    levels = ((80, 1.0), (90, 2.0), (10, 3.0), (9, 4.0))
    results = [pipeline.process(frame(level=level, time=now)) for level, now in levels]
    assert [result.faces[0].since for result in results] == [1, 1, 3, 3]


def test_smoother_plans_and_updates_once_a_frame(tracker, fake_classifier):
    smoother = FakeSmoother()
    pipeline = Pipeline(tracker, fake_classifier, smoother)
    pipeline.process(frame(level=80, time=0.5))
    pipeline.process(frame(level=0, time=0.6))
    expected = (Track(1, FACE_BOX),)
    assert smoother.planned == [(expected, 0.5), ((), 0.6)]
    (tracks, probabilities, now), without_faces = smoother.updated
    assert (tracks, now) == (expected, 0.5)
    assert probabilities[1] == pytest.approx([0.8, 0.2])
    assert without_faces == ((), {}, 0.6)


def test_small_image_is_searched_and_the_large_one_classified(pipeline):
    large, small = frame(level=80, size=(192, 128)), frame(level=20).gray
    (face,) = pipeline.process(replace(large, search_image=small)).faces
    assert face.box == FACE_BOX.scaled(2)
    assert face.probabilities["calm"] == pytest.approx(0.8)
    assert not pipeline.process(replace(large, search_image=np.zeros_like(small))).faces


def test_crop_of_a_tilted_face_is_turned_by_its_roll(tracker, fake_classifier):
    tracker.update = lambda *_: (Track(1, FACE_BOX, roll=20.0),)
    pipeline = Pipeline(tracker, fake_classifier, FakeSmoother())
    large, small = frame(level=80, size=(192, 128)), frame(level=20).gray
    pipeline.process(large)
    pipeline.process(replace(large, search_image=small))
    assert fake_classifier.rolls == [20.0, 20.0]


def test_face_is_classified_only_when_an_inference_is_due(pipeline, fake_classifier):
    for number in range(60):
        result = pipeline.process(frame(time=number / 60, level=80))
        assert result.faces[0].label == "calm"  # a result in each frame nevertheless
    assert fake_classifier.calls == pytest.approx(1 / MAX_AGE_SECONDS, abs=1)
    assert result.stats.inference.classified == fake_classifier.calls


def test_every_second_inference_in_doubt_is_flipped(pipeline, fake_classifier):
    for number in range(4):
        pipeline.process(frame(number / 10, number, level=58))
    assert fake_classifier.flips == [False, True, False, True]


class FakeBudget:
    """Allows three inferences in each frame; keeps what it was given."""

    def __init__(self):
        self.frames, self.spent = [], []

    def start_frame(self, frame_time, index, waited):
        self.frames.append((frame_time, index, waited))
        return 3

    def spend(self, inferences, seconds):
        self.spent.append((inferences, seconds))


def test_budget_limits_the_inferences_and_pays_for_them(tracker, fake_classifier, monkeypatch):
    monkeypatch.setattr(pipeline_module, "time", TickingClock())
    smoother, budget = FakeSmoother(), FakeBudget()
    pipeline = Pipeline(tracker, fake_classifier, smoother, budget)
    pipeline.process(frame(time=0.5, index=7), 0.25)
    assert (budget.frames, smoother.limits) == ([(0.5, 7, 0.25)], [3])
    assert budget.spent == [(1, 2.0)]  # a second each for the crop and the inference


def test_without_a_budget_there_is_no_limit(tracker, fake_classifier):
    smoother = FakeSmoother()
    Pipeline(tracker, fake_classifier, smoother).process(frame())
    assert smoother.limits == [None]


def test_probabilities_are_corrected_before_they_are_smoothed(tracker, fake_classifier):
    class SwappingCalibrator:
        def update(self, tracks, probabilities, now):
            assert (tracks, now) == ((Track(1, FACE_BOX),), 0.5)
            return {track_id: each[::-1] for track_id, each in probabilities.items()}

    smoother = FakeSmoother()
    Pipeline(tracker, fake_classifier, smoother, calibrator=SwappingCalibrator()).process(frame(level=80, time=0.5))
    assert smoother.updated[0][1][1] == pytest.approx([0.2, 0.8])


# --- the loop -----------------------------------------------------------------------------------------------------


def test_every_sink_gets_every_result_in_order(pipeline):
    sinks = [RecordingSink(), RecordingSink()]
    run_loop(pipeline, frames(80, 0, 60), sinks)
    for sink in sinks:
        assert [result.frame.index for result in sink.results] == [0, 1, 2]
        assert [len(result.faces) for result in sink.results] == [1, 0, 1]


def test_tracker_gets_the_times_of_the_frames(pipeline, tracker):
    run_loop(pipeline, (frame(time=seconds, index=index) for index, seconds in enumerate((0.0, 0.5, 5.0))))
    assert tracker.times == [0.0, 0.5, 5.0]


def test_frame_limit_takes_no_more_frames(pipeline):
    source = frames(80, 80, 80, 80)
    assert run_loop(pipeline, source, max_frames=2).stats.frames == 2
    assert next(source).index == 2


def test_stopped_run_ends_after_the_current_frame(pipeline):
    sink = RecordingSink()
    summary = run_loop(pipeline, frames(80, 80, 80, 80), [sink], stopped=lambda: len(sink.results) == 2)
    assert (summary.stats.frames, len(sink.results)) == (2, 2)


class RecordingLimiter(FrameRateLimiter):
    """Records its calls."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def wait(self, stopped=lambda: False):  # noqa: ARG002 (the signature of FrameRateLimiter)
        self.calls.append("wait")

    def report(self, *, faces):
        self.calls.append(faces)


def test_limiter_waits_before_each_frame_and_hears_of_faces(pipeline):
    limiter = RecordingLimiter()

    def source():
        for each in frames(80, 0):
            assert limiter.calls[-1] == "wait"
            yield each

    run_loop(pipeline, source(), limiter=limiter)
    assert limiter.calls == ["wait", True, "wait", False, "wait"]


def test_error_of_a_sink_ends_the_run(pipeline):
    class BrokenSink(RecordingSink):
        def write(self, result):  # noqa: ARG002 (the signature of a sink)
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        run_loop(pipeline, frames(80, 80), [BrokenSink()])


@pytest.mark.parametrize(("indices", "skipped"), [((0, 1, 2), 0), ((0, 3, 4), 2), ((2, 3), 2), ((0, 2, 5), 3)])
def test_gaps_in_the_index_count_as_skipped_frames(pipeline, indices, skipped):
    assert run_loop(pipeline, (frame(index=index) for index in indices)).stats.skipped == skipped


def test_each_result_has_the_counters_up_to_its_frame(pipeline):
    sink = RecordingSink()
    summary = run_loop(pipeline, (frame(index=index) for index in (0, 2, 5)), [sink])
    stats = [result.stats for result in sink.results]
    assert [(each.frames, each.skipped) for each in stats] == [(1, 0), (2, 1), (3, 3)]
    assert summary.stats == stats[-1]


# --- the summary --------------------------------------------------------------------------------------------------


def test_source_without_frames_gives_an_empty_summary(pipeline):
    summary = run_loop(pipeline, iter(()))
    assert (summary.stats, summary.face_results, summary.faces) == (RunStats(), 0, 0)
    assert summary.emotions == {}


def test_summary_counts_frames_faces_and_mean_probabilities(pipeline):
    summary = run_loop(pipeline, frames(80, 0, 60, 70))
    assert (summary.stats.frames, summary.face_results, summary.faces) == (4, 3, 1)
    assert summary.emotions == pytest.approx({"calm": 0.7, "cross": 0.3})


def test_summary_does_not_grow_with_the_number_of_faces(monkeypatch):
    monkeypatch.setattr(pipeline_module, "RECENT_IDS", 100)
    summary, sizes = Summary(), {}
    for track_id in range(1, 401):
        lost_before = face_result(track_id=max(1, track_id - 25))
        summary.add(frame_result(face_result(track_id=track_id), lost_before), 0.0)
        sizes[track_id] = len(pickle.dumps(summary))
    assert summary.faces == 400
    assert sizes[400] < 1.5 * sizes[100]


def test_summary_has_the_wall_time_of_capture_and_sinks_as_well(pipeline, monkeypatch):
    clock = FakeClock(100.0)
    monkeypatch.setattr(pipeline_module, "time", clock)

    class SlowSink(RecordingSink):
        def write(self, result):  # noqa: ARG002 (the signature of a sink)
            clock.now += 0.5

    def source():
        for each in frames(80, 80):
            clock.now += 1.5
            yield each

    summary = run_loop(pipeline, source(), [SlowSink()])
    assert (summary.seconds, summary.fps) == (4.0, 0.5)
    assert {stage: seconds for stage, seconds in summary.stages.items() if seconds} == {"capture": 3.0, "sinks": 1.0}
    assert Summary().fps == 0


def test_time_of_every_stage_is_in_the_result_and_summed(pipeline):
    sink = RecordingSink()
    summary = run_loop(pipeline, frames(80, 80), [sink])
    assert all(set(result.timings) == set(STAGES) for result in sink.results)
    assert set(summary.stages) == {*STAGES, "sinks"}
    for stage in STAGES:
        assert summary.stages[stage] == pytest.approx(sum(result.timings[stage] for result in sink.results))


@pytest.mark.parametrize(("waited", "expected"), [(0.25, 0.25), (-0.01, 0.0)])
def test_capture_and_conversion_have_their_own_stages(pipeline, waited, expected):
    timings = pipeline.process(replace(frame(), convert_seconds=0.004), waited).timings
    assert (timings["convert"], timings["capture"]) == (0.004, expected)


def test_conversion_does_not_count_as_capture(pipeline, monkeypatch):
    monkeypatch.setattr(pipeline_module, "time", TickingClock())
    sink = RecordingSink()
    run_loop(pipeline, iter([replace(frame(), convert_seconds=0.75)]), [sink])
    assert sink.results[0].timings["capture"] == pytest.approx(0.25)


def test_stage_timer_measures_from_the_end_of_the_last_stage(monkeypatch):
    monkeypatch.setattr(pipeline_module, "time", TickingClock())
    timer = StageTimer(capture=0.5)
    for stage in ("detect", "smooth", "smooth"):
        timer.end(stage)
    assert timer.timings == dict.fromkeys(STAGES, 0.0) | {"capture": 0.5, "detect": 1.0, "smooth": 2.0}


# --- the real parts -----------------------------------------------------------------------------------------------


def test_real_parts_classify_and_track_a_real_face(portrait, classifier, real_pipeline):
    gray = np.ascontiguousarray(portrait[..., 1])
    for index in range(3):
        (face,) = real_pipeline.process(Frame(gray, lambda: portrait, index / 10, index)).faces
        assert face.label == "happy"
        assert face.box.iou(PORTRAIT_FACE) > 0.7
        assert tuple(face.probabilities) == classifier.card.labels
        assert face.track_id == 1


def test_real_parts_classify_a_face_detected_in_a_small_image(portrait, real_pipeline):
    small = np.ascontiguousarray(portrait[..., 1])
    large = cv2.resize(small, None, fx=2, fy=2).astype(np.uint8)
    (face,) = real_pipeline.process(Frame(large, lambda: portrait, 0.0, 0, search_image=small)).faces
    assert face.label == "happy"
    assert face.box.iou(PORTRAIT_FACE.scaled(2)) > 0.7
