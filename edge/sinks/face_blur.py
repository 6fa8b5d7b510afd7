"""Pixelates faces in the image before a sink gets it: option `blur` of video, window and web.

A face that is not found is not pixelated. Pixelation hides a face from a viewer; it is no proof of anonymity: hair,
clothes and the place remain, and programs that know the candidates can compare even coarse mosaics (McPherson, Shokri
and Shmatikov, Defeating Image Obfuscation with Deep Learning, 2016). So the cells are few: the padded box has 16 mean
colors, two to three cells from ear to ear, fewer than a feature of a face. Each frame of a moving face has other means,
from which a finer image might be computed; that grows with the number of cells as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.types import Box, FrameResult

CELLS = 4  # per side of the padded box
PADDING = 0.25  # of the box's side, on each side: a detector's box ends at chin and eyebrows, and is late by a frame
LOST_SECONDS = 1.0  # for which the last box of a face that is lost is pixelated

Image = NDArray[np.uint8]


class FaceBlur:
    """Pixelates the faces of a run: those with a result, those that are only followed, and those just lost."""

    def __init__(self) -> None:
        self._boxes: list[tuple[int, float, Box]] = []  # track id (0: none yet), seconds, box

    def hide(self, result: FrameResult) -> FrameResult:
        """Return `result` with the faces of its color image pixelated, and without its gray image.

        Must get each frame of the run, in their order.
        """
        frame = result.frame
        faces, tracks = result.faces, result.tracks
        found = [(face.track_id, face.box) for face in faces] + [(track.track_id, track.box) for track in tracks]
        present = [(track_id, frame.time, box) for track_id, box in found]
        ids = {track_id for track_id, _, _ in present if track_id}
        lost = [
            (track_id, seconds, box)
            for track_id, seconds, box in self._boxes
            if track_id not in ids and 0 <= frame.time - seconds <= LOST_SECONDS and not frame.is_image
        ]
        self._boxes = [*present, *lost]
        boxes = [box for _, _, box in self._boxes]
        gray = np.broadcast_to(np.uint8(0), frame.gray.shape)
        color = cache(lambda: pixelate(frame.color(), boxes))
        return replace(result, frame=replace(frame, gray=gray, color=color, search_image=None))


def pixelate(image: Image, boxes: Iterable[Box]) -> Image:
    """Return a copy of `image`, (height, width, 3), in which each of `boxes` with its surroundings is a few cells."""
    height, width = image.shape[:2]
    hidden = image.copy()
    for box in boxes:
        pad_x, pad_y = round(PADDING * box.width), round(PADDING * box.height)
        area = Box(box.x - pad_x, box.y - pad_y, box.width + 2 * pad_x, box.height + 2 * pad_y).clipped(width, height)
        if area.width < 1 or area.height < 1:
            continue
        # As large where the image's border cuts off a part of the box.
        across = max(1, round(CELLS * area.width / (box.width + 2 * pad_x)))
        down = max(1, round(CELLS * area.height / (box.height + 2 * pad_y)))
        cells = cv2.resize(hidden[area.slices], (across, down), interpolation=cv2.INTER_AREA)
        hidden[area.slices] = cv2.resize(cells, (area.width, area.height), interpolation=cv2.INTER_NEAREST)
    return hidden
