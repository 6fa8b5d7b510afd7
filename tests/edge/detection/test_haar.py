"""The Haar detector: faces in any area of an image of any size, and errors of the cascade file."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.config.defaults import MIN_FACE_SIZE
from edge.detection.haar import DEFAULT_CASCADE, MIN_NEIGHBORS, WINDOW_PIXELS, HaarDetector
from edge.errors import EmotionEdgeError, SettingsError
from edge.types import Box
from tests.support.images import PORTRAIT_FACE, draw_faces


@pytest.fixture(scope="module")
def gray(portrait):
    return cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY)


@pytest.fixture(scope="module")
def detector():
    return HaarDetector()


@pytest.mark.parametrize("factor", [0.5, 1, 2.5])
def test_face_is_detected_in_pixels_of_its_own_image(detector, gray, factor):
    (detection,) = detector.detect(cv2.resize(gray, None, fx=factor, fy=factor))
    assert detection.box.iou(PORTRAIT_FACE.scaled(factor)) > 0.7
    assert detection.score >= MIN_NEIGHBORS


def test_detections_are_sorted_by_score(detector):
    image = draw_faces(
        ("neutral", Box(40, 60, 110, 110)), ("angry", Box(400, 60, 110, 110)), ("disgust", Box(220, 250, 150, 150))
    )
    scores = [detection.score for detection in detector.detect(image)]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("min_size", "max_size", "count"),
    [(60, 150, 1), (130, 400, 0), (30, 70, 0), (MIN_FACE_SIZE, None, 1), (90, None, 1)],
)
def test_only_faces_between_the_sizes_are_detected(detector, gray, min_size, max_size, count):
    assert len(detector.detect(gray, None, min_size, max_size)) == count


@pytest.mark.parametrize(
    ("area", "count"),
    [
        (Box(150, 40, 160, 160), 1),
        (Box(300, 40, 200, 160), 0),  # next to the face
        (Box(150, 40, 80, 160), 0),  # half of the face
        (Box(-100, -200, 420, 420), 1),  # partly outside the image
        (Box(150, 40, 5000, 5000), 1),
    ],
)
@pytest.mark.parametrize("min_size", [20, 60])  # in full size, and downscaled
def test_only_faces_inside_the_area_are_detected(detector, gray, area, count, min_size):
    detections = [each for each in detector.detect(gray, area, min_size, 150) if each.score >= detector.confirm_score]
    assert [detection.box.iou(PORTRAIT_FACE) > 0.7 for detection in detections] == [True] * count


@pytest.mark.parametrize("min_size", [20, 60])
@pytest.mark.parametrize(
    "area",
    [Box(-300, 0, 200, 512), Box(0, -300, 512, 200), Box(900, 10, 99, 99), Box(9, 900, 99, 99), Box(5, 5, 0, 0)],
)
def test_area_outside_the_image_has_no_faces(detector, gray, area, min_size):
    assert detector.detect(gray, area, min_size) == []


@pytest.mark.parametrize("side", [WINDOW_PIXELS, 60, 240])
def test_cost_depends_on_the_ratio_of_sizes_not_on_pixels(monkeypatch, side):
    calls = []

    class RecordingCascade:
        def load(self, _):
            return True

        def getOriginalWindowSize(self):  # noqa: N802 (OpenCV's name)
            return 20, 20

        def detectMultiScale2(self, part, *_, minSize, maxSize):  # noqa: N802, N803 (OpenCV's names)
            calls.append((part.shape, minSize, maxSize))
            return (), ()

    monkeypatch.setattr(cv2, "CascadeClassifier", RecordingCascade)
    factor = side / WINDOW_PIXELS
    image = np.zeros((round(200 * factor), round(300 * factor)), np.uint8)
    HaarDetector().detect(image, None, side, 2 * side)
    assert calls == [((200, 300), (WINDOW_PIXELS, WINDOW_PIXELS), (2 * WINDOW_PIXELS, 2 * WINDOW_PIXELS))]


def test_dense_window_finds_what_the_sparse_one_finds(detector, gray):
    area = Box(120, 20, 210, 210)  # around the face
    for window in (detector.sparse_window, detector.dense_window):
        (detection,) = detector.detect(gray, area, 70, 140, window)
        assert detection.box.iou(PORTRAIT_FACE) > 0.7
    assert detector.dense_window >= 2 * detector.sparse_window


@pytest.mark.parametrize("shape", [(480, 640), (1, 1), (30, 30), (3, 2000), (2000, 3)])
@pytest.mark.parametrize("min_size", [16, MIN_FACE_SIZE, 300])
def test_uniform_image_of_any_shape_has_no_faces(detector, shape, min_size):
    assert detector.detect(np.full(shape, 90, np.uint8), None, min_size) == []


def test_view_gives_the_same_result_as_a_copy(detector, gray):
    view = np.pad(gray, ((0, 0), (0, 64)))[:, :512]  # the rows of a camera may be longer than its image
    assert detector.detect(view) == detector.detect(gray)


def test_another_cascade_can_be_used(gray):
    path = Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"  # type: ignore[attr-defined]
    assert path.name != DEFAULT_CASCADE
    of_other, of_default = (HaarDetector(cascade).detect(gray) for cascade in (path, None))
    assert max(detection.box.iou(PORTRAIT_FACE) for detection in of_other) > 0.7
    assert of_other != of_default


def test_missing_cascade_file_is_a_settings_error(tmp_path):
    with pytest.raises(SettingsError, match=r"eyes\.xml: .*no such"):
        HaarDetector(cascade=tmp_path / "eyes.xml")


def test_file_that_is_too_large_for_a_cascade_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("edge.detection.haar.MAX_CASCADE_BYTES", 10)
    (tmp_path / "large.xml").write_text("x" * 11)
    with pytest.raises(SettingsError, match=r"large\.xml: more than 10 bytes"):
        HaarDetector(cascade=tmp_path / "large.xml")


@pytest.mark.parametrize("content", ["", "no cascade", "<?xml version='1.0'?><opencv_storage></opencv_storage>"])
def test_file_that_is_not_a_cascade_is_a_settings_error(tmp_path, content):
    (tmp_path / "text.xml").write_text(content)
    with pytest.raises(SettingsError, match=r"text\.xml: not an? .*cascade"):
        HaarDetector(cascade=tmp_path / "text.xml")


def test_opencv_without_cascades_is_an_error_naming_the_package(monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(EmotionEdgeError, match="opencv-python-headless<5"):
        HaarDetector()


@pytest.mark.parametrize("roll", [-35, -25, 25, 35])
def test_tilted_face_is_detected_where_it_is(detector, roll):
    box = Box(200, 120, 150, 150)
    tilt = cv2.getRotationMatrix2D((320, 240), -roll, 1.0)
    image = cv2.warpAffine(draw_faces(("happy", box)), tilt, (640, 480), borderMode=cv2.BORDER_REPLICATE)
    center = tilt @ (275, 195, 1)
    (detection,) = detector.detect(image, roll=roll)
    assert all(upright.score < detection.score for upright in detector.detect(image))
    found = detection.box
    assert (found.x + found.width / 2, found.y + found.height / 2) == pytest.approx(center, abs=15)
    assert found.width == pytest.approx(150, rel=0.15)
    assert detection.roll == roll


def test_face_cut_by_the_border_is_detected_beyond_it(detector):
    image = draw_faces(("happy", Box(200, 120, 150, 150)))[:, 245:]  # 70 % of the face are left
    height, width = image.shape
    assert detector.detect(image) == []
    (detection,) = detector.detect(image, Box(-100, 0, width + 100, height))
    assert detection.box.x < 0 < detection.box.x + detection.box.width / 2
    assert detection.box.width == pytest.approx(150, rel=0.15)
