"""A model of unknown origin is tried once, in a child process that may crash, hang, or take too much."""

from __future__ import annotations

import stat
from types import SimpleNamespace

import numpy as np
import pytest

from edge.config.models import packaged_model
from edge.inference.model_file import load
from edge.system import model_trial, trial_worker
from edge.system.model_trial import find_fault, verdict_path
from edge.system.tflite_verifier import verify
from edge.system.worker_process import command
from tests.support.flatbuffer_patch import FlatBufferPatch

MEAN = 40  # BuiltinOperator


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    for name in ("CACHE_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "emotion-edge/tried-models"


@pytest.fixture(scope="module")
def model() -> bytes:
    return load(packaged_model())[0]


def start_instead(monkeypatch, *arguments: str) -> None:
    """Start a process of tests.support.worker in place of the trial's."""
    monkeypatch.setattr(model_trial, "command", lambda _: command("tests.support.model_trial", *arguments))


def test_model_that_runs_is_tried_once(model, cache, monkeypatch):
    assert find_fault(model) is None
    assert [path.stat().st_size for path in cache.iterdir()] == [0]
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    start_instead(monkeypatch, "abort")
    assert find_fault(model) is None, "the verdict is kept"
    assert find_fault(model + b"\0"), "another model is tried"


def test_refusal_of_the_runtime_is_the_reason(model, cache):
    patch = FlatBufferPatch(model)
    axis = patch.number("<i", patch.follow(patch.field(patch.operator(MEAN), 1)) + 8)
    buffer = patch.number("<I", patch.field(patch.table(patch.graph(), 0, axis), 2))
    wrong = patch.set_item(patch.table(patch.follow(0), 4, buffer), 0, "<i", 99)
    verify(wrong)
    assert "failed to" in str(find_fault(wrong))  # prepare or invoke, by version
    assert not cache.exists(), "only good verdicts are kept"


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("abort", "brings the runtime down: SIGABRT"),
        ("allocate", "MemoryError"),
    ],
)
def test_child_that_fails_is_a_reason(monkeypatch, what, reason):
    start_instead(monkeypatch, what)
    assert reason in str(find_fault(b"model"))


def test_child_that_hangs_is_ended(monkeypatch):
    start_instead(monkeypatch, "wait")
    monkeypatch.setattr(model_trial, "TRIAL_SECONDS", 0.1)
    assert "more than 0.1 s" in str(find_fault(b"model"))


def test_model_is_tried_again_where_no_verdict_can_be_kept(model, cache, monkeypatch):
    cache.parent.parent.joinpath("emotion-edge").write_text("a file")
    assert find_fault(model) is None
    start_instead(monkeypatch, "abort")
    assert find_fault(model)


def test_service_keeps_verdicts_in_its_own_folder(monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/emotion-edge")
    path = verdict_path(b"model")
    assert path is not None
    assert str(path).startswith("/var/lib/emotion-edge/tried-models/")


def test_number_of_verdicts_is_limited(model, cache, monkeypatch):
    monkeypatch.setattr(model_trial, "MAX_VERDICTS", 3)
    cache.mkdir(parents=True)
    for name in "abc":
        (cache / name).touch()
    assert find_fault(model) is None
    assert list(cache.iterdir()) == [verdict_path(model)]


def test_output_that_is_not_finite_is_refused():
    details = [{"index": 0, "shape": (1, 2), "dtype": np.float32}]
    interpreter = SimpleNamespace(
        get_input_details=lambda: details,
        get_output_details=lambda: details,
        set_tensor=lambda *_: None,
        invoke=lambda: None,
        get_tensor=lambda _: np.array([1, np.nan], np.float32),
    )
    with pytest.raises(ValueError, match="finite"):
        trial_worker.run(interpreter)
