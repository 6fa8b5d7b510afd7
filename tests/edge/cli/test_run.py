"""`edge run` as a user starts it: results, summary, signals, and the options as the settings declare them."""

import json
import math
import re
import signal
import subprocess
from dataclasses import asdict, fields, replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
import typer

from edge import app as edge_app
from edge.capture import registry as cameras
from edge.cli import app
from edge.config.models import shipped_model
from edge.config.settings import RunSettings, setting_specs
from edge.image_analyzer import ImageAnalyzer
from edge.inference import model_file
from edge.pipeline import Summary
from edge.sinks import registry as sinks
from edge.types import Box
from tests.support import faces
from tests.support.commands import EDGE, run_edge
from tests.support.images import PORTRAIT_FACE

SUMMARY = re.compile(
    r"^(\d+) frames?(?:, (\d+) (?:skipped|files? left out))?, (\d+) faces?, \d+\.\d frames per second$", re.MULTILINE
)


def options() -> dict[str, Any]:
    """Return the options of `edge run` that are settings, by name."""
    command: Any = typer.main.get_command(app)
    return {each.name: each for each in command.commands["run"].params if each.name not in {"config", "debug"}}


def summary_of(stderr: str) -> tuple[int, int, int]:
    """Return the numbers of frames, skipped frames or left-out files, and faces in the summary of a run."""
    (numbers,) = SUMMARY.findall(stderr)
    frames, skipped, faces = (int(number or 0) for number in numbers)
    return frames, skipped, faces


# --- results ------------------------------------------------------------------------------------------------------


def test_an_image_gives_json_an_annotated_image_and_a_summary(portrait_file, portrait, tmp_path):
    out = tmp_path / "out.png"
    result = run_edge("run", portrait_file, "-s", "jsonl", "-s", f"video:{out}")
    assert result.returncode == 0, result.stderr
    (line,) = map(json.loads, result.stdout.splitlines())
    (face,) = line["faces"]
    assert (line["time"], line["frame"], face["track_id"], face["label"]) == (0, 0, 1, "happy")
    assert Box(*face["box"]).iou(PORTRAIT_FACE) > 0.7
    assert face["confidence"] == max(face["probabilities"].values())
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=0.001)
    annotated = cv2.imread(str(out))
    assert annotated is not None
    assert annotated.shape == portrait.shape
    assert (annotated != portrait).any()
    assert summary_of(result.stderr) == (1, 0, 1)
    assert "mean: happy " in result.stderr


def test_the_default_sink_is_the_console(portrait_file):
    result = run_edge("run", portrait_file)
    assert result.returncode == 0
    assert re.fullmatch(r"portrait\.png  face 1 .*: happy \d+%\n", result.stdout)


def test_max_frames_ends_a_run_and_completes_the_video(tmp_path):
    out = tmp_path / "out.mp4"
    log = tmp_path / "log"
    result = run_edge("run", "synthetic:fast", "--max-frames", 12, "-s", f"jsonl:{log}", "-s", f"video:{out}")
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert [json.loads(line)["frame"] for line in log.read_text().splitlines()] == list(range(12))
    capture = cv2.VideoCapture(str(out))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    capture.release()
    assert summary_of(result.stderr) == (12, 0, 1)


def test_the_duration_ends_a_run(run_here):
    result = run_here("run", "synthetic:fast", "--duration", 0.1, "-s", "jsonl:/dev/null")
    assert result.returncode == 0, result.stderr
    assert summary_of(result.stderr)[0] > 0


