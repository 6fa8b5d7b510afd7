"""BlazeFace, short range: a small network for near faces, from a .tflite file that the user brings.

Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019 (arXiv 1907.05047). The
layout of its tensors and anchors and the thresholds are those of MediaPipe's graph face_detection_short_range.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.detection.detector import Detector, ImageDetector
from edge.detection.downscale import downscale
from edge.detection.network import TileSearch, head_roll, read_network, square_box
from edge.detection.tile_scheduler import Tile
from edge.errors import ModelError
from edge.system.tflite import make_interpreter
from edge.types import Box, Detection

INPUT_PIXELS = 128  # side of the network's input
ANCHOR_GRIDS = ((16, 2), (8, 6))  # cells on each side, anchors in each cell; an anchor is the center of its cell
ANCHORS = sum(side * side * count for side, count in ANCHOR_GRIDS)  # 896
POINTS = 8  # of an anchor, each x and y: center of the box, its size, and six keypoints
CENTER, SIZE, RIGHT_EYE, LEFT_EYE = range(4)  # among the points; the eyes of the person
MIN_SCORE = 0.6  # probability of a face; at 0.5 there were several times as many extra faces in images
MAX_LOGIT = 80.0  # beyond which the exponential of a float32 overflows
NMS_IOU = 0.3  # above which two boxes are the same face; MediaPipe's
CONFIRM_SCORE = 0.75  # of a detection that needs no second one
# Side of the smallest face as a fraction of a tile's: of faces of 0.31 97 % were found, of 0.25 87 %, of 0.19 33 %.
MIN_FACE_FRACTION = 0.25
# Haar boxes, which the classifier's padding is made for, relative to the network's: medians over 1,187 faces of
# FER2013's training data that both found.
BOX_SCALE, BOX_RISE = 1.12, 0.09
MARGIN = 1 / 7  # of the side of a tile, around the image: with it more faces that the border cuts were found
SIZE_RATIO = 2**0.5  # of the sides of two sizes of tiles; with 2 or 1.26 more tiles are needed for the same faces
SIZE_OVERLAP = 1.15  # of the size ranges of two tiles: both find a size near the limit
# Of the shorter side of the image: smaller faces are not searched for in a video. Half the size takes four times as
# many tiles.
MIN_VIDEO_FRACTION = 0.18


def make_detector(file: Path, threads: int) -> Detector:
    """Return the detector for videos with the network in `file`."""
    return BlazeFaceDetector(file, threads)


def make_image_detector(file: Path, threads: int) -> ImageDetector:
    """Return the detector for single images with the network in `file`."""
    return TileSearch(BlazeFaceDetector(file, threads), make_tiles)


class BlazeFaceDetector:
    """Finds faces that are upright to half lying and seen from the front or half from the side.

    Args:
        path: a .tflite file with an input (1, 128, 128, 3), RGB from -1 to 1, and outputs (1, 896, 16) and (1, 896, 1),
            all float32.
        threads: of the runtime.

    Raises:
        EmotionEdgeError: no TFLite runtime is installed.
        ModelError: the file is not such a network.
    """

    sparse_window = dense_window = float(INPUT_PIXELS)
    confirm_score = CONFIRM_SCORE
    rolls: tuple[float, ...] = ()

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._interpreter = make_interpreter(read_network(path), path, threads)
        shapes = {
            "input": (1, INPUT_PIXELS, INPUT_PIXELS, 3),
            "boxes": (1, ANCHORS, 2 * POINTS),
            "scores": (1, ANCHORS, 1),
        }
        found = [*self._interpreter.get_input_details(), *self._interpreter.get_output_details()]
        by_shape = {tuple(each["shape"].tolist()): each["index"] for each in found if each["dtype"] is np.float32}
        if by_shape.keys() != set(shapes.values()) or len(found) != len(shapes):
            described = ", ".join(f"{tuple(each['shape'].tolist())} {np.dtype(each['dtype']).name}" for each in found)
            expected = ", ".join(map(str, shapes.values()))
            raise ModelError(
                f"{path}: not BlazeFace short range: its tensors are {described}, expected {expected}, all float32"
            )
        self._tensors = {name: by_shape[shape] for name, shape in shapes.items()}
        self._anchors = make_anchors()
        self._input = np.full((1, INPUT_PIXELS, INPUT_PIXELS, 3), -1, np.float32)

    def make_tiles(self, width: int, height: int, min_face_size: float) -> list[Tile]:
        """Return the tiles of an image of a video; faces below MIN_VIDEO_FRACTION of its shorter side are left out."""
        return make_tiles(width, height, max(min_face_size, MIN_VIDEO_FRACTION * min(width, height)))

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
        min_size: float = 1.0,
        max_size: float | None = None,
        window: float = 0.0,  # noqa: ARG002 (there is one way to search)
        roll: float = 0.0,  # noqa: ARG002 (the network finds tilted heads)
    ) -> list[Detection]:
        """Return the faces in `area` of `gray`, see Detector; those above MIN_FACE_FRACTION of its longer side."""
        height, width = gray.shape
        area = area or Box(0, 0, width, height)
        inside = area.clipped(width, height)
        if not inside.width or not inside.height:
            return []
        factor = max(area.width, area.height) / INPUT_PIXELS
        part = downscale(gray[inside.slices], factor)
        scale = inside.width / part.shape[1], inside.height / part.shape[0]
        left, top = round((inside.x - area.x) / factor), round((inside.y - area.y) / factor)
        part = part[: INPUT_PIXELS - top, : INPUT_PIXELS - left]  # rounding may add a pixel
        # Outside of the image it is black, as in MediaPipe: with repeated border pixels fewer faces were found.
        self._input.fill(-1)
        self._input[0, top : top + part.shape[0], left : left + part.shape[1]] = part[:, :, np.newaxis] / 127.5 - 1
        detections = []
        for points, score in zip(*self._infer(), strict=True):
            center, right_eye, left_eye = (
                (points[index] - (left, top)) * scale + (inside.x, inside.y) for index in (CENTER, RIGHT_EYE, LEFT_EYE)
            )
            side = BOX_SCALE * float((points[SIZE] * scale).mean())
            in_image = 0 <= center[0] < width and 0 <= center[1] < height
            if in_image and min_size <= side <= (max_size or math.inf):
                tilt = head_roll(right_eye, left_eye)
                detections.append(Detection(square_box(center, side, BOX_RISE, tilt), float(score), tilt))
        return detections

    def _infer(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the points (faces, POINTS, 2) in pixels of the input, and the scores (faces,), the highest first."""
        self._interpreter.set_tensor(self._tensors["input"], self._input)
        self._interpreter.invoke()
        points = self._interpreter.get_tensor(self._tensors["boxes"])[0].reshape(ANCHORS, POINTS, 2)
        logits = self._interpreter.get_tensor(self._tensors["scores"])[0, :, 0]
        scores = 1 / (1 + np.exp(-np.clip(logits, -MAX_LOGIT, MAX_LOGIT)))
        # A damaged network may return NaN, which no comparison is true for.
        likely = (scores >= MIN_SCORE) & (points[:, SIZE] > 0).all(axis=1) & np.isfinite(points).all(axis=(1, 2))
        points = points[likely] + self._anchors[likely, np.newaxis]
        points[:, SIZE] -= self._anchors[likely]
        return weighted_non_max_suppression(points, scores[likely])


