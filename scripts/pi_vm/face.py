"""Print the image of the emulated board's camera: a face of the synthetic camera, nobody's photo.

usage: scripts/pi_vm/face.py >face.yuyv

Raw YUYV, 640 x 480, as the kernel's test camera takes it. Needs only Python: the machine that makes the board may have
no virtual environment yet.
"""

from __future__ import annotations

import ast
import math
import sys
import zipfile
from pathlib import Path

WIDTH, HEIGHT = 640, 480
FACE_SIZE = 240  # pixels a side
BACKGROUND = 90  # gray level
FACES = Path(__file__).resolve().parents[2] / "edge/capture/faces.npz"


def main() -> None:
    sys.stdout.buffer.write(yuyv(read_face("happy")))


def read_face(name: str) -> tuple[bytes, int]:
    """Return the gray levels of face `name`, row by row, and its side in pixels."""
    with zipfile.ZipFile(FACES) as faces:
        data = faces.read(f"{name}.npy")
    start = 10 + int.from_bytes(data[8:10], "little")  # numpy's format 1.0: magic, version, length, then a dict
    header = ast.literal_eval(data[10:start].decode())
    return data[start:], header["shape"][0]


def yuyv(face: tuple[bytes, int]) -> bytes:
    """Return the YUYV image with `face` at its center; both color components are neutral."""
    image = bytearray((BACKGROUND, 128)) * (WIDTH * HEIGHT)
    left, top = (WIDTH - FACE_SIZE) // 2, (HEIGHT - FACE_SIZE) // 2
    for y in range(FACE_SIZE):
        for x in range(FACE_SIZE):
            alpha = soft_mask(x, y)
            level = alpha * enlarged(face, x, y) + (1 - alpha) * BACKGROUND
            image[2 * ((top + y) * WIDTH + left + x)] = round(level)
    return bytes(image)


def soft_mask(x: int, y: int) -> float:
    """Return the opacity of the face at a pixel of it, 0 to 1: it fades towards a rounded border."""
    across, down = (abs(2 * value / (FACE_SIZE - 1) - 1) for value in (x, y))
    radius = math.sqrt(math.hypot(across**2, down**2))
    return min(1.0, max(0.0, (1 - radius) / 0.15))


def enlarged(face: tuple[bytes, int], x: int, y: int) -> float:
    """Return the gray level of `face` at a pixel of its FACE_SIZE x FACE_SIZE enlargement (bilinear)."""
    levels, side = face
    across, down = (value / (FACE_SIZE - 1) * (side - 1) for value in (x, y))
    x0, y0 = min(int(across), side - 2), min(int(down), side - 2)
    right, below = across - x0, down - y0
    upper = levels[y0 * side + x0] * (1 - right) + levels[y0 * side + x0 + 1] * right
    lower = levels[(y0 + 1) * side + x0] * (1 - right) + levels[(y0 + 1) * side + x0 + 1] * right
    return upper * (1 - below) + lower * below


if __name__ == "__main__":
    main()
