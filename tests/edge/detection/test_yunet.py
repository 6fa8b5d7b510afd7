"""YuNet: OpenCV's rows become detections, what an image is searched for, and what is refused.

The network itself is in no package. A fake stands in for cv2.FaceDetectorYN that returns rows in its documented format:
x, y, width, height; x and y of right eye, left eye, nose, right and left corner of the mouth; score.
"""

import cv2
import numpy as np
import pytest

from edge.detection.network import TileSearch
from edge.detection.yunet import (
    BOX_SCALE,
    MAX_TILE_PIXELS,
    MIN_VIDEO_FACE_SIZE,
    WINDOW_PIXELS,
    YuNetDetector,
    make_tiles,
)
from edge.errors import EmotionEdgeError, ModelError
from edge.types import Box

FACE = Box(200, 120, 80, 100)  # in an image of SIZE
SIZE = (640, 480)


class FakeNetwork:
    """Sees a face at FACE in each image, with its eyes level; keeps the sizes of its inputs."""

    def __init__(self):
        self.sizes = []
        self.faces = [(FACE, 0.9)]
        self.eyes = (0.3, 0.4), (0.7, 0.4)  # x and y of right and left eye in the box

    def setInputSize(self, size):  # noqa: N802 (OpenCV's name)
        self.sizes.append(size)

    def detect(self, image):
        assert image.ndim == 3
        if not self.sizes:  # the trial of a new detector
            return 1, None
        assert image.shape == (self.sizes[-1][1], self.sizes[-1][0], 3)
        scale = np.array(self.sizes[-1]) / SIZE
        rows = []
        for box, score in self.faces:
            points = np.array(((box.x, box.y), (box.width, box.height))) * scale
            eyes = [points[0] + points[1] * eye for eye in self.eyes]
            rows.append([*points.ravel(), *np.ravel(eyes), *[0] * 6, score])
        return 1, np.array(rows, np.float32) if rows else None


@pytest.fixture
def network(monkeypatch):
    fake = FakeNetwork()
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_: fake)
    return fake


@pytest.fixture
def detector(network, tmp_path):
    (tmp_path / "net.onnx").touch()
    return YuNetDetector(tmp_path / "net.onnx")


@pytest.fixture
def gray():
    return np.full(SIZE[::-1], 100, np.uint8)


@pytest.mark.parametrize("min_size", [16, 32, 64, 90])
def test_row_becomes_a_square_box_in_pixels_of_the_image(network, detector, gray, min_size):
    (face,) = detector.detect(gray, None, min_size)
    side = BOX_SCALE * (FACE.width * FACE.height) ** 0.5
    assert face.box.width == face.box.height == pytest.approx(side, abs=2)
    assert face.box.x + face.box.width / 2 == pytest.approx(FACE.x + FACE.width / 2, abs=2)
    assert (face.score, face.roll) == (pytest.approx(0.9), pytest.approx(0, abs=0.1))
    factor = max(1, min_size / WINDOW_PIXELS)
    assert network.sizes == [(round(SIZE[0] / factor), round(SIZE[1] / factor))]


def test_roll_is_that_of_the_eyes(network, detector, gray):
    network.eyes = (0.3, 0.3), (0.7, 0.5)  # of a box 80 wide and 100 high
    (face,) = detector.detect(gray)
    assert face.roll == pytest.approx(np.degrees(np.arctan2(20, 32)), abs=0.1)


def test_only_faces_in_the_image_and_the_range_are_returned(network, detector, gray):
    network.faces = [
        (FACE, 0.7),
        (Box(-90, 100, 100, 100), 0.9),
        (Box(300, 100, 20, 20), 0.9),
        (Box(300, 100, 90, 90), 0.8),
    ]
    assert [face.score for face in detector.detect(gray, None, 40)] == pytest.approx([0.8, 0.7])
    network.faces = []
    assert detector.detect(gray) == []
    network.faces = [(Box(100, 100, 50, 50), np.nan)]
    assert detector.detect(gray) == []
    assert detector.detect(gray, Box(700, 10, 50, 50)) == []


def test_image_is_searched_at_two_sizes_each_face_once(network, detector, gray):
    (face,) = TileSearch(detector, make_tiles).detect(gray, WINDOW_PIXELS)
    assert face.box.iou(FACE) > 0.6
    assert network.sizes == [(640, 480), (160, 120)]


def test_video_is_searched_for_large_faces_only(detector):
    assert [tile.min_size for tile in detector.make_tiles(640, 480, 30)] == [
        MIN_VIDEO_FACE_SIZE,
        4 * MIN_VIDEO_FACE_SIZE,
    ]
    assert [tile.min_size for tile in detector.make_tiles(1280, 720, 200)] == [200]


@pytest.mark.parametrize(("width", "height"), [(640, 75_000), (75_000, 640), (7000, 7000), (16, 50_000), (1281, 1705)])
@pytest.mark.parametrize("min_size", [16, 30, 100])
def test_downscaled_tiles_are_bounded_and_each_face_is_in_one(width, height, min_size):
    tiles = make_tiles(width, height, min_size)
    for tile in tiles:
        factor = max(1, tile.min_size / WINDOW_PIXELS)
        assert max(tile.area.width, tile.area.height) / factor < MAX_TILE_PIXELS + 100
    random = np.random.default_rng(0)
    for side in np.geomspace(min_size, min(width, height), 40).astype(int) if tiles else ():
        x, y = (int(random.integers(0, length - side + 1)) for length in (width, height))
        areas = [tile.area for tile in tiles if tile.min_size <= side <= tile.max_size]
        assert any(
            area.x <= x and area.y <= y and x + side <= area.x + area.width and y + side <= area.y + area.height
            for area in areas
        )


def test_usual_image_is_one_tile_of_each_range():
    for width, height in ((640, 480), (480, 640), (640, 1280), (6000, 8000)):
        tiles = make_tiles(width, height, 30 * max(1, width / 640))
        assert {tile.area for tile in tiles} == {Box(0, 0, width, height)}


@pytest.mark.parametrize("content", [b"", b"text", bytes(1000)])
def test_file_that_is_no_network_is_refused(tmp_path, content):
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"net\.onnx: not a YuNet network that OpenCV 4") as found:
        YuNetDetector(tmp_path / "net.onnx")
    assert "\n" not in str(found.value)


def test_git_lfs_pointer_is_explained(tmp_path):
    (tmp_path / "net.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(ModelError, match="Git LFS pointer"):
        YuNetDetector(tmp_path / "net.onnx")


def test_opencv_without_the_class_is_an_error_naming_it(tmp_path, monkeypatch):
    (tmp_path / "net.onnx").touch()
    monkeypatch.delattr(cv2, "FaceDetectorYN")
    with pytest.raises(EmotionEdgeError, match="has no FaceDetectorYN"):
        YuNetDetector(tmp_path / "net.onnx")
