"""YuNet by OpenCV's FaceDetectorYN: a network for faces of all sizes, from an .onnx file that the user brings.

Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20, 2023. The columns of
its results are those in the documentation of cv::FaceDetectorYN::detect.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.config.defaults import MIN_FACE_SIZE, SEARCH_WIDTH_PIXELS
from edge.detection.detector import Detector, ImageDetector
from edge.detection.downscale import downscale
from edge.detection.network import TileSearch, head_roll, read_network, square_box
from edge.detection.tile_scheduler import Tile, make_spans
from edge.errors import EmotionEdgeError, ModelError
from edge.system.native_output import suppress_native_output
from edge.types import Box, Detection

WINDOW_PIXELS = 32  # that the smallest face is downscaled to: 87 of 100 faces of 32 pixels were found, 97 of 40
STRIDE = 32  # of the network: its input is padded to a multiple of this
MIN_SCORE = 0.6
CONFIRM_SCORE = 0.8  # of a detection that needs no second one
NMS_IOU = 0.3  # above which two boxes are the same face; OpenCV's default
MAX_CANDIDATES = 5000  # boxes before non-maximum suppression; OpenCV's default
# Haar boxes, which the classifier's padding is made for, relative to the network's: medians over 1,171 faces of
# FER2013's training data that both found. The side is that of a square with the area of the network's box.
BOX_SCALE, BOX_RISE = 1.09, 0.03
SIZE_RATIO = 4.0  # of the smallest face sizes of two searches of an image: large faces are found better when downscaled
SIZE_OVERLAP = 1.15  # of the size ranges of two searches: both find a size near the limit
# Side of a downscaled tile; it may be longer by half the overlap. OpenCV took 84 bytes for each pixel of the network's
# input. An image of the usual shapes is one tile.
MAX_TILE_PIXELS = 1280
# Of an image SEARCH_WIDTH_PIXELS wide: smaller faces are not searched for in a video. Half the size takes four times as
# long, in one frame.
MIN_VIDEO_FACE_SIZE = 60
LFS_POINTER = b"version https://git-lfs"  # what a download of a file in Git LFS may bring in its place


def make_detector(file: Path, threads: int) -> Detector:
    """Return the detector for videos with the network in `file`."""
    return YuNetDetector(file, threads)


def make_image_detector(file: Path, threads: int) -> ImageDetector:
    """Return the detector for single images with the network in `file`."""
    return TileSearch(YuNetDetector(file, threads), make_tiles)


class YuNetDetector:
    """Finds faces of any pose, from the front to a profile.

    Args:
        path: YuNet's .onnx file.
        threads: of OpenCV.

    Raises:
        EmotionEdgeError: OpenCV has no FaceDetectorYN (it came with 4.5.4, and needs the module dnn).
        ModelError: the file is not such a network.
    """

    sparse_window = dense_window = float(WINDOW_PIXELS)
    confirm_score = CONFIRM_SCORE
    rolls: tuple[float, ...] = ()

    def __init__(self, path: Path, threads: int = 1) -> None:
        if not hasattr(cv2, "FaceDetectorYN"):
            raise EmotionEdgeError(
                f"OpenCV {cv2.__version__} has no FaceDetectorYN; 'pip install \"opencv-python-headless<5\"'"
            )
        cv2.setNumThreads(threads)
        content = read_network(path)
        if content.startswith(LFS_POINTER):
            raise ModelError(f"{path}: a Git LFS pointer, not the file itself; get it with 'git lfs pull'")
        side = (STRIDE, STRIDE)
        try:
            with suppress_native_output(2):  # OpenCV prints what it cannot parse; its errors come as exceptions
                self._network = cv2.FaceDetectorYN.create(
                    "onnx",
                    np.frombuffer(content, np.uint8),
                    np.zeros(0, np.uint8),
                    side,
                    MIN_SCORE,
                    NMS_IOU,
                    MAX_CANDIDATES,
                )
                self._network.detect(np.zeros((*side, 3), np.uint8))
        except cv2.error as error:
            reason = " ".join(str(getattr(error, "err", error)).split())
            raise ModelError(f"{path}: not a YuNet network that OpenCV {cv2.__version__} can run: {reason}") from error

    def make_tiles(self, width: int, height: int, min_face_size: float) -> list[Tile]:
        """Return the searches of an image of a video; faces below MIN_VIDEO_FACE_SIZE are left out."""
        return make_tiles(width, height, max(min_face_size, MIN_VIDEO_FACE_SIZE * width / SEARCH_WIDTH_PIXELS))

    def detect_profiles(
        self,
        gray: NDArray[np.uint8],  # noqa: ARG002 (another detector needs it)
        area: Box,  # noqa: ARG002
        min_size: float,  # noqa: ARG002
        max_size: float,  # noqa: ARG002
    ) -> list[Detection]:
        """Return none: `detect` finds heads that are turned to one side."""
        return []

    def detect(
        self,
        gray: NDArray[np.uint8],
        area: Box | None = None,
        min_size: float = MIN_FACE_SIZE,
        max_size: float | None = None,
        window: float = 0.0,  # noqa: ARG002 (there is one way to search)
        roll: float = 0.0,  # noqa: ARG002 (the network finds tilted heads)
    ) -> list[Detection]:
        """Return the faces in `area` of `gray`, see Detector."""
        height, width = gray.shape
        inside = (area or Box(0, 0, width, height)).clipped(width, height)
        if not inside.width or not inside.height:
            return []
        part = downscale(gray[inside.slices], max(1.0, min_size / WINDOW_PIXELS))
        scale = np.array((inside.width / part.shape[1], inside.height / part.shape[0]))
        self._network.setInputSize((part.shape[1], part.shape[0]))
        _, rows = self._network.detect(cv2.cvtColor(part, cv2.COLOR_GRAY2BGR))
        detections = []
        # A row: x, y, width and height of the box, x and y of right eye, left eye, nose and both corners of the mouth,
        # and the score. None: no face.
        for row in () if rows is None else rows[np.isfinite(rows).all(axis=1)]:
            box_size, right_eye, left_eye = (row[first : first + 2] * scale for first in (2, 4, 6))
            center = row[0:2] * scale + box_size / 2 + (inside.x, inside.y)
            side = BOX_SCALE * math.sqrt(max(0.0, float(box_size.prod())))
            in_image = 0 <= center[0] < width and 0 <= center[1] < height
            if in_image and min_size <= side <= (max_size or math.inf):
                tilt = head_roll(right_eye, left_eye)
                detections.append(Detection(square_box(center, side, BOX_RISE, tilt), float(row[14]), tilt))
        return sorted(detections, key=lambda detection: -detection.score)


def make_tiles(width: int, height: int, min_face_size: float) -> list[Tile]:
    """Return the tiles of an image, for each range of face sizes from `min_face_size` pixels up.

    A tile is the complete image where that is not too long. Each face lies inside the area of a tile for its size.
    """
    tiles, min_size = [], min_face_size
    while min_size <= min(width, height):
        is_last = min_size * SIZE_RATIO > min(width, height)
        max_size = math.inf if is_last else min_size * SIZE_RATIO * SIZE_OVERLAP
        side = MAX_TILE_PIXELS * max(1.0, min_size / WINDOW_PIXELS)
        columns, rows = (make_spans(length, side, min(max_size, width, height)) for length in (width, height))
        tiles += [Tile(Box(x0, y0, x1 - x0, y1 - y0), min_size, max_size) for y0, y1 in rows for x0, x1 in columns]
        min_size *= SIZE_RATIO
    return tiles
