"""Makes picamera2 take libcamera's virtual camera, which is no Raspberry Pi's.

What is changed of picamera2, and why:
- its imports of pykms and pidng, which show and store images and are not for every machine: empty stand-ins;
- the raw modes of the sensor: the virtual camera has none, and picamera2 asks each camera for them;
- who allocates buffers: libcamera, as the virtual camera needs two planes where picamera2's own buffers have one;
- how often it looks for images: the virtual camera has the next ones as soon as it is asked, so it is asked seldom.

Everything else is picamera2's and libcamera's own code, the event loop, requests and time-outs included.
"""

from __future__ import annotations

import sys
import time
from functools import cache
from typing import Any
from unittest.mock import MagicMock

TURN = 1 / 30  # seconds between two turns, of as many images as there are buffers


@cache
def adapt() -> Any:
    """Return picamera2.Picamera2, ready for the virtual camera."""
    for name in ("pykms", "pidng", "pidng.core", "pidng.camdefs"):
        sys.modules[name] = MagicMock()
    from picamera2 import Picamera2
    from picamera2.allocators import LibcameraAllocator
    from picamera2.picamera2 import CameraManager

    begin, handle = Picamera2.__init__, CameraManager.handle_request

    def opened(camera: Any, camera_num: int = 0) -> None:
        begin(camera, camera_num, allocator=object())  # in place of one that wants a Raspberry Pi's memory
        camera.allocator = LibcameraAllocator(camera.camera)

    def paced(manager: Any, *arguments: Any) -> None:
        time.sleep(TURN)
        handle(manager, *arguments)

    Picamera2.__init__, CameraManager.handle_request = opened, paced
    Picamera2._get_raw_modes = lambda _: [{"format": "NV12", "size": (1280, 960)}]
    return Picamera2
