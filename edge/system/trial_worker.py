"""The child process of edge.system.model_trial: loads and runs the model on its standard input, within limits."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from edge.system import tflite
from edge.system.model_trial import REFUSED
from edge.system.worker_process import CPU_SECONDS, limit_cpu, limit_process

# Beyond what the process has before; a model may have MODEL_COPIES times its own size in addition.
MEMORY_BYTES = 200_000_000
MODEL_COPIES = 4  # the file, the runtime's copy, and the weights as its kernels order them
MAX_REASON_CHARACTERS = 300


def main() -> None:
    """Exit with status 0 if the model runs; REFUSED, and the reason on standard output, if it is refused."""
    report = os.dup(1)
    with open(os.devnull, "wb") as null_device:  # noqa: PTH123
        os.dup2(null_device.fileno(), 1)  # what native code prints is no reason
    model = sys.stdin.buffer.read()
    tflite.runtime()
    limit_process(MEMORY_BYTES + MODEL_COPIES * len(model))
    limit_cpu(CPU_SECONDS)
    try:
        run(tflite.load(model, threads=1))
    except (ValueError, RuntimeError, MemoryError) as error:
        reason = str(error) or type(error).__name__
        os.write(report, reason[:MAX_REASON_CHARACTERS].encode(errors="replace"))
        os._exit(REFUSED)  # without the destructors of an interpreter that is half built
    os._exit(0)


def run(interpreter: Any) -> None:
    """Run `interpreter`, whose tensors are allocated, on inputs that are dark, bright, and random.

    Raises ValueError or RuntimeError if that fails, or if an output is not a finite number.
    """
    rng = np.random.default_rng(0)
    for fill in (0, 255, None):
        for each in interpreter.get_input_details():
            values = rng.integers(0, 256, each["shape"]) if fill is None else np.full(each["shape"], fill)
            interpreter.set_tensor(each["index"], values.astype(each["dtype"]))
        interpreter.invoke()
        for each in interpreter.get_output_details():
            if not np.isfinite(interpreter.get_tensor(each["index"])).all():
                raise ValueError("its output is not a finite number")
