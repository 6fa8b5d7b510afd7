"""Whether a face has changed since it was last classified: a cheap comparison that tolerates light and a moving box.

Two patches of the face are aligned by template matching and normalized to equal mean and contrast; their difference is
averaged over cells, and the largest cell counts: a mouth that opens changes a few cells much, noise all a little.

In images of the synthetic camera that fade from one emotion to another, with noise of 4 gray levels, CHANGE_THRESHOLD
is passed at the same step as the model's label changes or before in 34 of 42 pairs of emotions. On its clips
(benchmarks/label_stability.py) a face that keeps its emotion passes it in a sixth of the frames half a second later,
where the emotion changed in all of them.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.detection.downscale import downscale
from edge.inference.preprocess import crop
from edge.types import Box

FACE_PIXELS = 24  # side of the face in a patch
BORDER_PIXELS = 4  # around it, by which a later box may be off
CELL_PIXELS = 4  # side of a cell
PATCH_PIXELS = FACE_PIXELS + 2 * BORDER_PIXELS
CELLS = FACE_PIXELS // CELL_PIXELS  # in each direction
CHANGE_THRESHOLD = 0.4  # standard deviations of the patch; above it the face has changed
MIN_STANDARD_DEVIATION = 1.0  # gray levels; a patch with less is uniform


def extract_patch(gray: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Return the face in `box` of `gray` (height, width) with a border, (PATCH_PIXELS, PATCH_PIXELS)."""
    square = crop(gray, box, BORDER_PIXELS / FACE_PIXELS)
    factor = square.shape[0] / PATCH_PIXELS
    patch = downscale(square, factor)
    if patch.shape != (PATCH_PIXELS, PATCH_PIXELS):  # subsampling may have rounded
        patch = cv2.resize(patch, (PATCH_PIXELS, PATCH_PIXELS)).astype(np.uint8, copy=False)
    return patch


def face_change(before: NDArray[np.uint8], patch: NDArray[np.uint8]) -> float:
    """Return the largest difference of a cell between two patches of a face, in standard deviations; from 0."""
    face = before[BORDER_PIXELS:-BORDER_PIXELS, BORDER_PIXELS:-BORDER_PIXELS]
    _, _, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(patch, face, cv2.TM_CCOEFF_NORMED))
    change = _normalized_cells(patch[y : y + FACE_PIXELS, x : x + FACE_PIXELS]) - _normalized_cells(face)
    return float(np.abs(change).max())


def _normalized_cells(face: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the (CELLS, CELLS) means of `face` (FACE_PIXELS, FACE_PIXELS), in standard deviations from its mean."""
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(face))
    cells = cv2.resize(face.astype(np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    return ((cells - mean) / max(deviation, MIN_STANDARD_DEVIATION)).astype(np.float32, copy=False)
