"""Where faces are in a part of a picture: OpenCV's Haar cascade (Viola and Jones, CVPR 2001)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.detection.downscale import shrink
from edge.errors import EmotionEdgeError, SettingsError
from edge.types import Box, Find

CASCADE = "haarcascade_frontalface_alt2.xml"  # no false find in 20 pictures where `default` had 4
MIN_FACE = 30  # pixels; a face of fewer tells little: the model was trained on 48
WINDOW = 24  # pixels; the smallest face that is searched for is shrunk to this: the cascade was trained on 20
SCALE = 1.1  # step between two sizes searched for
SUPPORT = 2  # overlapping finds that make a face
# First step from twice the cascade's own size on. From there OpenCV tries every place of the shrunk picture, before it
# every second one in each direction (4.x, FeatureEvaluator::updateScaleData).
DENSE = SCALE**8


class Detector:
    """Finds upright frontal faces.

    Args:
        cascade: an XML file of OpenCV's to use instead of the built-in one.
        threads: of OpenCV.

    Raises:
        EmotionEdgeError: OpenCV has no cascades (version 5). SettingsError: the file is no cascade.
    """

    def __init__(self, cascade: Path | None = None, threads: int = 1) -> None:
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
        self.own = min(self._cascade.getOriginalWindowSize())  # pixels of the smallest face that it can find

    def find(
        self,
        grey: NDArray[np.uint8],
        within: Box | None = None,
        smallest: float = MIN_FACE,
        largest: float | None = None,
        window: float = WINDOW,
    ) -> list[Find]:
        """Return the faces in a part of a picture, the best supported first.

        Args:
            grey: (height, width) of the whole picture.
            within: the part of it that is searched; what lies outside the picture is left out. None: all of it.
            smallest, largest: sides of the faces searched for, in pixels of `grey`.
            window: pixels to which the smallest is shrunk, so that the cost depends on sizes in faces, not in pixels.
        """
        within = within or Box(0, 0, grey.shape[1], grey.shape[0])
        largest = largest or max(grey.shape)
        x0, y0 = max(0, within.x), max(0, within.y)
        part = grey[y0 : max(y0, within.y + within.height), x0 : max(x0, within.x + within.width)]
        factor = max(1.0, smallest / window)
        least, most = (max(1, round(side / factor)) for side in (smallest, largest))
        if min(part.shape) < smallest:  # also where nothing of it is left
            return []
        part = shrink(part, factor)
        boxes, support = self._cascade.detectMultiScale2(
            part, SCALE, SUPPORT, minSize=(least, least), maxSize=(most, most)
        )
        finds = []
        for (x, y, width, height), hits in zip(boxes, support, strict=True):
            box = Box(x0 + round(x * factor), y0 + round(y * factor), round(width * factor), round(height * factor))
            finds.append(Find(box, int(hits)))
        return sorted(finds, key=lambda find: -find.support)
