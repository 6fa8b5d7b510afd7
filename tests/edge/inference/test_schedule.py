"""Scheduling of inferences: only those that can change a label, in a fair order."""

from __future__ import annotations

import pytest

from edge.capture.synthetic import SyntheticScene
from edge.inference.schedule import DOUBT_SECONDS, INFERENCE_INTERVAL_SECONDS, MAX_AGE_SECONDS, InferenceScheduler
from edge.types import Box, InferenceStats, Track

SCENE = SyntheticScene()
BOXES = [Box(20 + 120 * number, 100, 100, 100) for number in range(5)]
FPS = 30


def image(*emotions: str):
    """Return an image with a face for each of `emotions`, at BOXES."""
    return SCENE.draw(*zip(emotions, BOXES, strict=False))


def tracks(count=1):
    return [Track(number + 1, box) for number, box in enumerate(BOXES[:count])]


CALM, CHANGED = image("neutral"), image("happy")


def plan(scheduler, now, gray=CALM, faces=None, doubt=False, limit=None):
    """Return the track ids of the faces that are classified."""
    requests = scheduler.plan(gray, tracks() if faces is None else faces, lambda _: doubt, now, limit)
    return [request.track.track_id for request in requests]


def count_per_second(seconds, fps=FPS, **options):
    """Return how often a face is classified in a second."""
    scheduler = InferenceScheduler()
    times = [round(number / fps, 3) for number in range(round(seconds * fps))]  # milliseconds, as in videos
    return sum(len(plan(scheduler, now, **options)) for now in times) / seconds


def test_new_face_is_classified_at_once():
    assert plan(InferenceScheduler(), 5.0) == [1]


def test_face_in_doubt_is_classified_at_the_shortest_interval():
    scheduler = InferenceScheduler(interval=0.1)
    assert [bool(plan(scheduler, now, doubt=True)) for now in (5.0, 5.05, 5.09, 5.099, 5.15)] == [1, 0, 0, 1, 0]


def test_face_that_is_certain_and_looks_the_same_waits():
    scheduler = InferenceScheduler()
    plan(scheduler, 0.0)
    due = [number / FPS for number in range(1, FPS) if plan(scheduler, number / FPS)]
    assert due == [pytest.approx(MAX_AGE_SECONDS)]


def test_face_that_changed_is_classified_in_the_same_frame():
    scheduler = InferenceScheduler()
    plan(scheduler, 0.0)
    assert not plan(scheduler, 0.2)
    assert plan(scheduler, 0.2 + 1 / FPS, CHANGED) == [1]
    assert not plan(scheduler, 0.4, CHANGED)


@pytest.mark.parametrize(("fps", "doubt", "expected"), [(30, True, 15), (60, True, 15), (10, True, 10), (30, False, 2)])
def test_rate_of_inferences_is_independent_of_the_frame_rate(fps, doubt, expected):
    assert count_per_second(1.5, fps, doubt=doubt) == pytest.approx(expected, abs=1)


def test_doubt_about_a_face_that_does_not_change_ends():
    seconds = 10.0
    expected = DOUBT_SECONDS / INFERENCE_INTERVAL_SECONDS + (seconds - DOUBT_SECONDS) / MAX_AGE_SECONDS
    assert count_per_second(seconds, doubt=True) * seconds == pytest.approx(expected, abs=3)


def test_face_that_changes_again_may_be_in_doubt_again():
    scheduler, seconds = InferenceScheduler(), 2 * DOUBT_SECONDS
    times = [number / FPS for number in range(round((seconds + 1) * FPS))]
    classified = [now for now in times if plan(scheduler, now, CALM if now < seconds else CHANGED, doubt=True)]
    assert sum(now >= seconds for now in classified) == pytest.approx(1 / INFERENCE_INTERVAL_SECONDS, abs=1)
    assert sum(seconds - 1 <= now < seconds for now in classified) == pytest.approx(1 / MAX_AGE_SECONDS, abs=1)


def test_every_second_inference_in_doubt_is_flipped():
    scheduler = InferenceScheduler(interval=0.1)
    flips = []
    for number, doubt in enumerate([True, True, True, True, False, True]):
        (request,) = scheduler.plan(image("neutral" if number % 2 else "happy"), tracks(), lambda _: doubt, number)  # noqa: B023
        flips.append(request.flip)
    assert flips == [False, True, False, True, False, True]


def test_within_a_limit_no_face_is_left_out():
    scheduler, faces, classified = InferenceScheduler(), tracks(5), []
    gray = image(*["neutral"] * 5)
    for number in range(30):
        classified += plan(scheduler, number / FPS, gray, faces, doubt=True, limit=1)
    assert {classified.count(track.track_id) for track in faces} == {6}


def test_new_face_goes_before_those_that_wait():
    scheduler, gray = InferenceScheduler(), image("neutral", "neutral", "neutral")
    assert plan(scheduler, 0.0, gray, tracks(2), limit=2) == [1, 2]
    assert plan(scheduler, 1.0, gray, tracks(2), limit=0) == []
    assert plan(scheduler, 2.0, gray, tracks(3), limit=2) == [3, 1]


def test_face_that_waited_stays_due_until_its_turn():
    scheduler = InferenceScheduler()
    plan(scheduler, 0.0)
    assert not plan(scheduler, 0.1, CHANGED, limit=0)
    (request,) = scheduler.plan(CALM, tracks(), lambda _: False, 0.3)  # it looks as before again
    assert request.waited == pytest.approx(0.2)


def test_source_that_restarts_is_classified_at_once():
    scheduler = InferenceScheduler()
    plan(scheduler, 100.0)
    assert plan(scheduler, 0.0) == [1]
    assert not plan(scheduler, 0.01)


def test_face_that_is_not_kept_is_new_again():
    scheduler = InferenceScheduler()
    plan(scheduler, 0.0)
    scheduler.keep({1})
    assert not plan(scheduler, 0.1)
    scheduler.keep(set())
    assert plan(scheduler, 0.11)


def test_stats_count_each_face_of_each_frame_once():
    scheduler, gray = InferenceScheduler(), image("neutral", "neutral")
    plan(scheduler, 0.0, gray, tracks(2))
    plan(scheduler, 0.01, gray, tracks(2))
    plan(scheduler, 0.1, gray, tracks(2))
    plan(scheduler, 1.0, gray, tracks(2), limit=1)
    assert scheduler.stats == InferenceStats(classified=3, recent=2, unchanged=2, waiting=1)
