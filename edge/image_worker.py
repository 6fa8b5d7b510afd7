"""The child process that decodes and analyzes uploaded images; edge.app starts it by its name when one arrives.

request   the content of an image file
answer    JSON: {"width", "height", "faces"}, or {"error"}: one sentence for the person who sent it
"""

from __future__ import annotations

import json
import sys
from typing import Any

import cv2
import numpy as np

from edge.app import make_upload_analyzer, worker_settings
from edge.errors import ImageError
from edge.image_analyzer import ImageAnalyzer
from edge.sinks import serialize
from edge.system import worker_process
from edge.system.image_decoding import decode_image

# Baseline JPEG, the format of phone cameras, is downscaled while it is decoded. Of other formats MAX_DECODING_BYTES
# allows fewer pixels: PNG 30 million, progressive JPEG 14 million or more, WebP 12.8 million.
MAX_PIXELS, MAX_DECODING_BYTES = 80_000_000, 90_000_000
MAX_SIDE_PIXELS = 1280  # of the image that is analyzed; the run needs the processor as well
FORMATS = ("JPEG", "PNG", "WebP")


def main() -> None:
    """Answer requests; the argument is that of edge.app.worker_command."""
    cv2.setNumThreads(1)
    settings = worker_settings(sys.argv[1])
    analyzer = make_upload_analyzer(settings)
    analyzer.analyze(np.zeros((MAX_SIDE_PIXELS, MAX_SIDE_PIXELS, 3), np.uint8))  # before the memory is limited
    worker_process.serve(lambda content: json.dumps(analyze(analyzer, content)).encode())


def analyze(analyzer: ImageAnalyzer, content: bytes) -> dict[str, Any]:
    """Return the answer for the image file `content`."""
    try:
        image = decode_image(
            content, MAX_PIXELS, max_side=MAX_SIDE_PIXELS, max_bytes=MAX_DECODING_BYTES, formats=FORMATS
        )
        faces = [serialize.face_to_dict(face) for face in analyzer.analyze(image)]
    except ImageError as error:
        return {"error": str(error)}
    height, width = image.shape[:2]
    return {"width": width, "height": height, "faces": faces}
