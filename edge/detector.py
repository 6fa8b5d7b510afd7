"""Where the faces are: OpenCV's Haar cascade on a grey picture (Viola and Jones, CVPR 2001)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import EmotionEdgeError, SettingsError
from edge.values import Box

CASCADE = "haarcascade_frontalface_alt2.xml"  # no false find in 20 pictures where `default` had 4
SEARCH_WIDTH = 640  # pixels; a wider picture is searched at this width, so that cost does not grow with the camera
SCALE = (
    1.1  # step between two sizes searched for; 1.2 is 1.6 times faster and lost a fifth of the finds on a stage clip
)
NEIGHBOURS = 3  # overlapping finds that make a face


class Detector:
    """Finds upright frontal faces.

    Args:
        min_face: smallest side of a face in pixels of a picture SEARCH_WIDTH wide; of the picture where it is narrower.
        cascade: an XML file of OpenCV's to use instead of the built-in one.
        threads: of OpenCV.

    Raises:
        EmotionEdgeError: OpenCV has no cascades (version 5). SettingsError: the file is no cascade.
    """

    def __init__(self, min_face: int = 40, cascade: Path | None = None, threads: int = 1) -> None:
        if not hasattr(cv2, "CascadeClassifier"):
            raise EmotionEdgeError(
                f"OpenCV {cv2.__version__} has no Haar cascades; 'pip install \"opencv-python-headless<5\"'"
            )
        cv2.setNumThreads(threads)
        path = cascade or Path(cv2.data.haarcascades) / CASCADE  # type: ignore[attr-defined] # the stubs lack it
        if not path.is_file():
            raise SettingsError(f"{path}: no such cascade file")
        self._cascade = cv2.CascadeClassifier()
        try:
            good = self._cascade.load(str(path))
        except cv2.error:
            good = False
        if not good:
            raise SettingsError(f"{path}: not a cascade of OpenCV's")
        self._min_face = min_face

    def find(self, grey: NDArray[np.uint8]) -> list[Box]:
        """Return the boxes of the faces in `grey` (height, width), largest first."""
        shrink = max(1.0, grey.shape[1] / SEARCH_WIDTH)
        searched = grey
        if shrink > 1:
            size = (SEARCH_WIDTH, max(1, round(grey.shape[0] / shrink)))
            searched = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        found = self._cascade.detectMultiScale(searched, SCALE, NEIGHBOURS, minSize=(self._min_face, self._min_face))
        boxes = [Box(*(round(int(value) * shrink) for value in row)) for row in found]
        return sorted(boxes, key=lambda box: -box.width)