@pytest.mark.parametrize(
    ("number", "source", "share"),  # of the frames that a video of 60 frames per second has
    [
        (signal.SIGINT, "synthetic:fast", 1),
        (signal.SIGTERM, "synthetic:fast", 1),
        (signal.SIGINT, "synthetic:fps=100", 0.6),
    ],
)
def test_a_signal_ends_a_run_with_summary_and_complete_video(tmp_path, number, source, share):
    out = tmp_path / "out.mp4"
    with subprocess.Popen(
        [EDGE, "run", source, "-s", "jsonl", "-s", f"video:{out}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # otherwise `communicate` loses what was buffered after the first line
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        process.send_signal(number)
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    lines = [json.loads(line) for line in (first + rest).splitlines()]
    assert summary_of(errors.decode())[0] == len(lines)
    capture = cv2.VideoCapture(str(out))
    # The video repeats an image for a skipped frame.
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) >= math.floor(share * len(lines))
    capture.release()


def test_unfinished_files_make_the_exit_status_1(run_here, monkeypatch):
    monkeypatch.setattr("edge.app.run", lambda _: Summary(unfinished=2))
    assert run_here("run", "a.mp4", "--jobs", 2).returncode == 1


def test_a_detected_source_is_logged_with_its_reason(run_here, monkeypatch):
    monkeypatch.setattr(cameras, "detect_source", lambda: ("synthetic:fast", "the reason"))
    result = run_here("run", "--max-frames", 1)
    assert result.returncode == 0
    assert result.stderr.splitlines()[0] == "source: synthetic:fast (the reason)"


def test_a_live_source_skips_frames_and_counts_them():
    result = run_edge("run", "synthetic:fps=1000,size=1280x720", "--max-fps", 20, "--max-frames", 6, "-s", "jsonl")
    assert result.returncode == 0, result.stderr
    indices = [json.loads(line)["frame"] for line in result.stdout.splitlines()]
    assert len(indices) == 6
    assert all(later > earlier for earlier, later in pairwise(indices))
    skipped = indices[-1] + 1 - len(indices)
    assert skipped > 6
    assert summary_of(result.stderr)[:2] == (6, skipped)


def test_images_of_a_folder_are_independent_and_bad_ones_counted(run_here, portrait_file, tmp_path):
    for name in ("a.png", "c.png"):
        (tmp_path / name).write_bytes(portrait_file.read_bytes())
    (tmp_path / "b.png").write_text("broken")
    single, folder = (run_here("run", source, "-s", "jsonl") for source in (portrait_file, tmp_path))
    assert folder.returncode == 0
    assert summary_of(folder.stderr) == (2, 1, 2)
    (face,) = json.loads(single.stdout)["faces"]
    lines = [json.loads(line) for line in folder.stdout.splitlines()]
    expected = [face, {**face, "track_id": 2, "since": lines[1]["time"]}]
    assert [line["faces"] for line in lines] == [[each] for each in expected]


def test_crops_are_classified_without_detection(run_here, tmp_path):
    crops = faces.tiny(training=1, public=0, private=0)
    for number, crop in enumerate(crops.faces):
        wide = cv2.copyMakeBorder(crop, 0, 0, 5, 5, cv2.BORDER_REPLICATE)
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), wide)
    result = run_here("run", tmp_path, "--crops", "-s", "jsonl")
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line)["faces"] for line in result.stdout.splitlines()]
    assert [[face["box"] for face in line] for line in lines] == [[[5, 0, 48, 48]]] * len(crops)
    analyzer = ImageAnalyzer(crops=True)
    expected = [list(analyzer.analyze(crop)[0].probabilities.values()) for crop in crops.faces]
    found = [list(face["probabilities"].values()) for (face,) in lines]
    assert np.allclose(found, expected, atol=1e-4)


def test_prior_changes_the_probabilities(run_here, portrait_file, tmp_path):
    content, card = model_file.load(shipped_model())
    frequencies = dict.fromkeys(card.labels, round(1 / len(card.labels), 6))
    model_file.attach(content, replace(card, class_frequencies=frequencies), tmp_path / "known.tflite")
    command = ("run", portrait_file, "-s", "jsonl", "--model", tmp_path / "known.tflite")
    rare, frequent = (
        json.loads(run_here(*command, "--prior", f"{card.labels[0]}={fraction}").stdout)["faces"][0]["probabilities"]
        for fraction in (0.01, 0.9)
    )
    assert frequent[card.labels[0]] > 10 * rare[card.labels[0]]


