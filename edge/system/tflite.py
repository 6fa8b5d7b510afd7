"""The TFLite runtime: ai-edge-litert or its predecessor tflite-runtime, whichever is installed."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from edge.errors import EmotionEdgeError, ModelError
from edge.system.native_output import suppress_native_output

# In order of preference. Both have the same Interpreter; 32-bit Raspberry Pi OS has only tflite-runtime 2.14.
RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")
TFLITE_IDENTIFIER = b"TFL3"  # of the TFLite schema, at bytes 4 to 8


def runtime() -> Any:
    """Return the module of the installed TFLite runtime. Raises EmotionEdgeError when there is none."""
    for name in RUNTIMES:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not name.startswith(str(error.name)):
                raise
    raise EmotionEdgeError("no TFLite runtime is installed; 'pip install ai-edge-litert' (32-bit: tflite-runtime)")


def make_interpreter(model: bytes, path: Path, threads: int) -> Any:
    """Return an interpreter of the TFLite `model`, the content of the file at `path`, with its tensors allocated.

    Raises:
        EmotionEdgeError: no runtime is installed.
        ModelError: it is not a TFLite model, or one that the runtime does not load.
    """
    # tflite-runtime would read past the end of an incomplete FlatBuffer, and crash.
    if model[4:8] != TFLITE_IDENTIFIER or int.from_bytes(model[:4], "little") + 4 > len(model):
        raise ModelError(f"{path}: not a TFLite model, or incomplete; copy the file again")
    try:
        with suppress_native_output(2):  # the runtime prints its delegate; its errors come as exceptions
            interpreter = runtime().Interpreter(model_content=model, num_threads=threads)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: rejected by the TFLite runtime: {' '.join(str(error).split())}") from error
    return interpreter
