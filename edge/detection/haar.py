"""Face detection in an image, or an area of it, by OpenCV's Haar cascade (Viola and Jones, CVPR 2001)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.config.defaults import MIN_FACE_SIZE
from edge.detection.downscale import downscale
from edge.errors import EmotionEdgeError, SettingsError
from edge.types import Box, Detection

DEFAULT_CASCADE = "haarcascade_frontalface_alt2.xml"  # no false positives in 20 images in which `default` had 4
WINDOW_PIXELS = 24  # that the smallest face is downscaled to: the cascade was trained on 20
SCALE_FACTOR = 1.1  # between two face sizes that are tried
MIN_NEIGHBORS = 2  # overlapping hits that are needed for a detection
# The first scale step of at least twice the cascade's own window. From this step on OpenCV tries every position of the
# downscaled image, below it every second one in each direction (4.x, FeatureEvaluator::updateScaleData).
DENSE_STEP = SCALE_FACTOR**8


class HaarDetector:
    """Finds upright frontal faces.

    Args:
        cascade: an OpenCV cascade XML file to use in place of the built-in one.
        threads: of OpenCV.

    Raises:
        EmotionEdgeError: OpenCV has no Haar cascades (version 5).
        SettingsError: the file is missing, or not a cascade.
    """

    def __init__(self, cascade: Path | None = None, threads: int = 1) -> None:
        if not hasattr(cv2, "CascadeClassifier"):
            raise EmotionEdgeError(
                f"OpenCV {cv2.__version__} has no Haar cascades; 'pip install \"opencv-python-headless<5\"'"
            )
        cv2.setNumThreads(threads)
        path = cascade or Path(cv2.data.haarcascades) / DEFAULT_CASCADE  # type: ignore[attr-defined] # the stubs lack it
        if not path.is_file():
            raise SettingsError(f"{path}: no such cascade file")
        self._cascade = cv2.CascadeClassifier()
        try:
            loaded = self._cascade.load(str(path))
        except cv2.error:
            loaded = False
        if not loaded:
            raise SettingsError(f"{path}: not an OpenCV cascade")
        # Values for the parameter `window` of `detect`, in pixels: with sparse_window no face size is tried at every
        # position, with dense_window every size is.
        self.sparse_window: float = min(self._cascade.getOriginalWindowSize())
        self.dense_window = self.sparse_window * DENSE_STEP

    def detect(
        self,
        gray: NDArray[np.uint8],
        area: Box | None = None,
        min_size: float = MIN_FACE_SIZE,
        max_size: float | None = None,
        window: float = WINDOW_PIXELS,
    ) -> list[Detection]:
        """Return the faces that lie inside `area`, the highest score first.

        Args:
            gray: (height, width), the complete image.
            area: the part of it to search, clipped to the image. None: the complete image.
            min_size, max_size: sides of the smallest and largest face to detect, in pixels of `gray`.
            window: pixels that the smallest face is downscaled to, so that the cost depends on the ratio of image size
                to face size and not on the number of pixels.
        """
        area = area or Box(0, 0, gray.shape[1], gray.shape[0])
        max_size = max_size or max(gray.shape)
        x0, y0 = max(0, area.x), max(0, area.y)
        part = gray[y0 : max(y0, area.y + area.height), x0 : max(x0, area.x + area.width)]
        factor = max(1.0, min_size / window)
        smallest, largest = (max(1, round(size / factor)) for size in (min_size, max_size))
        if min(part.shape) < min_size:  # includes a clipped area that is empty
            return []
        part = downscale(part, factor)
        boxes, neighbors = self._cascade.detectMultiScale2(
            part, SCALE_FACTOR, MIN_NEIGHBORS, minSize=(smallest, smallest), maxSize=(largest, largest)
        )
        detections = []
        for (x, y, width, height), score in zip(boxes, neighbors, strict=True):
            box = Box(x0 + round(x * factor), y0 + round(y * factor), round(width * factor), round(height * factor))
            detections.append(Detection(box, int(score)))
        return sorted(detections, key=lambda detection: -detection.score)
