"""The product's output for known input, compared with recordings in tests/edge/golden.

On the versions and the kind of processor of the recording (environment.json) it must be equal: boxes, labels, track ids
and times exactly, probabilities to the 4 decimals of the output. Other versions of OpenCV and NumPy, and other TFLite
runtimes and processors, round in other ways: there the limits of Tolerance hold.

After an intended change of the output, and of the model, record again, with the versions of scripts/constraints.txt:

    .venv-edge/bin/python -m tests.edge.test_golden --record
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from edge.capture.synthetic import SyntheticScene
from edge.config.models import shipped_model
from edge.inference import model_file
from edge.system import tflite
from edge.types import Box
from tests.support.commands import run_edge

FOLDER = Path(__file__).with_name("golden")
ENVIRONMENT = FOLDER / "environment.json"
EXAMPLE = FOLDER / "example.toml"
DISTRIBUTIONS = {"ai_edge_litert.interpreter": "ai-edge-litert", "tflite_runtime.interpreter": "tflite-runtime"}


@dataclass(frozen=True)
class Recording:
    """A source, and which part of its output is kept."""

    source: str  # empty: a folder of images
    frames: int
    every: int = 1  # frames; only each n-th one is kept, but the digest is of all


# The synthetic camera repeats itself after 24 s: each face shows every emotion, and is absent for a while.
RECORDINGS = {
    "one_face": Recording("synthetic:fast", frames=720, every=3),
    "three_faces": Recording("synthetic:fast,faces=3,size=960x540,fps=15", frames=180, every=3),
    "images": Recording("", frames=3),
}


@dataclass(frozen=True)
class Tolerance:
    """Limits for another environment than that of the recording."""

    same_faces: float = 0.95  # least fraction of frames with the same track ids
    box_iou: float = 0.85  # least mean IoU of the boxes of a track
    same_labels: float = 0.95  # least fraction of faces with the same label
    probability: float = 2 / 256  # largest mean difference: two steps of the 8-bit output, see test_runtimes.py


def environment() -> dict[str, str]:
    """Return what the output depends on besides this project."""
    runtime = DISTRIBUTIONS[tflite.runtime().__name__]
    return {
        "machine": platform.machine(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "runtime": f"{runtime} {importlib.metadata.version(runtime)}",
    }


def write_images(folder: Path) -> None:
    """Write one real face, three synthetic ones and an empty room to `folder`, as files without loss."""
    scene = SyntheticScene(960, 540, 3)
    images = {
        "astronaut.png": astronaut()[..., ::-1],
        "synthetic.png": scene.image(1.0),
        "room.png": scene.draw(),
    }
    for name, image in images.items():
        assert cv2.imwrite(str(folder / name), image)


def output(recording: Recording) -> list[str]:
    """Return the JSON line of each frame of `recording`."""
    with tempfile.TemporaryDirectory() as folder:
        if not recording.source:
            write_images(Path(folder))
        done = run_edge("run", recording.source or folder, "--max-frames", recording.frames, "--sink", "jsonl")
    assert done.returncode == 0, done.stderr
    lines: list[str] = done.stdout.splitlines()
    assert len(lines) == recording.frames
    return lines


def digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def example_configuration() -> str:
    done = run_edge("config", "--example")
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    """The environment of the recordings, and their digests."""
    return dict(json.loads(ENVIRONMENT.read_text()))


def test_recordings_are_of_the_shipped_model(recorded):
    _, card = model_file.load(shipped_model())
    assert recorded["model_sha256"] == card.sha256, "another model: record again, see the docstring of this file"


@pytest.mark.parametrize("name", RECORDINGS)
def test_output_equals_the_recording(name, recorded):
    recording = RECORDINGS[name]
    expected = (FOLDER / f"{name}.jsonl").read_text().splitlines()
    lines = output(recording)
    kept = lines[:: recording.every]
    if recorded["environment"] == environment():
        assert [json.loads(line) for line in kept] == [json.loads(line) for line in expected]
        assert digest(lines) == recorded["digests"][name], "a frame that is not kept differs"
    else:
        assert_similar([json.loads(line) for line in kept], [json.loads(line) for line in expected], Tolerance())


def test_example_configuration_equals_the_recording():
    assert example_configuration() == EXAMPLE.read_text()


def pairs(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], ...]]:
    """Yield the results of the same track in the same frame."""
    for frame, expected_frame in zip(found, expected, strict=True):
        by_id = {face["track_id"]: face for face in frame["faces"]}
        for face in expected_frame["faces"]:
            if face["track_id"] in by_id:
                yield by_id[face["track_id"]], face


def differences(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> dict[str, float]:
    """Return the figures that Tolerance limits, under its names."""
    faces = list(pairs(found, expected))
    ids = [[{face["track_id"] for face in frame["faces"]} for frame in frames] for frames in (found, expected)]
    probabilities = np.array([[list(face["probabilities"].values()) for face in pair] for pair in faces])
    return {
        "same_faces": float(np.mean([one == other for one, other in zip(*ids, strict=True)])),
        "box_iou": float(np.mean([Box(*face["box"]).iou(Box(*other["box"])) for face, other in faces])),
        "same_labels": float(np.mean([face["label"] == other["label"] for face, other in faces])),
        "probability": float(np.abs(probabilities[:, 0] - probabilities[:, 1]).mean()),
    }


def assert_similar(found: list[dict[str, Any]], expected: list[dict[str, Any]], tolerance: Tolerance) -> None:
    assert [(frame["frame"], frame["time"]) for frame in found] == [(each["frame"], each["time"]) for each in expected]
    for frame, other in pairs(found, expected):
        assert frame.keys() == other.keys()
        assert frame["probabilities"].keys() == other["probabilities"].keys()
    figures = differences(found, expected)
    assert figures["same_faces"] >= tolerance.same_faces, figures
    assert figures["box_iou"] >= tolerance.box_iou, figures
    assert figures["same_labels"] >= tolerance.same_labels, figures
    assert figures["probability"] <= tolerance.probability, figures


def record() -> None:
    """Write all recordings anew."""
    FOLDER.mkdir(exist_ok=True)
    digests = {}
    for name, recording in RECORDINGS.items():
        lines = output(recording)
        digests[name] = digest(lines)
        (FOLDER / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines[:: recording.every]))
    _, card = model_file.load(shipped_model())
    content = {"environment": environment(), "model_sha256": card.sha256, "digests": digests}
    ENVIRONMENT.write_text(json.dumps(content, indent=1) + "\n")
    EXAMPLE.write_text(example_configuration())


if __name__ == "__main__":
    if sys.argv[1:] != ["--record"]:
        sys.exit(__doc__)
    record()
