"""Backbones by name, each with the pixel scaling that it was pretrained with.

A backbone takes three channels of scaled pixels and returns feature maps; trainer.networks.model adds scaling and head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras

from trainer.errors import TrainingError
from trainer.networks.efficientnet_lite import efficientnet_lite
from trainer.networks.fused_batch_norm import fuse


@dataclass(frozen=True)
class Backbone:
    """How a backbone is built, and what it expects."""

    build: Callable[..., keras.Model]  # (input_shape=, weights=, and alpha= if has_alpha) -> the network without head
    scale: float  # pixels * scale + offset is what the network was pretrained on
    offset: float | tuple[float, float, float]  # of all channels, or of each in the order of the pretrained weights
    min_size: int  # smallest input, pixels a side
    imagenet_alphas: tuple[float, ...]  # width multipliers that have ImageNet weights; empty: none has
    has_alpha: bool = True  # whether it takes a width multiplier

    @property
    def offsets(self) -> tuple[float, float, float]:
        """The offset of each of the three channels."""
        return self.offset if isinstance(self.offset, tuple) else (self.offset,) * 3


def _conv_block(x: Any, filters: float, name: str, suffix: str = "") -> Any:
    """Return `x` after a 3 x 3 convolution with at least 8 filters, batch normalization and ReLU."""
    layers = keras.layers
    # Weights that keep the variance through a ReLU: He et al., ICCV 2015.
    convolution = layers.Conv2D(
        max(8, round(filters)),
        3,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv{suffix}",
    )
    x = layers.BatchNormalization(name=f"{name}_norm{suffix}")(convolution(x))
    return layers.ReLU(name=f"{name}_relu{suffix}")(x)


def small_cnn(input_shape: tuple[int, int, int], alpha: float, weights: str | None) -> keras.Model:
    """Return four convolutions with pooling, for small data sets or devices: 0.4 M parameters at alpha 1.

    The filters double as the sides are halved (Simonyan and Zisserman, ICLR 2015). Feature maps have the shape
    (n, size/16, size/16, 256 alpha).
    """
    x = inputs = keras.Input(input_shape)
    for number, filters in enumerate((32, 64, 128, 256), start=1):
        x = _conv_block(x, filters * alpha, f"block{number}")
        x = keras.layers.MaxPooling2D(2, name=f"block{number}_pool")(x)
    return _with_weights(keras.Model(inputs, x, name="small_cnn"), weights)


def small_vgg(input_shape: tuple[int, int, int], alpha: float, weights: str | None) -> keras.Model:
    """Return eight convolutions in four blocks: 4.7 M parameters at alpha 1.

    On 48-pixel faces it is as accurate as much deeper networks (Khaireddin and Chen, arXiv:2105.03588). Feature maps
    have the shape (n, size/8, size/8, 512 alpha).
    """
    x = inputs = keras.Input(input_shape)
    for number, filters in enumerate((64, 128, 256, 512), start=1):
        for suffix in ("1", "2"):
            x = _conv_block(x, filters * alpha, f"block{number}", suffix)
        if number < 4:
            x = keras.layers.MaxPooling2D(2, name=f"block{number}_pool")(x)
    return _with_weights(keras.Model(inputs, x, name="small_vgg"), weights)


def _with_weights(model: keras.Model, weights: str | None) -> keras.Model:
    if weights is not None:
        model.load_weights(weights)
    return model


# Networks with ImageNet weights get the pixels that Keras' own `preprocess_input` makes for them.
MINUS_ONE_TO_ONE = (1 / 127.5, -1.0)  # scale, offset
# Minus the mean of ImageNet's blue, green and red, unscaled: the weights come from Caffe, whose channels are BGR
# (Simonyan and Zisserman, ICLR 2015; He et al., CVPR 2016).
CAFFE = (1.0, (-103.939, -116.779, -123.68))


def _application(network: Callable[..., keras.Model], *scaling: Any, **contract: Any) -> Backbone:
    """Return a network of keras.applications as a Backbone."""
    return Backbone(partial(network, include_top=False), *scaling, **contract)


def _lite(number: int) -> Backbone:
    """Return EfficientNet-Lite `number`; it was trained on pixels minus 127, divided by 128."""
    build = partial(efficientnet_lite, number)
    return Backbone(build, 1 / 128, -127 / 128, min_size=32, imagenet_alphas=(1.0,), has_alpha=False)


_FIXED_WIDTH = {"imagenet_alphas": (1.0,), "has_alpha": False}

BACKBONES = {
    # Sandler et al., CVPR 2018
    "mobilenet_v2": _application(
        keras.applications.MobileNetV2,
        *MINUS_ONE_TO_ONE,
        min_size=32,
        imagenet_alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
    ),
    # Howard et al., arXiv:1704.04861
    "mobilenet": _application(
        keras.applications.MobileNet, *MINUS_ONE_TO_ONE, min_size=32, imagenet_alphas=(0.25, 0.5, 0.75, 1.0)
    ),
    # Tan and Le, ICML 2019; made for integer arithmetic
    "efficientnet_lite0": _lite(0),
    "efficientnet_lite2": _lite(2),
    # He et al., CVPR 2016
    "resnet50": _application(keras.applications.ResNet50, *CAFFE, min_size=32, **_FIXED_WIDTH),
    # Simonyan and Zisserman, ICLR 2015
    "vgg16": _application(keras.applications.VGG16, *CAFFE, min_size=32, **_FIXED_WIDTH),
    "vgg19": _application(keras.applications.VGG19, *CAFFE, min_size=32, **_FIXED_WIDTH),
    # Szegedy et al., CVPR 2016
    "inception_v3": _application(keras.applications.InceptionV3, *MINUS_ONE_TO_ONE, min_size=75, **_FIXED_WIDTH),
    # Chollet, CVPR 2017
    "xception": _application(keras.applications.Xception, *MINUS_ONE_TO_ONE, min_size=71, **_FIXED_WIDTH),
    "small_cnn": Backbone(small_cnn, *MINUS_ONE_TO_ONE, min_size=16, imagenet_alphas=()),
    "small_vgg": Backbone(small_vgg, *MINUS_ONE_TO_ONE, min_size=8, imagenet_alphas=()),
}


def build(name: str, size: int, alpha: float, weights: str, momentum: float) -> Any:
    """Return backbone `name` as a Keras model without scaling or head, on (size, size, 3) inputs.

    Args:
        name: a key of BACKBONES.
        size: pixels a side.
        alpha: width multiplier, more than 0; 1 for a network of fixed width.
        weights: "imagenet" (downloaded by Keras), "none", or the path of a weights file of the network without its
            top, as Keras saves it (.weights.h5, formerly .h5).
        momentum: of the moving statistics of batch normalization, 0 to 1.

    Raises:
        TrainingError: an unknown name, a size that is too small, a width that it does not have, or weights that cannot
            be loaded.
    """
    require_size(name, size)
    _check(name, alpha, weights)
    backbone = BACKBONES[name]
    width = {"alpha": alpha} if backbone.has_alpha else {}
    initial = None if weights == "none" else weights
    try:
        model = backbone.build(input_shape=(size, size, 3), weights=initial, **width)
    except Exception as error:  # Keras raises bare Exception for a failed download, ValueError for a file that misfits
        reason = " ".join(str(error).split())[:200]
        if weights == "none":
            raise TrainingError(f"{name} of alpha {alpha} cannot be built: {reason}") from error
        raise TrainingError(f"weights {weights!r} for {name}: {reason}; name a file by '--weights PATH'") from error
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum
            fuse(layer)
    return model


def require_size(name: str, size: int) -> None:
    """Raise TrainingError unless there is a backbone `name` that takes inputs of `size` pixels a side."""
    if name not in BACKBONES:
        raise TrainingError(f"unknown backbone {name!r}; the backbones are {', '.join(BACKBONES)}")
    if size < BACKBONES[name].min_size:
        raise TrainingError(f"{name} needs an input size of at least {BACKBONES[name].min_size}, found {size}")


def _check(name: str, alpha: float, weights: str) -> None:
    """Raise TrainingError unless backbone `name` exists with `alpha` and `weights`."""
    backbone = BACKBONES[name]
    if not alpha > 0:
        raise TrainingError(f"alpha is {alpha}, expected more than 0")
    if not backbone.has_alpha and alpha != 1:
        raise TrainingError(f"{name} has a fixed width, alpha 1, found {alpha}")
    if weights not in ("imagenet", "none") and not Path(weights).is_file():
        raise missing_weights(weights)
    if weights != "imagenet":
        return
    if not backbone.imagenet_alphas:
        raise TrainingError(f"{name} has no ImageNet weights; use '--weights none'")
    if alpha not in backbone.imagenet_alphas:
        alphas = ", ".join(map(str, backbone.imagenet_alphas))
        raise TrainingError(
            f"{name} has ImageNet weights for alpha {alphas}, not {alpha}; use one of these or '--weights none'"
        )


def missing_weights(weights: str) -> TrainingError:
    """Return the error for `weights` that name no file."""
    return TrainingError(
        f"weights {weights!r}: no such file; expected 'imagenet', 'none', a weights file or a run's .keras file"
    )
