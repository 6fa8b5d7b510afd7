"""Uploaded photos, analyzed one after another in memory and not kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.sinks import serialize
from edge.sinks.web.photo_decoder import decode_photo
from edge.sinks.web.rate_limiter import RateLimiter
from edge.sinks.web.run_in_thread import run_in_thread
from edge.types import FaceResult

MAX_PENDING_PHOTOS = 3
MAX_PHOTOS, PHOTO_RATE_SECONDS = 20, 60.0  # of one address


class PhotoQueue:
    """Analyzes one photo at a time, so that the run keeps the other cores.

    Args:
        analyze_image: see edge.types.RunInfo.
    """

    def __init__(self, analyze_image: Callable[[NDArray[np.uint8]], Sequence[FaceResult]]) -> None:
        self._analyze_image = analyze_image
        self._turn = asyncio.Lock()
        self._pending = 0
        self.limiter = RateLimiter(MAX_PHOTOS, PHOTO_RATE_SECONDS)

    @property
    def is_full(self) -> bool:
        return self._pending >= MAX_PENDING_PHOTOS

    async def analyze(self, content: bytes) -> dict[str, Any]:
        """Return size and faces of the photo, ready for JSON. Raises PhotoError."""
        self._pending += 1
        try:
            async with self._turn:
                # In two steps: the end of the process waits for the one that runs.
                image = await run_in_thread(lambda: decode_photo(content), native=True)
                faces = await run_in_thread(lambda: self._analyze_image(image), native=True)
        finally:
            self._pending -= 1
        height, width = image.shape[:2]
        return {"width": width, "height": height, "faces": [serialize.face_to_dict(face) for face in faces]}
