"""Networks by name, each with the pixel scaling that it was pretrained with.

Each takes three planes of scaled pixels and gives feature maps; the scaling and the head are added by trainer.model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from trainer.errors import TrainingError


@dataclass(frozen=True)
class Backbone:
    """One pretrained network of keras.applications."""

    build: Callable[..., keras.Model]  # (input_shape=, alpha=, weights=) -> the network without its head
    scale: float  # pixels * scale + offset is what the network was pretrained on
    offset: float
    least: int  # pixels a side under which it cannot be built
    alphas: tuple[float, ...]  # widths that ImageNet weights exist for


def _mobilenet_v2(**options: Any) -> keras.Model:
    return keras.applications.MobileNetV2(include_top=False, **options)


BACKBONES = {
    # -1 to 1, as in the reference implementation of Sandler et al., CVPR 2018.
    "mobilenet_v2": Backbone(_mobilenet_v2, 1 / 127.5, -1.0, 32, (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)),
}


def build(name: str, size: int, alpha: float, weights: str, momentum: float) -> Any:
    """Return backbone `name` as a Keras model without scaling or head, on (size, size, 3) inputs.

    Args:
        name: a key of BACKBONES.
        size: pixels a side.
        alpha: width multiplier.
        weights: "imagenet" (downloaded by Keras), "none", or the path of a weights file.
        momentum: of the moving statistics of batch normalisation. Keras' own 0.999 lags behind by several epochs of a
            data set as small as FER2013.

    Raises:
        TrainingError: an unknown name, a size that is too small, or weights that cannot be had.
    """
    if name not in BACKBONES:
        raise TrainingError(f"unknown backbone {name!r}; there are {', '.join(BACKBONES)}")
    backbone = BACKBONES[name]
    if size < backbone.least:
        raise TrainingError(f"{name} needs an input size of at least {backbone.least}, found {size}")
    if weights not in ("imagenet", "none") and not Path(weights).is_file():
        raise TrainingError(f"weights {weights!r}: no such file; expected 'imagenet', 'none' or a weights file")
    if weights == "imagenet" and alpha not in backbone.alphas:
        widths = ", ".join(map(str, backbone.alphas))
        raise TrainingError(
            f"{name} has ImageNet weights for alpha {widths}, not {alpha}; take one or '--weights none'"
        )
    try:
        start = None if weights == "none" else weights
        model = backbone.build(input_shape=(size, size, 3), alpha=alpha, weights=start)
    except Exception as error:  # Keras raises bare Exception for a failed download, ValueError for a file that misfits
        reason = " ".join(str(error).split())[:200]
        raise TrainingError(f"weights {weights!r} for {name}: {reason}; name a file by '--weights PATH'") from error
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum
    return model
