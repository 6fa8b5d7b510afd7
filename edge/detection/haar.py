"""Face detection in an image, or an area of it, by OpenCV's Haar cascade (Viola and Jones, CVPR 2001)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.config.defaults import MIN_FACE_SIZE
from edge.detection.detector import Detector
from edge.detection.downscale import downscale
from edge.detection.tile_scheduler import Tile, make_tiles
from edge.errors import EmotionEdgeError, SettingsError
from edge.system.paths import file_problem, native_name
from edge.types import Box, Detection

PROFILE_CASCADE = "haarcascade_profileface.xml"  # finds heads that are turned to one side
DEFAULT_CASCADE = "haarcascade_frontalface_alt2.xml"  # no false positives in 20 images in which `default` had 4
MAX_CASCADE_BYTES = 20_000_000  # OpenCV's largest has 3 MB
WINDOW_PIXELS = 24  # that the smallest face is downscaled to: the cascade was trained on 20
SCALE_FACTOR = 1.1  # between two face sizes that are tried
PROFILE_WINDOW_PIXELS = 28  # WINDOW_PIXELS of the profile cascade: with 24 it found 9 of 10 real profiles, with 28 all
MIN_NEIGHBORS = 2  # overlapping hits that are needed for a detection
# The first scale step of at least twice the cascade's own window. From this step on OpenCV tries every position of the
# downscaled image, below it every second one in each direction (4.x, FeatureEvaluator::updateScaleData).
DENSE_STEP = SCALE_FACTOR**8
CONFIRM_SCORE = 6.0  # of one detection, which confirms a track at once
# Of the largest face of a tile: how far the tiles of a video reach beyond the image. With a quarter, half of the
# smallest face, the cascade found 80 % of 70 real faces of which 30 % were outside, and none without.
BORDER = 0.25
# Degrees, of a turned search. Of 70 real faces, tilted by 0, 10, 20 and 30 degrees, the cascade found 100, 89, 45 and
# 8 %; turned by 20 degrees towards them it found 44, 90, 99 and 91 %.
TILT = 20.0
MIN_PROFILE_SCORE = 3  # of a head in profile, near a face that was tracked there


def make_detector(file: Path | None, threads: int) -> Detector:
    """Return the detector for videos, with the cascade in `file`; None: the built-in one."""
    return HaarDetector(file, threads)


class HaarDetector:
    """Finds upright frontal faces.

    Args:
        cascade: an OpenCV cascade XML file to use in place of the built-in one.
        threads: of OpenCV.

    Raises:
        EmotionEdgeError: OpenCV has no Haar cascades (version 5).
        SettingsError: the file is missing, or not a cascade.
    """

    confirm_score = CONFIRM_SCORE
    rolls: tuple[float, ...] = (TILT, -TILT)

    def __init__(self, cascade: Path | None = None, threads: int = 1) -> None:
        if not hasattr(cv2, "CascadeClassifier"):
            raise EmotionEdgeError(
                f"OpenCV {cv2.__version__} has no Haar cascades; 'pip install \"opencv-python-headless<5\"'"
            )
        cv2.setNumThreads(threads)
        path = cascade or Path(cv2.data.haarcascades) / DEFAULT_CASCADE  # type: ignore[attr-defined] # the stubs lack it
        if problem := file_problem(path):
            raise SettingsError(f"{path}: {problem}, expected an OpenCV cascade")
        if path.stat().st_size > MAX_CASCADE_BYTES:
            raise SettingsError(f"{path}: more than {MAX_CASCADE_BYTES:,} bytes; not an OpenCV cascade")
        self._cascade = cv2.CascadeClassifier()
        try:
            loaded = self._cascade.load(native_name(path))
        except cv2.error:
            loaded = False
        if not loaded:
            raise SettingsError(f"{path}: not an OpenCV cascade")
        # Values for the parameter `window` of `detect`, in pixels: with sparse_window no face size is tried at every
        # position, with dense_window every size is.
        self.sparse_window: float = min(self._cascade.getOriginalWindowSize())
        self.dense_window = self.sparse_window * DENSE_STEP
        self._threads = threads
        self._profile: HaarDetector | None = None

    def make_tiles(self, width: int, height: int, min_face_size: float) -> list[Tile]:
        """Return the tiles of an image of a video, see edge.detection.tile_scheduler.make_tiles."""
        return make_tiles(width, height, min_face_size, WINDOW_PIXELS, BORDER)

    def detect(
        self,
        gray: NDArray[np.uint8],
        area: Box | None = None,
        min_size: float = MIN_FACE_SIZE,
        max_size: float | None = None,
        window: float = WINDOW_PIXELS,
        roll: float = 0.0,
    ) -> list[Detection]:
        """Return the faces that lie inside `area`, the highest score first, with their centers inside the image.

        Args:
            gray: (height, width), the complete image.
            area: the part of it to search. Where it reaches beyond the image, the image's border pixels are repeated:
                the cascade then finds a face that the border cuts. None: the complete image.
            min_size, max_size: sides of the smallest and largest face to detect, in pixels of `gray`.
            window: pixels that the smallest face is downscaled to, so that the cost depends on the ratio of image size
                to face size and not on the number of pixels.
            roll: degrees, clockwise positive: heads that are tilted by about this angle are found. The area is turned
                about its center by as much, so that faces in its corners may be lost.
        """
        height, width = gray.shape
        area = area or Box(0, 0, width, height)
        max_size = max_size or max(gray.shape)
        inside = area.clipped(width, height)
        factor = max(1.0, min_size / window)
        smallest, largest = (max(1, round(size / factor)) for size in (min_size, max_size))
        if not inside.width or not inside.height or min(area.width, area.height) < min_size:
            return []
        part = downscale(gray[inside.slices], factor)
        left, top = round((inside.x - area.x) / factor), round((inside.y - area.y) / factor)
        if inside != area:
            right = round((area.x + area.width - inside.x - inside.width) / factor)
            bottom = round((area.y + area.height - inside.y - inside.height) / factor)
            part = cv2.copyMakeBorder(part, top, bottom, left, right, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
        part, turn_back = _turn_upright(part, roll)
        boxes, neighbors = self._cascade.detectMultiScale2(
            part, SCALE_FACTOR, MIN_NEIGHBORS, minSize=(smallest, smallest), maxSize=(largest, largest)
        )
        detections = []
        for (x, y, box_width, box_height), score in zip(boxes, neighbors, strict=True):
            half = np.array((box_width, box_height)) / 2
            corner = turn_back @ (x + half[0], y + half[1], 1.0) - half if roll else np.array((x, y))
            box_x, box_y = (round(float(value) * factor) for value in corner - (left, top))
            box = Box(inside.x + box_x, inside.y + box_y, round(box_width * factor), round(box_height * factor))
            if 0 <= box.x + box.width / 2 < width and 0 <= box.y + box.height / 2 < height:
                detections.append(Detection(box, int(score), roll))
        return sorted(detections, key=lambda detection: -detection.score)

    def detect_profiles(
        self,
        gray: NDArray[np.uint8],
        area: Box,
        min_size: float,
        max_size: float,
        window: float = PROFILE_WINDOW_PIXELS,
    ) -> list[Detection]:
        """Return the heads inside `area` that are turned to either side. Arguments as of `detect`."""
        if self._profile is None:
            path = Path(cv2.data.haarcascades) / PROFILE_CASCADE  # type: ignore[attr-defined] # the stubs lack it
            self._profile = HaarDetector(path, self._threads)
        inside = area.clipped(gray.shape[1], gray.shape[0])
        part = gray[inside.slices]
        x, y = area.x - inside.x, area.y - inside.y
        area_of_part = Box(x, y, area.width, area.height)
        area_of_mirror = Box(inside.width - x - area.width, y, area.width, area.height)
        detections = self._profile.detect(part, area_of_part, min_size, max_size, window)
        for found in self._profile.detect(
            np.ascontiguousarray(part[:, ::-1]), area_of_mirror, min_size, max_size, window
        ):
            detections.append(replace(found, box=replace(found.box, x=inside.width - found.box.x - found.box.width)))
        detections = [
            replace(found, box=replace(found.box, x=inside.x + found.box.x, y=inside.y + found.box.y))
            for found in detections
        ]
        return [found for found in detections if found.score >= MIN_PROFILE_SCORE]


def _turn_upright(part: NDArray[np.uint8], roll: float) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return `part` (height, width) turned by `roll` degrees counterclockwise, and the (2, 3) matrix back."""
    if not roll:
        return part, np.eye(2, 3)
    height, width = part.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), roll, 1.0)
    turned = cv2.warpAffine(part, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return turned.astype(np.uint8, copy=False), np.asarray(cv2.invertAffineTransform(turn), np.float64)
