"""Both TFLite runtimes say the same, within two steps of the 8-bit output."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge.cameras.synthetic import Stage
from edge.classifier import Classifier, runtime
from tests.conftest import FACE, run_edge

OLD = Path(__file__).parents[1] / ".venv-tflite" / "bin" / "python"  # made by scripts/test.sh
STEP = 1 / 256
SCORES = """
import json, sys
from edge.cameras.synthetic import Stage
from edge.card import shipped_model
from edge.classifier import Classifier, runtime
stage, classifier = Stage(), Classifier(shipped_model())
scores = []
for second in range(0, 21):
    face = classifier.prepare(stage.picture(second), stage.actors(second)[0].box)
    scores.append(classifier.scores(face).tolist())
json.dump({"runtime": runtime().__name__, "scores": scores}, sys.stdout)
"""

needs_old = pytest.mark.skipif(
    not OLD.exists(), reason="needs .venv-tflite, which scripts/test.sh makes where there is Python 3.11"
)


@needs_old
@pytest.mark.skipif("tflite_runtime" in runtime().__name__, reason="runs from the environment with the newer runtime")
def test_tflite_runtime_agrees_within_two_steps(classifier: Classifier) -> None:
    found = subprocess.run([OLD, "-c", SCORES], capture_output=True, text=True, timeout=120, check=True)
    theirs = json.loads(found.stdout)
    stage = Stage()
    ours = [
        classifier.scores(classifier.prepare(stage.picture(second), stage.actors(second)[0].box))
        for second in range(21)
    ]
    assert theirs["runtime"] == "tflite_runtime.interpreter"
    assert "ai_edge_litert" in runtime().__name__
    assert np.abs(np.array(theirs["scores"]) - np.array(ours)).max() <= 2 * STEP + 1e-6


def test_edge_reads_a_real_picture_on_the_runtime_that_is_here(portrait_file: Path) -> None:
    done = run_edge("run", portrait_file, "--sink", "jsonl")
    (face,) = json.loads(done.stdout)["faces"]
    assert face["label"] == "happy"
    x, y, width, height = face["box"]
    assert abs(x - FACE.x) < 10
    assert abs(y - FACE.y) < 10
    assert width == height
