"""The `edge` command as a user meets it: real processes, real files, one line an error, the promised exit statuses."""

import hashlib
import json
import re
import signal
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import pytest
import typer

from edge import cli
from edge.capture import frame_rate as pace
from edge.capture import latest_frame as newest
from edge.capture import registry as cameras
from edge.capture.frame_rate import FrameRateLimiter
from edge.capture.latest_frame import LatestFrame
from edge.cli import _run, _Signals, app
from edge.config.models import shipped_model
from edge.config.settings import RunSettings
from edge.inference import model_file
from edge.pipeline import Summary
from edge.sinks import registry as sinks
from edge.types import Box
from tests.support.commands import EDGE, run_edge
from tests.support.images import PORTRAIT_FACE

SUMMARY = re.compile(r"^\d+ frames(, \d+ skipped)?, \d+ readings of \d+ faces, \d+\.\d frames a second$", re.MULTILINE)


@pytest.fixture
def run_here(monkeypatch, capfd):
    """A function that runs the command in this process, which takes a tenth of the time of one of its own."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["edge", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code is None or isinstance(ended.value.code, int)
        out, said = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, ended.value.code or 0, out, said)

    return run


def assert_refused(result: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """Check that the command ended with `status` and one line on stderr that holds all `words`."""
    assert result.stderr.startswith("edge: error: "), result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert all(word in result.stderr for word in words), result.stderr
    assert result.returncode == status


def test_a_image_is_read_into_json_an_annotated_image_and_a_summary(portrait_file, portrait, tmp_path):
    out = tmp_path / "out.png"
    result = run_edge("run", portrait_file, "-s", "jsonl", "-s", f"video:{out}")
    assert result.returncode == 0, result.stderr
    (line,) = map(json.loads, result.stdout.splitlines())
    (face,) = line["faces"]
    assert (line["time"], line["frame"], face["id"], face["label"]) == (0, 0, 1, "happy")
    assert Box(*face["box"]).iou(PORTRAIT_FACE) > 0.7
    assert face["confidence"] == max(face["scores"].values())
    assert sum(face["scores"].values()) == pytest.approx(1, abs=0.001)
    annotated = cv2.imread(str(out))
    assert annotated is not None
    assert annotated.shape == portrait.shape
    assert (annotated != portrait).any()
    assert SUMMARY.findall(result.stderr)
    assert "1 frames, 1 readings of 1 faces" in result.stderr
    assert "mean: happy " in result.stderr


def test_the_console_is_the_output_when_none_is_named(portrait_file):
    result = run_edge("run", portrait_file)
    assert result.returncode == 0
    assert re.fullmatch(r"portrait\.png  face 1 at \d+,\d+ \d+x\d+: happy \d+%\n", result.stdout)


def test_frames_ends_an_endless_source_and_the_video_holds_them(tmp_path):
    out = tmp_path / "out.mp4"
    result = run_edge(
        "run", "synthetic:fast", "--max-frames", 12, "-s", f"jsonl:{tmp_path / 'log'}", "-s", f"video:{out}"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert [json.loads(line)["frame"] for line in (tmp_path / "log").read_text().splitlines()] == list(range(12))
    capture = cv2.VideoCapture(str(out))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    capture.release()
    assert "12 frames, 12 readings of 1 faces" in result.stderr


def test_seconds_ends_an_endless_source():
    result = run_edge("run", "synthetic:fast", "--duration", 0.1, "-s", "jsonl")
    assert result.returncode == 0, result.stderr
    assert result.stdout
    assert SUMMARY.findall(result.stderr)


@pytest.mark.parametrize(
    ("number", "source"),
    [(signal.SIGINT, "synthetic:fast"), (signal.SIGTERM, "synthetic:fast"), (signal.SIGINT, "synthetic:fps=100")],
)
def test_a_signal_ends_the_run_with_a_summary_and_a_whole_video(tmp_path, number, source):
    out = tmp_path / "out.mp4"
    with subprocess.Popen(
        [EDGE, "run", source, "-s", "jsonl", "-s", f"video:{out}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # or what lies in the buffer behind the first line would be lost
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        process.send_signal(number)
        rest, errors = process.communicate(timeout=60)
    said = errors.decode()
    assert process.returncode == 0, said
    lines = [json.loads(line) for line in (first + rest).splitlines()]
    assert SUMMARY.findall(said)
    assert re.search(rf"^{len(lines)} frames(, \d+ skipped)?, ", said, re.MULTILINE)
    capture = cv2.VideoCapture(str(out))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) >= len(lines)  # a skipped one is shown as a standing image
    capture.release()


def test_a_second_signal_ends_the_run_at_once_and_the_old_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM)
    with _Signals() as stopped:
        assert not stopped()
        signal.raise_signal(signal.SIGTERM)
        assert stopped()
        with pytest.raises(SystemExit) as ended:
            signal.raise_signal(signal.SIGINT)
        assert ended.value.code == 130
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("sink", ["jsonl", "console"])
def test_a_reader_that_goes_ends_the_run_quietly(sink):
    shell = f'"{EDGE}" run synthetic:fast,faces=8 --min-confidence 0 --half-life 0 -s {sink} | head -1'
    result = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""


def test_without_a_source_the_choice_is_told_with_its_reason(monkeypatch, capfd):
    monkeypatch.setattr(cameras, "choose", lambda: ("synthetic:fast", "no camera was found"))
    monkeypatch.setattr(sys, "argv", ["edge", "run", "--max-frames", "1"])
    with pytest.raises(SystemExit) as ended:
        app(prog_name="edge")
    assert ended.value.code == 0
    assert capfd.readouterr().err.startswith("source: synthetic:fast (no camera was found)\n1 frames, ")


def test_of_a_live_source_the_newest_frames_are_read_and_those_in_between_are_counted(tmp_path):
    result = run_edge("run", "synthetic:fps=1000,size=1280x720", "--max-fps", 20, "--max-frames", 6, "-s", "jsonl")
    assert result.returncode == 0, result.stderr
    places = [json.loads(line)["frame"] for line in result.stdout.splitlines()]
    assert len(places) == 6
    assert all(later > sooner for sooner, later in pairwise(places))
    skipped = places[-1] + 1 - len(places)
    assert skipped > 6
    assert f"6 frames, {skipped} skipped, " in result.stderr


@pytest.mark.parametrize(
    ("source", "idle_fps", "expected"),
    [("synthetic", 3.0, 3.0), ("synthetic", None, None), ("synthetic:fast", 3.0, None)],
)
def test_only_a_live_source_idles_and_is_read_by_a_thread_of_its_own(monkeypatch, source, idle_fps, expected):
    made, threads = [], []

    class Noted(FrameRateLimiter):
        def __init__(self, max_fps, idle_fps):
            made.append((max_fps, idle_fps))
            super().__init__(max_fps, idle_fps)

    class Thread(LatestFrame):
        def __enter__(self):
            threads.append(source)
            return super().__enter__()

    monkeypatch.setattr(pace, "Pace", Noted)
    monkeypatch.setattr(newest, "LatestFrame", Thread)
    summary = _run(RunSettings(source, ("jsonl:/dev/null",), frames=1, max_fps=500.0, idle_fps=idle_fps))
    assert summary.frames == 1
    assert made == [(500.0, expected)]
    assert threads == ([source] if source == "synthetic" else [])


def test_no_idling_is_asked_for_by_zero(monkeypatch):
    asked = []

    def note(settings):
        asked.append(settings)
        return Summary(())

    monkeypatch.setattr(cli, "_run", note)
    for arguments in ([], ["--idle-fps", "0"], ["--idle-fps", "2", "--max-fps", "12.5"]):
        monkeypatch.setattr(sys, "argv", ["edge", "run", "synthetic", *arguments])
        with pytest.raises(SystemExit) as ended:
            app(prog_name="edge")
        assert ended.value.code == 0
    assert [(settings.max_fps, settings.idle_fps) for settings in asked] == [(None, 5.0), (None, 0.0), (12.5, 2.0)]


def test_each_image_of_a_folder_is_read_as_if_it_were_the_only_one_and_a_broken_one_is_counted(portrait_file, tmp_path):
    for name in ("a.png", "c.png"):
        (tmp_path / name).write_bytes(portrait_file.read_bytes())
    (tmp_path / "b.png").write_text("broken")
    alone, both = (run_edge("run", source, "-s", "jsonl") for source in (portrait_file, tmp_path))
    assert both.returncode == 0
    assert "2 frames, 1 skipped, 2 readings of 2 faces" in both.stderr
    (face,) = json.loads(alone.stdout)["faces"]
    told = [json.loads(line) for line in both.stdout.splitlines()]
    expected = [face, {**face, "id": 2, "since": told[1]["time"]}]
    assert [line["faces"] for line in told] == [[each] for each in expected]


def test_the_options_reach_the_parts(run_here, portrait_file):
    unsure = run_here("run", portrait_file, "-s", "jsonl", "--min-confidence", 1)
    assert json.loads(unsure.stdout)["faces"][0]["label"] is None
    too_small = run_here("run", portrait_file, "-s", "jsonl", "--min-face-size", 200)
    assert json.loads(too_small.stdout)["faces"] == []
    eyes = f"{cv2.data.haarcascades}haarcascade_eye.xml"  # type: ignore[attr-defined] # the stubs lack it
    smaller = run_here("run", portrait_file, "-s", "jsonl", "--cascade", eyes)
    assert all(face["box"][2] < 60 for face in json.loads(smaller.stdout)["faces"])


def test_below_the_threshold_of_the_card_no_label_is_given_unless_the_command_names_another(
    run_here, portrait_file, tmp_path
):
    model, found = model_file.load(shipped_model())
    model_file.attach(model, replace(found, unsure=1.0), tmp_path / "strict.tflite")
    labels = [
        json.loads(run_here("run", portrait_file, "-s", "jsonl", "--model", tmp_path / "strict.tflite", *more).stdout)
        for more in ([], ["--min-confidence", 0])
    ]
    assert [line["faces"][0]["label"] is None for line in labels] == [True, False]


def test_info_shows_what_is_in_the_card():
    found = model_file.load(shipped_model())[1]
    result = run_edge("info")
    assert (result.returncode, result.stderr) == (0, "")
    said = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert said["labels"] == ", ".join(found.labels)
    assert said["sha256"] == hashlib.sha256(shipped_model().read_bytes()).hexdigest()  # as sha256sum prints it
    assert said["bytes"] == str(shipped_model().stat().st_size)
    assert said["data"] == found.data
    assert said["input"].startswith(f"{found.input_size} x {found.input_size} gray pixels")
    assert set(found.metrics) <= set(said)


def test_info_gives_the_whole_card_as_json(run_here, tmp_path):
    path = tmp_path / "own.tflite"
    about = model_file.attach(
        b"\0\0\0\0TFL3", model_file.ModelCard("own", ("müde", "wach"), 48, 32, metrics={"x": {"n": 1}}), path
    )
    result = run_here("info", path, "--json")
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    assert said.pop("file") == "own.tflite"
    assert said.pop("bytes") == path.stat().st_size
    assert said.pop("file_sha256") == hashlib.sha256(path.read_bytes()).hexdigest()
    assert model_file.ModelCard(**{**said, "labels": tuple(said["labels"])}) == about


def test_the_version_is_that_of_the_package():
    assert run_edge("--version").stdout == f"edge {metadata.version('emotion-edge')}\n"


def test_a_misspelt_sink_or_camera_is_told_which_there_are(run_here, portrait_file):
    assert_refused(run_here("run", portrait_file, "-s", "consol"), 2, "no sink 'consol'", *sinks.names())
    assert_refused(run_here("run", "picamra"), 2, "no camera 'picamra'", *cameras.names())


# What OpenCV, FFmpeg and V4L2 print by themselves is kept off the screen only in a process that begins with us.
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("text.mp4",), 1, "text.mp4: cannot be decoded as a video"),
        (("text.png",), 1, "text.png: does not decode as an image"),
        (("usb:/dev/null",), 1, "/dev/null: cannot be opened"),
        (("synthetic", "--cascade", "text.png"), 78, "text.png: not a cascade"),
        (("synthetic", "-s", "video:text.png/out.mp4"), 1, "video:text.png/out.mp4: cannot be opened"),
    ],
)
def test_what_goes_wrong_in_opencv_or_on_the_way_is_one_line_and_its_exit_status(tmp_path, arguments, status, words):
    for name in ("text.png", "text.mp4"):
        (tmp_path / name).write_text("this is a text")
    assert_refused(run_edge("run", *arguments, cwd=tmp_path), status, words)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("nothing.mp4",), 2, "nothing.mp4: no such file"),
        (("notes.txt",), 1, "notes.txt: a text file"),
        (("synthetic", "--max-frames", "0"), 2, "Invalid value for '--max-frames'"),
        (("synthetic", "--min-face-size", "15"), 2, "Invalid value for '--min-face-size'"),
        (("synthetic", "--color"), 2, "--color"),
        (("usb:987654",), 1, "/dev/video987654: no such camera"),
        (("synthetic:slow",), 2, "unknown option 'slow'"),
        (("synthetic", "--model", "notes.txt"), 78, "notes.txt: not a TFLite model"),
        (("synthetic", "--model", "nothing.tflite"), 78, "nothing.tflite: cannot be read"),
        (("synthetic", "--cascade", "nothing.xml"), 78, "nothing.xml: no such cascade file"),
        (("synthetic", "--duration", "0"), 78, "seconds is 0.0, expected more than 0"),
        (("synthetic", "--max-fps", "0"), 2, "Invalid value for '--max-fps'"),
        (("synthetic", "--idle-fps", "-1"), 78, "idle_fps is -1.0, expected 0 (no idling) or 0.1 to 1000"),
        (("synthetic", "-s", "console:loud"), 2, "sink console takes no argument"),
        (("synthetic", "-s", "video:out.mkv"), 2, "video:out.mkv: name a file that ends in"),
    ],
)
def test_what_goes_wrong_is_one_line_and_its_exit_status(run_here, tmp_path, monkeypatch, arguments, status, words):
    (tmp_path / "notes.txt").write_text("this is a text")
    monkeypatch.chdir(tmp_path)
    assert_refused(run_here("run", *arguments), status, words)


@pytest.mark.parametrize("arguments", [("run", "synthetic:fast"), ("run", "synthetic:fast", "-s", "jsonl"), ("info",)])
def test_a_full_disk_behind_stdout_is_one_line(arguments):
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [EDGE, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert_refused(result, 1, "No space left on device")


def test_a_full_disk_ends_a_run_of_files(portrait_file):
    result = run_edge("run", portrait_file, "-s", "jsonl:/dev/full")
    assert_refused(result, 1, "jsonl:/dev/full: cannot be written (No space left")


def test_a_camera_goes_on_without_an_output_that_fails_and_says_so_once(tmp_path):
    good = tmp_path / "good.jsonl"
    result = run_edge("run", "synthetic", "--max-frames", 30, "-s", "jsonl:/dev/full", "-s", f"jsonl:{good}")
    assert len(good.read_text().splitlines()) == 30
    assert result.stderr.count("tried again every 60 s") == 1
    assert result.stderr.count("Traceback") == 0
    assert result.returncode == 1  # it never came back


def test_debug_shows_where_an_error_comes_from():
    result = run_edge("run", "nothing.mp4", "--debug")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "SourceNotFoundError" in result.stderr


def test_an_unknown_command_or_option_is_a_usage_error(run_here):
    assert run_here("rum").returncode == 2
    assert run_here("run", "--frams", 3).returncode == 2


def test_every_option_of_every_command_has_help():
    command: Any = typer.main.get_command(app)
    assert {"run", "info"} <= set(command.commands)
    for each in (command, *command.commands.values()):
        assert each.help
        assert [option.name for option in each.params if not option.help] == []


def test_help_names_every_camera_and_every_sink(run_here):
    words = re.findall(r"\w+", run_here("run", "--help").stdout)
    assert set(cameras.names()) - {"file"} <= set(words)  # files are told by what they are
    assert {"video", "image", "folder", "pattern"} <= set(words)
    assert set(sinks.names()) <= set(words)
