"""edge.sinks.active_faces: who is there."""

from __future__ import annotations

from edge.sinks.active_faces import GONE_SECONDS, ActiveFaces
from tests.support.fakes import face_result


def ids(readings):
    return [reading.track_id for reading in readings]


def test_a_face_that_is_not_found_for_a_moment_stays_with_its_last_reading():
    presence = ActiveFaces()
    presence.update(10.0, [face_result("calm", track_id=1)])
    (kept,) = presence.update(10.0 + GONE_SECONDS, [])
    assert (kept.track_id, kept.label) == (1, "calm")


def test_a_face_that_is_not_found_for_longer_is_gone():
    presence = ActiveFaces()
    presence.update(10.0, [face_result("calm", track_id=1), face_result("cross", track_id=2)])
    presence.update(10.5, [face_result("cross", track_id=2)])
    assert ids(presence.update(10.1 + GONE_SECONDS, [])) == [2]


def test_the_newest_reading_counts_and_who_came_first_comes_first():
    presence = ActiveFaces()
    presence.update(10.0, [face_result("calm", track_id=1)])
    now = presence.update(10.1, [face_result("cross", track_id=2), face_result("cross", track_id=1)])
    assert [(one.track_id, one.label) for one in now] == [(1, "cross"), (2, "cross")]


def test_everybody_can_be_had_gone_at_once():
    presence = ActiveFaces()
    presence.update(10.0, [face_result("calm", track_id=1)])
    presence.clear()
    assert presence.update(10.0, []) == ()
