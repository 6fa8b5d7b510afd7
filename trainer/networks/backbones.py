"""Networks by name, each with the pixel scaling that it was pretrained with.

Each takes three planes of scaled pixels and gives feature maps; the scaling and the head are added by trainer.networks.model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras

from trainer.errors import TrainingError


@dataclass(frozen=True)
class Backbone:
    """One network: how it is built, and what it expects."""

    build: Callable[..., keras.Model]  # (input_shape=, weights=, and alpha= if has_widths) -> the network without head
    scale: float  # pixels * scale + offset is what the network was pretrained on
    offset: float | tuple[float, float, float]  # of all planes, or of each in the order of the pretrained weights
    least: int  # pixels a side under which it cannot be built
    alphas: tuple[float, ...]  # widths that ImageNet weights exist for; empty: there are none
    has_widths: bool = True  # whether a width multiplier, alpha, is part of its design

    @property
    def offsets(self) -> tuple[float, float, float]:
        """The offset of each of the three planes."""
        return self.offset if isinstance(self.offset, tuple) else (self.offset,) * 3


def _small_cnn(input_shape: tuple[int, int, int], alpha: float, weights: str | None) -> keras.Model:
    """Return a plain network, for data or devices too small for the others: 0.4 M parameters at alpha 1.

    Four times convolution, batch normalization, ReLU and pooling, the channels doubled as the sides are halved
    (Simonyan and Zisserman, ICLR 2015). Maps of (n, size/16, size/16, 256 alpha) come out.
    """
    layers = keras.layers
    planes = keras.Input(input_shape)
    x = planes
    for number, width in enumerate((32, 64, 128, 256), start=1):
        # Weights that keep the variance through a ReLU: He et al., ICCV 2015.
        convolution = layers.Conv2D(
            max(8, round(width * alpha)),
            3,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"block{number}_conv",
        )
        x = layers.BatchNormalization(name=f"block{number}_norm")(convolution(x))
        x = layers.ReLU(name=f"block{number}_relu")(x)
        x = layers.MaxPooling2D(2, name=f"block{number}_pool")(x)
    model = keras.Model(planes, x, name="small_cnn")
    if weights is not None:
        model.load_weights(weights)
    return model


def _application(network: Callable[..., keras.Model]) -> Callable[..., keras.Model]:
    return partial(network, include_top=False)


# What comes with ImageNet weights gets the pixels that Keras' own `preprocess_input` makes for them.
UNIT = (1 / 127.5, -1.0)  # -1 to 1
# Minus the mean of ImageNet's blue, green and red, unscaled: the weights come from Caffe, whose planes have that order
# (Simonyan and Zisserman, ICLR 2015; He et al., CVPR 2016).
CAFFE = (1.0, (-103.939, -116.779, -123.68))

BACKBONES = {
    # Sandler et al., CVPR 2018
    "mobilenet_v2": Backbone(
        _application(keras.applications.MobileNetV2), *UNIT, 32, alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
    ),
    # Howard et al., arXiv:1704.04861
    "mobilenet": Backbone(_application(keras.applications.MobileNet), *UNIT, 32, alphas=(0.25, 0.5, 0.75, 1.0)),
    # He et al., CVPR 2016
    "resnet50": Backbone(_application(keras.applications.ResNet50), *CAFFE, 32, alphas=(1.0,), has_widths=False),
    # Simonyan and Zisserman, ICLR 2015
    "vgg16": Backbone(_application(keras.applications.VGG16), *CAFFE, 32, alphas=(1.0,), has_widths=False),
    "vgg19": Backbone(_application(keras.applications.VGG19), *CAFFE, 32, alphas=(1.0,), has_widths=False),
    # Szegedy et al., CVPR 2016
    "inception_v3": Backbone(_application(keras.applications.InceptionV3), *UNIT, 75, alphas=(1.0,), has_widths=False),
    # Chollet, CVPR 2017
    "xception": Backbone(_application(keras.applications.Xception), *UNIT, 71, alphas=(1.0,), has_widths=False),
    "small_cnn": Backbone(_small_cnn, *UNIT, 16, alphas=()),
}


def build(name: str, size: int, alpha: float, weights: str, momentum: float) -> Any:
    """Return backbone `name` as a Keras model without scaling or head, on (size, size, 3) inputs.

    Args:
        name: a key of BACKBONES.
        size: pixels a side.
        alpha: width multiplier, more than 0; 1 for a network without widths.
        weights: "imagenet" (downloaded by Keras), "none", or the path of a weights file of the network without its
            top, as Keras saves it (.weights.h5) or used to (.h5).
        momentum: of the moving statistics of batch normalization, 0 to 1. Keras' own 0.999 lags behind by several
            epochs of a data set as small as FER2013.

    Raises:
        TrainingError: an unknown name, a size that is too small, a width that it does not come in, or weights that
            cannot be had.
    """
    if name not in BACKBONES:
        raise TrainingError(f"unknown backbone {name!r}; there are {', '.join(BACKBONES)}")
    backbone = BACKBONES[name]
    if size < backbone.least:
        raise TrainingError(f"{name} needs an input size of at least {backbone.least}, found {size}")
    _check_alpha(name, backbone, alpha)
    _check_weights(name, backbone, alpha, weights)
    widths = {"alpha": alpha} if backbone.has_widths else {}
    try:
        start = None if weights == "none" else weights
        model = backbone.build(input_shape=(size, size, 3), weights=start, **widths)
    except Exception as error:  # Keras raises bare Exception for a failed download, ValueError for a file that misfits
        reason = " ".join(str(error).split())[:200]
        if weights == "none":
            raise TrainingError(f"{name} of alpha {alpha} cannot be built: {reason}") from error
        raise TrainingError(f"weights {weights!r} for {name}: {reason}; name a file by '--weights PATH'") from error
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum
    return model


def _check_alpha(name: str, backbone: Backbone, alpha: float) -> None:
    if not alpha > 0:
        raise TrainingError(f"alpha is {alpha}, expected more than 0")
    if not backbone.has_widths and alpha != 1:
        raise TrainingError(f"{name} comes in one width, alpha 1, found {alpha}")


def _check_weights(name: str, backbone: Backbone, alpha: float, weights: str) -> None:
    if weights not in ("imagenet", "none") and not Path(weights).is_file():
        raise missing_weights(weights)
    if weights != "imagenet":
        return
    if not backbone.alphas:
        raise TrainingError(f"{name} has no ImageNet weights; take '--weights none'")
    if alpha not in backbone.alphas:
        widths = ", ".join(map(str, backbone.alphas))
        raise TrainingError(
            f"{name} has ImageNet weights for alpha {widths}, not {alpha}; take one or '--weights none'"
        )


def missing_weights(weights: str) -> TrainingError:
    """Return what to raise when `weights` names no file."""
    return TrainingError(
        f"weights {weights!r}: no such file; expected 'imagenet', 'none', a weights file or a run's .keras file"
    )
