"""Make model files whose cost is to be counted: untrained ones of several widths and input sizes, and parts of a model.

Runs where TensorFlow is. The number of instructions of an inference does not depend on what a model has learned:
scripts/pi_vm/models.py checks that with the shipped model.
"""

from __future__ import annotations

from pathlib import Path

WIDTHS = (1.0, 0.75, 0.5, 0.35)  # multipliers of the number of channels of MobileNetV2
SIZES = (128, 112, 96, 64)  # of the input, pixels a side
LABELS = 7
REPRESENTATIVE_IMAGES = 8


def file_name(width: float, size: int) -> str:
    return f"mobilenet_v2-{width:g}-{size}.tflite"


def make_untrained(folder: Path) -> list[Path]:
    """Write a model of each width and size to `folder`, built and quantized as trained ones are; return the files.

    Files that are there are kept.
    """
    import keras
    import numpy as np

    from trainer.networks import model
    from trainer.quantization.quantize import convert_to_int8

    paths = {(width, size): folder / file_name(width, size) for width in WIDTHS for size in SIZES}
    for (width, size), path in paths.items():
        if path.exists():
            continue
        keras.utils.set_random_seed(0)
        network = model.build("mobilenet_v2", size, LABELS, alpha=width, weights="none", momentum=0.0, dropout=0.0)
        pixels = np.random.default_rng(0).uniform(0, 255, (REPRESENTATIVE_IMAGES, size, size, 1)).astype(np.float32)
        pixels[0, 0, 0], pixels[0, 0, 1] = 0, 255  # the scale of the input becomes 1, as that of a trained model
        # With momentum 0 the normalizations take the statistics of this call: activations keep the ranges of a trained
        # network, instead of shrinking from layer to layer to nothing.
        network(pixels, training=True)
        path.write_bytes(convert_to_int8(network, pixels))
    return list(paths.values())


def write_part(content: bytes, first: int, last: int, path: Path) -> Path:
    """Write operators `first` to `last` (inclusive; negative: from the end) of the FlatBuffer `content` as a model."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    model.signatureDefs = None
    (graph,) = model.subgraphs
    graph.operators = graph.operators[first : last + 1 or None]
    graph.inputs, graph.outputs = graph.operators[0].inputs[:1], graph.operators[-1].outputs
    path.write_bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    return path
