"""No pixel of a face that is found, followed or just lost reaches a sink with the option `blur`."""

import importlib
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edge.errors import UsageError
from edge.pipeline import Pipeline
from edge.sinks.annotate import annotate
from edge.sinks.face_blur import FaceBlur, pixelate
from edge.sinks.video import Sink as VideoSink
from edge.sinks.window import Sink as Window
from edge.types import Box, Frame, FrameResult, RunInfo, Track
from tests.support.fakes import FakeClassifier, FakeSmoother, FakeTracker, face_result

BOX = Box(60, 40, 40, 40)


@pytest.fixture(scope="module")
def noise():
    """An image (120, 160, 3) without two equal neighbors, so that a pixel that survives shows."""
    return np.random.default_rng(1).integers(0, 256, (120, 160, 3), np.uint8)


def make_result(image, faces=(), tracks=(), seconds=0.0) -> FrameResult:
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return FrameResult(Frame(gray, lambda: image, seconds, 0), tuple(faces), {}, tracks=tuple(tracks))


def is_hidden(image, original, box: Box) -> bool:
    """Return whether the box has few colors, and none of its pixels is the original one."""
    part, before = (
        each[box.y : box.y + box.height, box.x : box.x + box.width].reshape(-1, 3) for each in (image, original)
    )
    return len(np.unique(part, axis=0)) <= 16 and float((part == before).all(axis=1).mean()) < 0.01


def test_no_pixel_of_a_face_survives(noise):
    for face in (face_result(box=BOX, label=None), face_result(box=BOX)):
        hidden = FaceBlur().hide(make_result(noise, [face]))
        assert is_hidden(hidden.frame.color(), noise, BOX)
        assert not hidden.frame.gray.any()


@pytest.mark.parametrize("track_id", [0, 1])
def test_what_is_followed_without_a_result_is_hidden(noise, track_id):
    hidden = FaceBlur().hide(make_result(noise, tracks=[Track(track_id, BOX)]))
    assert is_hidden(hidden.frame.color(), noise, BOX)


def test_a_lost_face_stays_hidden_for_a_second(noise):
    blur = FaceBlur()
    blur.hide(make_result(noise, [face_result(box=BOX)]))
    assert is_hidden(blur.hide(make_result(noise, seconds=1.0)).frame.color(), noise, BOX)
    later = blur.hide(make_result(noise, seconds=1.1)).frame.color()
    assert np.array_equal(later, noise)


def test_a_face_that_moves_is_hidden_where_it_is(noise):
    blur, moved = FaceBlur(), replace(BOX, x=100)
    blur.hide(make_result(noise, [face_result(box=BOX)]))
    image = blur.hide(make_result(noise, [face_result(box=moved)], seconds=0.1)).frame.color()
    assert is_hidden(image, noise, moved)
    assert np.array_equal(image[:, :60], noise[:, :60])


@pytest.mark.parametrize("box", [Box(-30, 100, 40, 40), Box(150, -20, 40, 40), Box(0, 0, 160, 120), Box(155, 0, 6, 6)])
def test_a_face_at_the_border_has_no_smaller_cells(noise, box):
    inside = box.clipped(160, 120)
    assert is_hidden(pixelate(noise, [box]), noise, inside)


def test_boxes_and_labels_are_drawn_on_top(noise):
    result = FaceBlur().hide(make_result(noise, [face_result(box=BOX)]))
    assert not np.array_equal(annotate(result), result.frame.color())


def test_the_pipeline_tells_all_that_it_follows(noise):
    tracker = FakeTracker(BOX)
    tracker.candidates = [Track(0, Box(0, 0, 20, 20))]
    result = Pipeline(tracker, FakeClassifier(), FakeSmoother()).process(make_result(noise).frame)
    assert [track.track_id for track in result.tracks] == [1, 0]


def test_a_video_with_blur_has_no_face(noise, tmp_path):
    with VideoSink(f"{tmp_path}/a.png,blur") as sink:
        sink.write(make_result(noise, tracks=[Track(1, BOX)]))
    assert is_hidden(cv2.imread(str(tmp_path / "a.png")), noise, BOX)
    with pytest.raises(UsageError, match="unknown option 'blurr'; did you mean blur"):
        VideoSink(f"{tmp_path}/a.png,blurr")


def test_the_page_with_blur_has_no_face(noise):
    pytest.importorskip("tornado")
    web = importlib.import_module("edge.sinks.web")
    sink = web.Sink("image,blur")
    sink.write(make_result(noise, [face_result(box=BOX)]))
    assert is_hidden(sink._run_state.result_with_image.frame.color(), noise, BOX)
    with pytest.raises(UsageError, match="needs the option 'image'"):
        web.Sink("blur")


def test_the_window_with_blur_has_no_face(noise, monkeypatch):
    pytest.importorskip("pygame")
    shown: list[FrameResult] = []
    sink = Window("blur", RunInfo(live=True))
    monkeypatch.setattr(sink, "_process", SimpleNamespace(show=shown.append))
    sink.write(make_result(noise, [face_result(box=BOX)]))
    assert is_hidden(shown[0].frame.color(), noise, BOX)
    with pytest.raises(UsageError, match="both no-image and blur"):
        Window("no-image,blur")
