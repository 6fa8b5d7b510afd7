"""Count the faces that the pipeline and the baseline detect where there are none.

Seventeen images without a face that scikit-image ships (a cat, coins, a rocket, ...), each for four seconds under a
camera that pans and zooms, with sensor noise. Takes some minutes, nearly all of them the baseline's. Needs .venv-test,
which scripts/test.sh makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import add_noise, make_parser
from benchmarks.versus_baseline import run_baseline, run_pipeline
from edge.config.models import shipped_model
from edge.inference.classifier import Classifier
from edge.types import Frame

IMAGES = (
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
)
WIDTH, HEIGHT = 640, 480
FPS = 30
SECONDS_PER_IMAGE = 4.0
NOISE_SIGMA = 5.0  # gray levels


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("false_positives", __doc__)
    parser.add_argument("--images", type=int, default=len(IMAGES), help=f"1 to {len(IMAGES)}")
    parser.add_argument("--seconds", type=float, default=SECONDS_PER_IMAGE, help="per image")
    options = parser.parse_args(arguments)
    frames = list(make_frames(IMAGES[: options.images], options.seconds))
    classifier = Classifier(shipped_model())
    loops = {f"baseline, {name}": run_baseline(frames, classifier, name)[1] for name in ("default", "alt2")}
    loops["pipeline"] = run_pipeline(frames, classifier)[1]
    minutes = len(frames) / FPS / 60
    title = f"{len(frames)} frames without a face"
    print(f"{title:32} {'boxes':>6} {'frames with one':>16} {'per minute':>11}")
    for name, boxes in loops.items():
        wrong = sum(map(bool, boxes))
        print(f"{name:32} {sum(map(len, boxes)):6} {wrong:16} {wrong / minutes:11.0f}")


def make_frames(names: Sequence[str], seconds: float) -> Iterator[Frame]:
    """Yield the frames of all images, one after the other."""
    import skimage.data

    rng = np.random.default_rng(0)
    count = round(FPS * seconds)
    for number, name in enumerate(names):
        image = to_gray(np.asarray(getattr(skimage.data, name)()))
        for step in range(count):
            index = number * count + step
            gray = add_noise(view(image, step / FPS), rng, NOISE_SIGMA)
            yield Frame(gray, lambda: gray, index / FPS, index)  # noqa: B023 (no sink asks for color)


def to_gray(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return an image of any type that scikit-image has as (height, width) uint8."""
    if image.dtype == bool or np.issubdtype(image.dtype, np.floating):
        image = (image.astype(np.float32) * 255).astype(np.uint8)
    if image.ndim == 3:
        return cv2.cvtColor(np.ascontiguousarray(image[..., :3]), cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    return image.astype(np.uint8)


def view(image: NDArray[np.uint8], seconds: float) -> NDArray[np.uint8]:
    """Return the (HEIGHT, WIDTH) part of `image` that the moving camera shows at `seconds`."""
    height, width = image.shape
    scale = max(WIDTH / width, HEIGHT / height) * (1.1 + 0.3 * np.sin(seconds))
    x, y = width * (0.5 + 0.1 * np.sin(1.3 * seconds)), height * (0.5 + 0.1 * np.cos(0.9 * seconds))
    motion = np.array([[scale, 0, WIDTH / 2 - scale * x], [0, scale, HEIGHT / 2 - scale * y]])
    shown = cv2.warpAffine(image, motion, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    return shown.astype(np.uint8, copy=False)


if __name__ == "__main__":
    main()
