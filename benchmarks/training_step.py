"""Measure seconds per training step in float32, in mixed_bfloat16, and with Keras' own batch normalization.

The variants run in turn, so that all see the same load. The batch is constant: the input pipeline is not part of the
measurement. Needs .venv-test, which scripts/test.sh makes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.common import make_parser
from trainer import keras_backend
from trainer.training.settings import FINE_TUNE, TrainingSettings

CLASSES = 7
FLOAT32 = "float32"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("training_step", __doc__)
    parser.add_argument("--backbone", default="mobilenet_v2", metavar="NAME", help="as of trainer train")
    parser.add_argument("--input-size", type=int, default=96, metavar="INT", help="as of trainer train (default: 96)")
    parser.add_argument("--batch-size", type=int, default=64, metavar="INT", help="as of trainer train (default: 64)")
    parser.add_argument("--steps", type=int, default=3, metavar="INT", help="training steps a round (default: 3)")
    parser.add_argument("--rounds", type=int, default=5, metavar="INT", help="rounds, interleaved (default: 5)")
    parser.add_argument(
        "--processor-time", action="store_true", help="seconds of processor time: less changed by other load"
    )
    options = parser.parse_args(arguments)
    keras_backend.load()
    from trainer.training.input_benchmark import time_interleaved

    settings = TrainingSettings(
        backbone=options.backbone,
        input_size=options.input_size,
        batch_size=options.batch_size,
        weights="none",
        ferplus_weight=0.0,
    )
    variants = {
        FLOAT32: make_steps(settings, FLOAT32, options.steps),
        "mixed_bfloat16": make_steps(settings, "mixed_bfloat16", options.steps),
        "float32, Keras' batch normalization": make_steps(settings, FLOAT32, options.steps, fused=False),
    }
    clock = time.process_time if options.processor_time else time.perf_counter
    for train in variants.values():
        train()  # traces the step
    medians = time_interleaved(*variants.values(), rounds=options.rounds, clock=clock)
    for variant, seconds in zip(variants, medians, strict=True):
        print(f"{variant}: {seconds / options.steps:.3f} s a step, {seconds / medians[0]:.2f} times as long as float32")
    print(f"(medians of {options.rounds} rounds)")


def make_steps(settings: TrainingSettings, precision: str, steps: int, *, fused: bool = True) -> Callable[[], None]:
    """Return a function that trains a network of `settings` for `steps` steps on one constant batch.

    Args:
        fused: batch normalization as trainer.networks.fused_batch_norm computes it; False: as Keras does.
    """
    import keras

    from trainer.training.loop import build_model, compile_model

    keras.mixed_precision.set_global_policy(precision)
    try:
        model = build_model(settings, CLASSES)
        if not fused:
            for layer in model.get_layer("backbone").layers:
                vars(layer).pop("call", None)
        compile_model(model, settings, FINE_TUNE, steps)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (settings.batch_size, settings.input_size, settings.input_size, 1), np.uint8)
    targets = np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, settings.batch_size)]

    def train() -> None:
        for _ in range(steps):
            model.train_on_batch(pixels, targets)

    return train


if __name__ == "__main__":
    main()
