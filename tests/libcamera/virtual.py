"""Makes picamera2 accept libcamera's virtual camera, which is not a Raspberry Pi's.

What is changed in picamera2, and why:
- its imports of pykms and pidng, which display and store images and are not available on every machine: empty mocks;
- the raw modes of the sensor: the virtual camera has none, and picamera2 queries them;
- buffers are allocated by libcamera, as the virtual camera needs two planes where picamera2's own buffers have one;
- requests are handled at a limited rate: the virtual camera completes them at once.

Everything else is picamera2's and libcamera's own code, including the event loop, requests and timeouts.
"""

from __future__ import annotations

import sys
import time
from functools import cache
from typing import Any
from unittest.mock import MagicMock

REQUEST_INTERVAL_SECONDS = 1 / 30  # between two batches of as many images as there are buffers


@cache
def adapt() -> Any:
    """Return picamera2.Picamera2, changed for the virtual camera."""
    for name in ("pykms", "pidng", "pidng.core", "pidng.camdefs"):
        sys.modules[name] = MagicMock()
    from picamera2 import Picamera2
    from picamera2.allocators import LibcameraAllocator
    from picamera2.picamera2 import CameraManager

    init, handle_request = Picamera2.__init__, CameraManager.handle_request

    def init_with_libcamera_buffers(camera: Any, camera_num: int = 0) -> None:
        init(camera, camera_num, allocator=object())  # the default one needs a Raspberry Pi's memory
        camera.allocator = LibcameraAllocator(camera.camera)

    def handle_at_limited_rate(manager: Any, *arguments: Any) -> None:
        time.sleep(REQUEST_INTERVAL_SECONDS)
        handle_request(manager, *arguments)

    Picamera2.__init__, CameraManager.handle_request = init_with_libcamera_buffers, handle_at_limited_rate
    Picamera2._get_raw_modes = lambda _: [{"format": "NV12", "size": (1280, 960)}]
    return Picamera2