def make_anchors() -> NDArray[np.float32]:
    """Return the (x, y) of the ANCHORS, in pixels of the input, in the order of the network's outputs: row by row."""
    grids = []
    for side, count in ANCHOR_GRIDS:
        centers = (np.arange(side) + 0.5) * INPUT_PIXELS / side
        x, y = np.meshgrid(centers, centers)
        grids.append(np.stack((x.ravel(), y.ravel()), axis=1).repeat(count, axis=0))
    return np.concatenate(grids).astype(np.float32)


def weighted_non_max_suppression(
    points: NDArray[np.float32], scores: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return one face for each group of overlapping ones, the highest score first.

    A face is the mean of its group weighted by score, which keeps a box from jumping between two anchors from frame to
    frame (section 3.3 of the paper); its score is the highest one. A group is all that overlaps its best by NMS_IOU.

    Args:
        points: (faces, POINTS, 2), center and size first.
        scores: (faces,).
    """
    order = np.argsort(-scores, kind="stable")
    points, scores = points[order], scores[order]
    merged, best_scores = [], []
    while len(scores):
        corners = points[:, CENTER] - points[:, SIZE] / 2, points[:, CENTER] + points[:, SIZE] / 2
        sides = np.minimum(corners[1], corners[1][0]) - np.maximum(corners[0], corners[0][0])
        intersection = sides.clip(min=0).prod(axis=1)
        areas = points[:, SIZE].prod(axis=1)
        same = intersection / (areas + areas[0] - intersection) > NMS_IOU
        same[0] = True
        merged.append(np.average(points[same], axis=0, weights=scores[same]))
        best_scores.append(scores[0])
        points, scores = points[~same], scores[~same]
    return np.reshape(merged, (-1, POINTS, 2)).astype(np.float32), np.array(best_scores, np.float32)


def make_tiles(width: int, height: int, min_face_size: float) -> list[Tile]:
    """Return square tiles that together cover an image for faces of at least `min_face_size` pixels.

    The largest ones are as high as the image, or as wide, and have a margin around it. Each face lies inside of a tile
    for its size.
    """
    if min_face_size > min(width, height):
        return []
    side, max_size, tiles = min(width, height) / (1 - 2 * MARGIN), math.inf, []
    while True:
        smallest = MIN_FACE_FRACTION * side
        columns, rows = (_tile_starts(length, side, min(max_size, width, height)) for length in (width, height))
        areas = [Box(x, y, round(side), round(side)) for y in rows for x in columns]
        tiles += [Tile(area, min_face_size, max_size) for area in areas]
        if smallest <= min_face_size:
            return tiles
        side, max_size = side / SIZE_RATIO, smallest * SIZE_OVERLAP


def _tile_starts(length: int, side: float, overlap: float) -> list[int]:
    """Return where tiles of `side` pixels start that cover `length` with a margin, neighbors sharing `overlap`."""
    margin = MARGIN * side
    rest = max(0.0, length + 2 * margin - side)  # that one tile does not cover
    count = 1 + math.ceil(rest / (side - overlap) - 1e-6)
    first = -margin if count > 1 else (length - side) / 2
    return [round(first + number * rest / max(1, count - 1)) for number in range(count)]
