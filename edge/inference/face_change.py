"""Whether a face has changed since it was last classified: a cheap comparison that tolerates light and a moving box.

Two patches of the face are aligned by template matching and normalized to equal mean and contrast; their difference is
averaged over cells, and the largest cell counts: a mouth that opens changes a few cells much, noise all a little.

While a face of the synthetic camera fades to another emotion, the change is seen at the step at which the model's label
changes, or before, in 31 of 42 pairs of emotions; MAX_AGE_SECONDS of the schedule bounds the delay of the others. Its
moving face is seen as changed in 12 % of the frames 0.07 s after one with the same emotion, in 34 % after 0.5 s, and in
all after another emotion (benchmarks/face_change.py).
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
    return downscale(square, square.shape[0] / PATCH_PIXELS)


def face_change(before: NDArray[np.uint8], patch: NDArray[np.uint8]) -> float:
    """Return the largest difference of a cell between two patches of a face, in standard deviations; from 0."""
    face = _face(before)
    _, _, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(patch, face, cv2.TM_CCOEFF_NORMED))
    return _largest_difference(face, patch[y : y + FACE_PIXELS, x : x + FACE_PIXELS])


def has_changed(before: NDArray[np.uint8], patch: NDArray[np.uint8]) -> bool:
    """Return whether the face looks different in two patches; they are aligned only where they differ as they are."""
    return _largest_difference(_face(before), _face(patch)) > CHANGE_THRESHOLD < face_change(before, patch)


def _face(patch: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return `patch` without its border."""
    return patch[BORDER_PIXELS:-BORDER_PIXELS, BORDER_PIXELS:-BORDER_PIXELS]


def _largest_difference(face: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the largest difference of a cell of two faces (FACE_PIXELS, FACE_PIXELS), in standard deviations."""
    change = _normalized_cells(face) - _normalized_cells(other)
    return cv2.norm(change, cv2.NORM_INF)


def _normalized_cells(face: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the (CELLS, CELLS) means of `face` (FACE_PIXELS, FACE_PIXELS), in standard deviations from its mean."""
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(face))
    cells = cv2.resize(face.astype(np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    return ((cells - mean) / max(deviation, MIN_STANDARD_DEVIATION)).astype(np.float32, copy=False)
