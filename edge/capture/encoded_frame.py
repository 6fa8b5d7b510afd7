"""Frames as a camera sends them: the loop decodes those that it takes, and leaves damaged ones out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.errors import CameraError, ImageError
from edge.types import Frame

# With damaged images only, after which the camera is given up: as long as for one that is stuck (LatestFrame). After
# 20 shorter runs systemd would not restart the service again, and a loose cable may be mended hours later.
DAMAGED_TIMEOUT_SECONDS = 20.0

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class EncodedFrame:
    """A frame that is not decoded yet, so that one which the loop skips costs nothing. Fields as in Frame."""

    decode_gray: Callable[[], Image]  # () -> (height, width); raises ImageError if the image is damaged
    color: Callable[[], Image]
    time: float
    index: int
    captured_at: float


class FrameDecoder:
    """Decodes the frames of a camera."""

    def __init__(self) -> None:
        self._damaged_since: float | None = None  # None: the last image was not damaged

    def decode(self, frame: Frame | EncodedFrame) -> Frame | None:
        """Return `frame` with its gray image; None if that is damaged.

        Raises CameraError if all images have been damaged for DAMAGED_TIMEOUT_SECONDS.
        """
        if isinstance(frame, Frame):
            return frame
        start = time.monotonic()
        try:
            gray = frame.decode_gray()
        except ImageError as error:
            self._damaged_since = start if self._damaged_since is None else self._damaged_since
            if start - self._damaged_since > DAMAGED_TIMEOUT_SECONDS:
                raise CameraError(
                    f"all images of the camera have been damaged for {DAMAGED_TIMEOUT_SECONDS:g} s ({error}); check "
                    "the cable, and connect it without a hub"
                ) from error
            return None
        self._damaged_since = None
        seconds = time.monotonic() - start
        return Frame(gray, frame.color, frame.time, frame.index, convert_seconds=seconds, captured_at=frame.captured_at)
