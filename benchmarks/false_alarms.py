"""Count what the loop and the naive one take for faces where there are none.

usage: .venv-test/bin/python benchmarks/false_alarms.py     (after scripts/test.sh has made .venv-test)

Seventeen images without a face that scikit-image ships (a cat, coins, a rocket, ...), each for four seconds under a
camera that pans and zooms, with a sensor's noise. Takes some minutes, nearly all of them the naive loop's.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

from benchmarks.versus_baseline import run_naive, run_ours
from edge.config.models import shipped_model
from edge.inference.classifier import Classifier
from edge.types import Frame

IMAGES = [
    "coffee",
    "chelsea",
    "rocket",
    "brick",
    "grass",
    "gravel",
    "coins",
    "moon",
    "clock",
    "page",
    "text",
    "hubble_deep_field",
    "immunohistochemistry",
    "retina",
    "colorwheel",
    "cell",
    "horse",
]
WIDTH, HEIGHT, FPS, SECONDS, NOISE = 640, 480, 30, 4, 5.0


def main() -> None:
    frames, classifier = list(film()), Classifier(shipped_model())
    minutes = len(frames) / FPS / 60
    print(f"{len(frames)} frames without a face{'':14} boxes  frames with one  a minute")
    loops = {f"naive, {name}": run_naive(frames, classifier, name)[1] for name in ("default", "alt2")}
    loops["ours"] = run_ours(frames, classifier)[1]
    for name, found in loops.items():
        wrong = sum(map(bool, found))
        print(f"{name:36} {sum(map(len, found)):6} {wrong:16} {wrong / minutes:9.0f}")


def film() -> Iterator[Frame]:
    rng = np.random.default_rng(0)
    for number, name in enumerate(IMAGES):
        gray = _gray(np.asarray(getattr(skimage.data, name)()))
        for step in range(FPS * SECONDS):
            index = number * FPS * SECONDS + step
            image = np.clip(_view(gray, step / FPS) + rng.normal(0, NOISE, (HEIGHT, WIDTH)), 0, 255).astype(np.uint8)
            yield Frame(image, lambda: image, index / FPS, index)  # noqa: B023 (nobody asks for it)


def _gray(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    if image.dtype == bool or np.issubdtype(image.dtype, np.floating):
        image = (image.astype(np.float32) * 255).astype(np.uint8)
    if image.ndim == 3:
        return cv2.cvtColor(np.ascontiguousarray(image[..., :3]), cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    return image.astype(np.uint8)


def _view(gray: NDArray[np.uint8], seconds: float) -> NDArray[np.float32]:
    high, wide = gray.shape
    scale = max(WIDTH / wide, HEIGHT / high) * (1.1 + 0.3 * np.sin(seconds))
    x, y = wide * (0.5 + 0.1 * np.sin(1.3 * seconds)), high * (0.5 + 0.1 * np.cos(0.9 * seconds))
    move = np.array([[scale, 0, WIDTH / 2 - scale * x], [0, scale, HEIGHT / 2 - scale * y]])
    return cv2.warpAffine(gray, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT).astype(np.float32)


if __name__ == "__main__":
    main()
