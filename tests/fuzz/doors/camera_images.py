"""Images of a USB camera that sends MJPEG."""

from __future__ import annotations

import cv2
import numpy as np

from edge.capture.usb import SentFormat, make_decoders
from tests.fuzz.door import Door
from tests.support.image_files import encode

SENT = SentFormat("MJPG", 80, 48)


def seeds() -> list[bytes]:
    image = np.random.default_rng(1).integers(0, 255, (24, 40, 3), np.uint8)
    image = cv2.resize(image, (SENT.width, SENT.height)).astype(np.uint8)
    sampling = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422)
    restarts = (cv2.IMWRITE_JPEG_RST_INTERVAL, 4)
    encoded = [cv2.imencode(".jpg", image, each)[1].tobytes() for each in ((), sampling, restarts)]
    return [*encoded, encode(image, "JPEG", progressive=True), cv2.imencode(".png", image)[1].tobytes()]


def receive(content: bytes) -> None:
    for make_image in make_decoders("/dev/video0", SENT, np.frombuffer(content, np.uint8)):
        assert make_image().shape[:2] == (SENT.height, SENT.width)


DOOR = Door(
    seeds,
    receive,
    tokens=(
        b"\xff\xd8",
        b"\xff\xd9",
        b"\xff\xc0\0\x11\x08",
        b"\xff\xc4",
        b"\xff\xda\0\x0c\3",
        b"\xff\xdd\0\4\0\1",
        b"\xff\xe0",
    ),
    test_inputs=1500,
    campaign_inputs=50_000,
)