def test_a_model_is_named_on_the_command_line_or_in_the_file(run_here, portrait_file, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('model = "emotion"\n')
    default, by_flag, by_file = (
        run_here("run", portrait_file, "-s", "jsonl", *options)
        for options in ((), ("--model", "emotion"), ("--config", path))
    )
    assert default.stdout == by_flag.stdout == by_file.stdout != ""


def test_an_unknown_model_lists_those_that_there_are(run_here, portrait_file, tmp_path):
    result = run_here("run", portrait_file, "--model", "emotoin")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "no model is called 'emotoin'; the models are emotion" in result.stderr
    path = tmp_path / "config.toml"
    path.write_text('max_frames = 1\nmodel = "emotoin"\n')
    result = run_here("run", portrait_file, "--config", path)
    assert (result.returncode, result.stderr.count("\n")) == (78, 1)
    assert f"{path}:2: model is" in result.stderr
    assert "the models are emotion" in result.stderr


def test_crops_in_the_configuration_file_take_effect(run_here, portrait_file, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("crops = true\n")
    command = ("run", portrait_file, "-s", "jsonl", "--config", path)
    boxes = [
        [face["box"] for face in json.loads(run_here(*command, *flags).stdout)["faces"]]
        for flags in ((), ("--no-crops",))
    ]
    assert boxes[0] == [[0, 0, 512, 512]]
    assert Box(*boxes[1][0]).iou(PORTRAIT_FACE) > 0.7


@pytest.mark.parametrize("source", [[], ["synthetic"], ["usb:0"], ["VIDEO"]])
def test_crops_are_refused_for_cameras_and_videos(run_here, tmp_path, source):
    (tmp_path / "clip.mp4").write_bytes(b"not read")
    arguments = [str(tmp_path / "clip.mp4") if each == "VIDEO" else each for each in source]
    result = run_here("run", *arguments, "--crops", "--max-frames", 1)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("edge: error: crops ")


@pytest.mark.parametrize("option", [("detector", "foo"), ("detector", "yunet:/none"), ("cascade", "/none")])
def test_crops_are_refused_with_options_of_the_detection(run_here, portrait_file, option):
    name, value = option
    result = run_here("run", portrait_file, "--crops", f"--{name}", value)
    message = f"crops is set, so no faces are detected, but {name} is '{value}'; omit one of them"
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"edge: error: {message}\n")


def test_crops_in_the_file_are_refused_with_a_cascade(run_here, portrait_file, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(f"crops = true\ncascade = {json.dumps(str(portrait_file))}\n")
    result = run_here("run", portrait_file, "--config", path)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "but cascade is " in result.stderr


# --- options ------------------------------------------------------------------------------------------------------


def test_every_setting_is_an_option_with_the_same_default():
    assert list(options()) == [each.name for each in fields(RunSettings)]
    for name, value in asdict(RunSettings()).items():
        if name != "model":  # found when the command runs
            assert options()[name].default == (list(value) if isinstance(value, tuple) else value), name


def test_the_help_of_an_option_has_text_and_range_of_its_setting(run_here):
    text = " ".join(run_here("run", "--help").stdout.split())
    for name, spec in setting_specs().items():
        assert spec.help in text, name
        assert spec.unset in text, name
        if spec.low is not None and not spec.zero:
            limits = f"x>={spec.low:g}" if spec.high is None else f"{spec.low:g}<=x<={spec.high:g}"
            option = text[text.index(f"--{name.replace('_', '-')} ") :].partition(" --")[0]
            assert limits in option, name


def test_the_help_names_every_camera_and_every_sink(run_here):
    words = set(re.findall(r"\w+", run_here("run", "--help").stdout))
    assert set(cameras.names()) - {"file"} <= words
    assert {"video", "image", "folder", "pattern"} <= words  # what the camera `file` reads
    assert set(sinks.names()) <= words


@pytest.mark.parametrize("columns", [80, 120])
def test_the_help_fits_the_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert max(map(len, run_edge("run", "--help").stdout.splitlines())) <= columns


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], (None, 5.0)),
        (["--idle-fps", "0"], (None, 0.0)),
        (["--idle-fps", "2", "--max-fps", "12.5"], (12.5, 2.0)),
    ],
)
def test_rate_limits_reach_the_settings(run_here, monkeypatch, arguments, expected):
    received = []

    def record(settings):
        received.append(settings)
        return Summary()

    monkeypatch.setattr(edge_app, "run", record)
    assert run_here("run", "synthetic", *arguments).returncode == 0
    (settings,) = received
    assert (settings.max_fps, settings.idle_fps) == expected


def test_detection_options_take_effect(run_here, portrait_file):
    uncertain = run_here("run", portrait_file, "-s", "jsonl", "--min-confidence", 1)
    assert json.loads(uncertain.stdout)["faces"][0]["label"] is None
    too_small = run_here("run", portrait_file, "-s", "jsonl", "--min-face-size", 200)
    assert json.loads(too_small.stdout)["faces"] == []
    eyes = f"{cv2.data.haarcascades}haarcascade_eye.xml"  # type: ignore[attr-defined] # the stubs lack it
    result = run_here("run", portrait_file, "-s", "jsonl", "--cascade", eyes)
    assert all(face["box"][2] < 60 for face in json.loads(result.stdout)["faces"])


def test_the_threshold_of_the_card_holds_unless_overridden(run_here, portrait_file, tmp_path):
    model, card = model_file.load(shipped_model())
    model_file.attach(model, replace(card, min_confidence=1.0), tmp_path / "strict.tflite")
    command = ("run", portrait_file, "-s", "jsonl", "--model", tmp_path / "strict.tflite")
    by_card, by_flag = run_here(*command), run_here(*command, "--min-confidence", 0)
    labels = [json.loads(result.stdout)["faces"][0]["label"] for result in (by_card, by_flag)]
    assert [label is None for label in labels] == [True, False]


# --- configuration file -------------------------------------------------------------------------------------------


def test_flags_override_the_file_and_the_file_the_defaults(run_here, portrait_file, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(f'source = "{portrait_file}"\nsinks = ["jsonl"]\nmin_face_size = 300\n')
    assert json.loads(run_here("run", "--config", path).stdout)["faces"] == []
    # 30 is also the default: a given flag counts even then.
    result = run_here("run", "--config", path, "--min-face-size", 30)
    assert len(json.loads(result.stdout)["faces"]) == 1


def test_an_invalid_file_ends_with_78_and_one_line(run_here, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("min_face_size = 3\nthreads = 0")
    result = run_here("run", "--config", path)
    assert result.returncode == 78
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"edge: error: {path}:1: min_face_size is 3")
