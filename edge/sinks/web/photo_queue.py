"""Uploaded photos, analyzed one after another in memory and not kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from edge.sinks.web.rate_limiter import RateLimiter
from edge.sinks.web.run_in_thread import run_in_thread
from edge.sinks.web.upload_budget import UploadBudget

MAX_PHOTO_BYTES = 10_000_000
MAX_PENDING_PHOTOS = 3
MAX_PHOTOS, PHOTO_RATE_SECONDS = 20, 60.0  # of one address


class PhotoQueue:
    """Analyzes one photo at a time, so that the run keeps the other cores.

    Args:
        analyze_image: see edge.types.RunInfo.
    """

    def __init__(self, analyze_image: Callable[[bytes], Mapping[str, Any]]) -> None:
        self._analyze_image = analyze_image
        self._turn = asyncio.Lock()
        self._pending = 0
        self.limiter = RateLimiter(MAX_PHOTOS, PHOTO_RATE_SECONDS)
        self.budget = UploadBudget()

    @property
    def is_full(self) -> bool:
        return self._pending >= MAX_PENDING_PHOTOS

    async def analyze(self, content: bytes) -> Mapping[str, Any]:
        """Return size and faces of the photo, ready for JSON. Raises ImageError or WorkerError."""
        self._pending += 1
        try:
            async with self._turn:
                # The thread only waits for another process, so it does not delay the end of this one.
                return await run_in_thread(lambda: self._analyze_image(content), native=False)
        finally:
            self._pending -= 1
