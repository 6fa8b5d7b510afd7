"""Count the instructions of one inference of each model file, as JSON. Runs on the emulated board, as root.

usage: python -m pi_vm.count_models FILE.tflite...

For each file: `instructions` of one inference on one thread, in user space; `operators` of the model; `not_delegated`,
those that the runtime executes itself because XNNPACK does not take them: operator -> how many.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from pi_vm.instructions import InstructionCounter

WARM_UP_INFERENCES = 2  # the first one packs the weights
COUNTED_INFERENCES = 3
DELEGATE = "DELEGATE"  # the runtime's name for the operators that XNNPACK has taken, together


def count(path: Path, counter: InstructionCounter) -> dict[str, Any]:
    """Return the figures of the head of this file."""
    runtime = importlib.import_module("ai_edge_litert.interpreter")  # without types
    interpreter = runtime.Interpreter(model_content=path.read_bytes(), num_threads=1)
    interpreter.allocate_tensors()
    (model_input,) = interpreter.get_input_details()
    pixels = np.random.default_rng(0).integers(0, 256, model_input["shape"]).astype(model_input["dtype"])
    interpreter.set_tensor(model_input["index"], pixels)
    for index in range(WARM_UP_INFERENCES + COUNTED_INFERENCES):
        if index == WARM_UP_INFERENCES:
            start = counter.read()
        interpreter.invoke()
    instructions = (counter.read() - start) / COUNTED_INFERENCES
    operators = interpreter._get_ops_details()  # noqa: SLF001 (the operators have no public access)
    executed = Counter(executed_by_runtime(operators, [out["index"] for out in interpreter.get_output_details()]))
    return {
        "instructions": round(instructions),
        "operators": sum(operator["op_name"] != DELEGATE for operator in operators),
        "not_delegated": dict(sorted(executed.items())),
    }


def executed_by_runtime(operators: list[dict[str, Any]], outputs: list[int]) -> list[str]:
    """Return the names of the operators that no delegate has taken, found from the `outputs` of the model backwards.

    The runtime lists the operators of the model and, behind them, one DELEGATE for each group that was taken.
    """
    makers = {
        int(tensor): operator for operator in operators for tensor in operator["outputs"]
    }  # a delegate comes last
    names, open_tensors, seen = [], list(outputs), set()
    while open_tensors:
        operator = makers.get(int(open_tensors.pop()))
        if operator is None or operator["index"] in seen:  # None: a constant, or an input of the model
            continue
        seen.add(operator["index"])
        if operator["op_name"] != DELEGATE:
            names.append(operator["op_name"])
        open_tensors.extend(operator["inputs"])
    return names


if __name__ == "__main__":
    instructions = InstructionCounter()
    print(json.dumps({path: count(Path(path), instructions) for path in sys.argv[1:]}))
