"""The adapter's side of the protocol, for adapters in Python.

It runs in the peer's own environment and imports only numpy, to serve.

An adapter calls `serve(PEER, load)`. Its program then has two commands: `describe` prints PEER as a line of JSON and
imports nothing of the peer; `serve` loads the model and answers on standard output. See protocol.py for the lines.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

Classify = Callable[[Any], Any]  # (side, side) uint8 gray -> (labels,) probabilities


def serve(peer: Mapping[str, Any], load: Callable[[], tuple[Path, Classify]]) -> None:
    """Run the adapter's command line; `load` returns the path of the model file and the function that classifies."""
    if sys.argv[1:] == ["describe"]:
        print(json.dumps(peer))
        return
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the package prints goes to standard error
    path, classify = load()
    content = path.read_bytes()
    _write(answers, {"model_bytes": len(content), "model_sha256": hashlib.sha256(content).hexdigest()})
    for line in sys.stdin:
        _write(answers, _answer(json.loads(line), classify))


def packaged_file(package: str, name: str) -> Path:
    """Return the path of a file of an installed package, which is not imported."""
    return Path(str(distribution(package).locate_file(name)))


def load_tflite(path: Path, prepare: Callable[[Any], Any]) -> Classify:
    """Return what classifies by the TFLite model at `path`, in one thread, as ai-edge-litert runs it.

    Args:
        prepare: (side, side) uint8 gray -> float32 input of the model, for one face.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    input_index = interpreter.get_input_details()[0]["index"]
    output_index = interpreter.get_output_details()[0]["index"]

    def classify(gray: Any) -> Any:
        interpreter.set_tensor(input_index, prepare(gray)[None])
        interpreter.invoke()
        return interpreter.get_tensor(output_index)[0]

    return classify


def _answer(request: Mapping[str, Any], classify: Classify) -> dict[str, Any]:
    import numpy as np  # `describe` does without

    side, probabilities, milliseconds = request["side"], [], []
    for face in request["faces"]:
        gray = np.frombuffer(base64.b64decode(face), np.uint8).reshape(side, side)
        start = time.perf_counter()
        row = classify(gray)
        milliseconds.append(1000 * (time.perf_counter() - start))
        probabilities.append([float(value) for value in row])
    return {"probabilities": probabilities, "milliseconds": milliseconds}


def _write(file: Any, content: Mapping[str, Any]) -> None:
    file.write(json.dumps(content) + "\n")
    file.flush()
