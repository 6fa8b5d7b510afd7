"""Both TFLite runtimes say the same.

With the same kernels they agree to the bit. What differs is XNNPACK, which ai-edge-litert uses by default: it rounds in
another way after each layer, and over 53 layers that adds up to two steps of the 8-bit output on average, and to some
dozens on a face near the border of two emotions.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.capture.synthetic import SyntheticScene
from edge.inference import model_file
from edge.inference.classifier import Classifier, dequantize, runtime
from tests.support.commands import run_edge
from tests.support.images import PORTRAIT_FACE
from tests.support.paths import ROOT

OLD = ROOT / ".venv-tflite" / "bin" / "python"  # made by scripts/test.sh
STEP = 1 / 256
SCORES = """
import sys
from dataclasses import replace
import numpy as np
from edge.config.models import shipped_model
from edge.inference.classifier import Classifier, runtime
assert runtime().__name__ == "tflite_runtime.interpreter", runtime()
classifier = Classifier(shipped_model())
classifier.card = replace(classifier.card, temperature=1.0)  # what the runtime itself says
np.save(sys.argv[2], [classifier.classify(face) for face in np.load(sys.argv[1])])
"""


@pytest.fixture(scope="module")
def faces(classifier: Classifier):
    """(21, size, size) uint8: the synthetic face in each of its emotions, at several sizes."""
    stage = SyntheticScene()
    return np.stack([classifier.prepare(stage.image(second), stage.faces(second)[0].box) for second in range(21)])


@pytest.fixture(scope="module")
def old_scores(faces, tmp_path_factory):
    """What edge on tflite-runtime, in its own environment, makes of `faces`: (21, labels)."""
    if not OLD.exists():
        pytest.skip("needs .venv-tflite, which scripts/test.sh makes where there is Python 3.11")
    folder = tmp_path_factory.mktemp("runtimes")
    np.save(folder / "faces.npy", faces)
    subprocess.run([OLD, "-c", SCORES, folder / "faces.npy", folder / "scores.npy"], timeout=120, check=True)
    return np.load(folder / "scores.npy")


def test_tflite_runtime_agrees_within_two_steps_with_the_same_kernels(faces, old_scores):
    content, _ = model_file.load(shipped_model())
    plain = runtime().OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = runtime().Interpreter(model_content=content, experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    (inputs,), (outputs,) = interpreter.get_input_details(), interpreter.get_output_details()
    for face, theirs in zip(faces, old_scores, strict=True):
        interpreter.set_tensor(inputs["index"], face[np.newaxis, :, :, np.newaxis])
        interpreter.invoke()
        ours = dequantize(interpreter.get_tensor(outputs["index"])[0], outputs["quantization"])
        assert np.abs(ours - theirs).max() <= 2 * STEP + 1e-6


def test_xnnpack_agrees_with_it_on_the_label_and_within_two_steps_on_average(faces, old_scores):
    classifier = Classifier(shipped_model())
    classifier.card = replace(classifier.card, temperature=1.0)
    ours = np.stack([classifier.classify(face) for face in faces])
    assert (ours.argmax(axis=1) == old_scores.argmax(axis=1)).mean() >= 0.9
    assert np.abs(ours - old_scores).mean() <= 2 * STEP


def test_edge_reads_a_real_image_on_the_runtime_that_is_here(portrait_file: Path) -> None:
    done = run_edge("run", portrait_file, "--sink", "jsonl")
    (face,) = json.loads(done.stdout)["faces"]
    assert face["label"] == "happy"
    x, y, width, height = face["box"]
    assert abs(x - PORTRAIT_FACE.x) < 10
    assert abs(y - PORTRAIT_FACE.y) < 10
    assert width == height
