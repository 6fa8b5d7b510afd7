"""A run is built from its settings: limits, threads and models."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge import app
from edge.capture import frame_rate, open_camera
from edge.capture.frame_rate import FrameRateLimiter
from edge.capture.latest_frame import LatestFrame
from edge.config import models
from edge.config.settings import RunSettings
from edge.errors import ModelError, SettingsError, UnknownNameError
from edge.inference import model_choice, model_file
from edge.inference.model_choice import ModelChoice
from edge.setting_checks import FILE_CHECKS


@pytest.mark.parametrize(
    ("source", "idle_fps", "expected"),
    [("synthetic", 3.0, 3.0), ("synthetic", 0.0, None), ("synthetic:fast", 3.0, None)],
)
def test_only_a_live_source_idles_and_has_a_thread(monkeypatch, source, idle_fps, expected):
    limits, threads = [], []

    class RecordingLimiter(FrameRateLimiter):
        def __init__(self, max_fps, idle_fps):
            limits.append((max_fps, idle_fps))
            super().__init__(max_fps, idle_fps)

    class RecordingThread(LatestFrame):
        def __enter__(self):
            threads.append(source)
            return super().__enter__()

    monkeypatch.setattr(frame_rate, "FrameRateLimiter", RecordingLimiter)
    monkeypatch.setattr(open_camera, "LatestFrame", RecordingThread)
    settings = RunSettings(source, ("jsonl:/dev/null",), max_frames=1, max_fps=500.0, idle_fps=idle_fps)
    assert app.run(settings).stats.frames == 1
    assert limits == [(500.0, expected)]
    assert threads == ([source] if source == "synthetic" else [])


@pytest.mark.parametrize("source", ["synthetic:fast", "IMAGE"])
def test_auto_uses_the_default_model_for_files_and_says_so(two_models, portrait_file, caplog, source):
    settings = RunSettings(
        str(portrait_file) if source == "IMAGE" else source, ("jsonl:/dev/null",), model="auto", max_frames=1
    )
    assert app.run(settings).stats.frames == 1
    assert "model: emotion (auto is for cameras)" in caplog.messages
    assert not isinstance(app.make_classifier(settings), ModelChoice)


def test_auto_chooses_once_for_a_camera(two_models, monkeypatch, caplog):
    monkeypatch.setattr(model_choice, "TRIAL_SECONDS", 0.0)  # decided when each model was measured
    settings = RunSettings("synthetic:fps=100", ("jsonl:/dev/null",), model="auto", max_frames=20)
    assert app.run(settings).stats.frames == 20
    (line,) = [message for message in caplog.messages if message.startswith("model: ")]
    assert line.startswith(("model: emotion (", "model: fast ("))


def test_auto_needs_both_models_with_the_same_labels(two_models):
    content, card = model_file.load(models.packaged_model())
    model_file.attach(content, replace(card, labels=card.labels[::-1]), two_models / "fast.tflite")
    with pytest.raises(ModelError, match=r"same labels, but fast has .*; emotion has "):
        app.run(RunSettings("synthetic", model="auto", max_frames=1))
    (two_models / "fast.tflite").unlink()
    with pytest.raises(UnknownNameError, match="'fast'; the models are emotion"):
        app.run(RunSettings("synthetic", model="auto", max_frames=1))


def test_uploaded_images_have_the_default_model_with_auto(two_models):
    analyzer = app.make_upload_analyzer(RunSettings(model="auto"))
    assert analyzer._classifier.card.name == model_file.load(models.packaged_model())[1].name


def test_a_process_gets_the_settings_of_its_run():
    settings = RunSettings("a.mp4", ("csv:a.csv", "console"), prior="training", cascade=Path("/c.xml"), half_life=0.0)
    *_, argument = app.worker_command("edge.file_worker", settings)
    assert app.worker_settings(argument) == settings


# --- a person's own neutral ---------------------------------------------------------------------------------------


def test_a_model_without_the_label_at_rest_cannot_be_calibrated(two_models):
    content, card = model_file.load(models.packaged_model())
    labels = (*card.labels[:-1], "calm")
    renamed = replace(
        card, labels=labels, class_frequencies=dict(zip(labels, card.class_frequencies.values(), strict=True))
    )
    model_file.attach(content, renamed, two_models / "mine.tflite")
    settings = RunSettings("synthetic:fast", model=str(two_models / "mine.tflite"), calibrate_neutral=True)
    for check in (app.run, FILE_CHECKS["calibrate_neutral"]):
        with pytest.raises(SettingsError, match="calibrate_neutral is set, but the model has no label 'neutral'"):
            check(settings)
        check(replace(settings, calibrate_neutral=False, max_frames=1))


@pytest.mark.slow
def test_a_face_that_looks_sad_at_rest_becomes_neutral(tmp_path):
    labels = {}
    for calibrate in (False, True):
        lines = tmp_path / f"{calibrate}.jsonl"
        source = "synthetic:fast,rest=neutral,bias=sad,size=320x240,fps=10"
        app.run(RunSettings(source, (f"jsonl:{lines}",), max_frames=470, calibrate_neutral=calibrate))
        results = [json.loads(line) for line in lines.read_text().splitlines()]
        labels[calibrate] = [face["label"] for result in results for face in result["faces"]]
    assert labels[True][:290] == labels[False][:290]
    at_rest = slice(370, 450)
    assert labels[False][at_rest].count("sad") > 50
    assert labels[True][at_rest].count("neutral") > 75
    assert set(labels[True][460:]) == {"happy"}
