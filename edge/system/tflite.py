"""The TFLite runtime: ai-edge-litert or its predecessor tflite-runtime, whichever is installed."""

from __future__ import annotations

import importlib
import platform
import sys
from pathlib import Path
from typing import Any

from edge.errors import EmotionEdgeError, ModelError
from edge.system.flatbuffer import FlatBufferError
from edge.system.native_output import suppress_native_output
from edge.system.tflite_verifier import verify

# In order of preference. Both have the same Interpreter; 32-bit Raspberry Pi OS has only tflite-runtime 2.14.
RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")


def runtime() -> Any:
    """Return the module of the installed TFLite runtime. Raises EmotionEdgeError when there is none."""
    for name in RUNTIMES:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not name.startswith(str(error.name)):
                raise
    if (sys.platform, platform.machine()) == ("darwin", "x86_64"):
        raise EmotionEdgeError("there is no TFLite runtime for Macs with an Intel processor; see docs/laptop.md")
    raise EmotionEdgeError("no TFLite runtime is installed; 'pip install ai-edge-litert' (32-bit: tflite-runtime)")


def load(model: bytes, threads: int) -> Any:
    """Return an interpreter of the TFLite `model` with its tensors allocated. Raises ValueError or RuntimeError."""
    with suppress_native_output(2):  # the runtime prints its delegate; its errors come as exceptions
        interpreter = runtime().Interpreter(model_content=model, num_threads=threads)
        interpreter.allocate_tensors()
    return interpreter


def make_interpreter(model: bytes, path: Path, threads: int, *, known: bool = False) -> Any:
    """Return an interpreter of the TFLite `model`, the content of the file at `path`, with its tensors allocated.

    A model of unknown origin is verified first, and tried once in a child process: some bring the runtime down.

    Args:
        known: it is the shipped model, which needs no trial.

    Raises:
        EmotionEdgeError: no runtime is installed.
        ModelError: it is not a TFLite model, or one that the runtime does not load or run.
    """
    runtime()
    if not known:
        from edge.system.model_trial import find_fault  # 30 ms, which the shipped model does not need

        try:
            verify(model)
        except FlatBufferError as error:
            raise ModelError(f"{path}: not a TFLite model that is supported: {error}") from error
        fault = find_fault(model)
        if fault is not None:
            raise ModelError(f"{path}: rejected by the TFLite runtime: {fault}")
    try:
        return load(model, threads)
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: rejected by the TFLite runtime: {' '.join(str(error).split())}") from error
