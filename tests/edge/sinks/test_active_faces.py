"""A face is present from its first frame until a second after its last."""

from edge.sinks.active_faces import GONE_AFTER_SECONDS, ActiveFaces
from tests.support.fakes import face_result


def test_a_missed_face_keeps_its_last_result():
    active = ActiveFaces()
    active.update(10.0, [face_result("calm")])
    (kept,) = active.update(10.0 + GONE_AFTER_SECONDS, [])
    assert (kept.track_id, kept.label) == (1, "calm")


def test_a_face_missed_for_longer_is_gone():
    active = ActiveFaces()
    active.update(10.0, [face_result("calm"), face_result("cross", track_id=2)])
    active.update(10.5, [face_result("cross", track_id=2)])
    assert [face.track_id for face in active.update(10.1 + GONE_AFTER_SECONDS, [])] == [2]


def test_faces_have_their_newest_result_and_are_sorted_by_id():
    active = ActiveFaces()
    active.update(10.0, [face_result("calm")])
    faces = active.update(10.1, [face_result("cross", track_id=2), face_result("cross")])
    assert [(face.track_id, face.label) for face in faces] == [(1, "cross"), (2, "cross")]


def test_all_faces_can_be_removed():
    active = ActiveFaces()
    active.update(10.0, [face_result("calm")])
    active.clear()
    assert active.update(10.0, []) == ()
