"""Both TFLite runtimes agree.

With the same kernels they agree within two steps of the 8-bit output. The difference is XNNPACK, which ai-edge-litert
uses by default: it rounds in another way after each layer. Over 53 layers that adds up to two steps on average, and to
some dozens for a face near the border of two emotions.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.capture.synthetic import SyntheticScene
from edge.config.models import shipped_model
from edge.inference import model_file
from edge.inference.classifier import Classifier, dequantize
from edge.system.tflite import runtime
from tests.support.commands import run_edge
from tests.support.images import PORTRAIT_FACE
from tests.support.paths import ROOT

TFLITE_RUNTIME_PYTHON = ROOT / ".venv-tflite" / "bin" / "python"  # made by scripts/test.sh
OUTPUT_STEP = 1 / 256
CLASSIFY = """
import sys
from dataclasses import replace
import numpy as np
from edge.config.models import shipped_model
from edge.inference.classifier import Classifier
from edge.system.tflite import runtime
assert runtime().__name__ == "tflite_runtime.interpreter", runtime()
classifier = Classifier(shipped_model())
classifier.card = replace(classifier.card, temperature=1.0)  # the output of the runtime itself
np.save(sys.argv[2], [classifier.classify(face) for face in np.load(sys.argv[1])])
"""


@pytest.fixture(scope="module")
def faces(classifier: Classifier):
    """(21, size, size) uint8: the synthetic face in each of its emotions, at several sizes."""
    scene = SyntheticScene()
    return np.stack([classifier.prepare(scene.image(second), scene.faces(second)[0].box) for second in range(21)])


@pytest.fixture(scope="module")
def of_tflite_runtime(faces, tmp_path_factory):
    """The probabilities of `faces` by tflite-runtime in its own environment: (21, labels)."""
    if not TFLITE_RUNTIME_PYTHON.exists():
        pytest.skip("needs .venv-tflite, which scripts/test.sh makes if there is Python 3.11")
    folder = tmp_path_factory.mktemp("runtimes")
    np.save(folder / "faces.npy", faces)
    command = [TFLITE_RUNTIME_PYTHON, "-c", CLASSIFY, folder / "faces.npy", folder / "probabilities.npy"]
    subprocess.run(command, timeout=120, check=True)
    return np.load(folder / "probabilities.npy")


def test_runtimes_agree_within_two_steps_with_the_same_kernels(faces, of_tflite_runtime):
    content, _ = model_file.load(shipped_model())
    without_xnnpack = runtime().OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = runtime().Interpreter(model_content=content, experimental_op_resolver_type=without_xnnpack)
    interpreter.allocate_tensors()
    (inputs,), (outputs,) = interpreter.get_input_details(), interpreter.get_output_details()
    for face, expected in zip(faces, of_tflite_runtime, strict=True):
        interpreter.set_tensor(inputs["index"], face[np.newaxis, :, :, np.newaxis])
        interpreter.invoke()
        actual = dequantize(interpreter.get_tensor(outputs["index"])[0], outputs["quantization"])
        assert np.abs(actual - expected).max() <= 2 * OUTPUT_STEP + 1e-6


def test_xnnpack_agrees_within_two_steps_on_average(faces, of_tflite_runtime):
    classifier = Classifier(shipped_model())
    classifier.card = replace(classifier.card, temperature=1.0)
    actual = np.stack([classifier.classify(face) for face in faces])
    assert (actual.argmax(axis=1) == of_tflite_runtime.argmax(axis=1)).mean() >= 0.9
    assert np.abs(actual - of_tflite_runtime).mean() <= 2 * OUTPUT_STEP


def test_installed_runtime_classifies_a_real_image(portrait_file: Path) -> None:
    done = run_edge("run", portrait_file, "--sink", "jsonl")
    (face,) = json.loads(done.stdout)["faces"]
    assert face["label"] == "happy"
    x, y, width, height = face["box"]
    assert abs(x - PORTRAIT_FACE.x) < 10
    assert abs(y - PORTRAIT_FACE.y) < 10
    assert width == height
