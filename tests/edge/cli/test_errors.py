"""Each error of the command `edge` is one line on stderr, with the exit status that is promised."""

import subprocess
from pathlib import Path

import pytest

from edge.capture import registry as cameras
from edge.sinks import registry as sinks
from tests.support.commands import EDGE, run_edge


def assert_refused(result: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """Check that the command ended with `status` and one line on stderr that contains all `words`."""
    assert result.stderr.startswith("edge: error: "), result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert [word for word in words if word not in result.stderr] == [], result.stderr
    assert result.returncode == status


def test_a_misspelled_sink_or_camera_lists_the_names(run_here, portrait_file):
    assert_refused(run_here("run", portrait_file, "-s", "consol"), 2, "'consol'", *sinks.names())
    assert_refused(run_here("run", "picamra"), 2, "'picamra'", *cameras.names())


# Only a new process can show that OpenCV, FFmpeg and V4L2 print nothing themselves.
@pytest.mark.parametrize(
    ("arguments", "status", "name"),
    [
        (("text.mp4",), 1, "text.mp4"),
        (("text.png",), 1, "text.png"),
        (("usb:/dev/null",), 1, "/dev/null"),
        (("synthetic", "--cascade", "text.png"), 78, "text.png"),
        (("synthetic", "--detector", "yunet:text.png"), 78, "text.png"),
        (("synthetic", "--detector", "blazeface:text.png"), 78, "text.png"),
        (("synthetic", "-s", "video:text.png/out.mp4"), 1, "video:text.png/out.mp4"),
    ],
)
def test_native_libraries_print_nothing_beside_the_error(tmp_path, arguments, status, name):
    for file in ("text.png", "text.mp4"):
        (tmp_path / file).write_text("this is a text")
    assert_refused(run_edge("run", *arguments, cwd=tmp_path), status, name)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("nothing.mp4",), 2, ("nothing.mp4", "no such file")),
        (("notes.txt",), 1, ("notes.txt",)),
        (("synthetic", "--max-frames", "0"), 2, ("'--max-frames'",)),
        (("synthetic", "--min-face-size", "15"), 2, ("'--min-face-size'",)),
        (("synthetic", "--color"), 2, ("--color",)),
        (("usb:987654",), 1, ("/dev/video987654",)),
        (("synthetic:slow",), 2, ("'slow'",)),
        (("synthetic", "--model", "notes.txt"), 78, ("notes.txt", "TFLite")),
        (("synthetic", "--model", "nothing.tflite"), 78, ("nothing.tflite", "cannot be read")),
        (("synthetic", "--cascade", "nothing.xml"), 78, ("nothing.xml",)),
        (("synthetic", "--detector", "dnn"), 2, ("'dnn'", "blazeface, haar, yunet")),
        (("synthetic", "--detector", "yunet"), 2, ("yunet:FILE",)),
        (("synthetic", "--detector", "yunet:nothing.onnx"), 78, ("nothing.onnx", "no such file")),
        (("synthetic", "--detector", "yunet:notes.txt", "--cascade", "eyes.xml"), 2, ("eyes.xml", "yunet")),
        (("synthetic", "--duration", "0"), 78, ("duration is 0.0", "more than 0")),
        (("synthetic", "--max-fps", "0"), 2, ("'--max-fps'", "0")),
        (("synthetic", "--idle-fps", "-1"), 78, ("idle_fps is -1.0", "0.1 to 1000")),
        (("synthetic", "-s", "console:loud"), 2, ("console", "'loud'")),
        (("synthetic", "-s", "video:out.mkv"), 2, ("video:out.mkv", ".mp4")),
        (("--frams", "3"), 2, ("--frams",)),
    ],
)
def test_an_error_has_one_line_and_its_exit_status(run_here, tmp_path, monkeypatch, arguments, status, words):
    (tmp_path / "notes.txt").write_text("this is a text")
    monkeypatch.chdir(tmp_path)
    assert_refused(run_here("run", *arguments), status, *words)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("run", ""), "an argument"),
        (("run", "synthetic", "--model", ""), "--model"),
        (("run", "synthetic", "-s", ""), "-s"),
        (("run", "synthetic", "--config="), "--config"),
        (("config", "--check", ""), "--check"),
        (("summary", ""), "an argument"),
        (("",), "an argument"),
    ],
)
def test_an_empty_argument_is_named(run_here, arguments, name):
    assert_refused(run_here(*arguments), 2, f"error: {name} is empty")


def test_an_unknown_command_is_a_usage_error(run_here):
    assert_refused(run_here("rum"), 2, "'rum'", "edge --help")


def test_a_defect_of_the_program_has_a_traceback(run_here, monkeypatch):
    monkeypatch.setattr("edge.app.run", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_here("run", "synthetic")


@pytest.mark.parametrize("arguments", [("run", "synthetic:fast"), ("run", "synthetic:fast", "-s", "jsonl"), ("info",)])
def test_a_full_disk_behind_stdout_is_one_line(arguments):
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [EDGE, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert_refused(result, 1, "No space left on device")


def test_a_full_disk_ends_a_run_over_files(run_here, portrait_file):
    assert_refused(run_here("run", portrait_file, "-s", "jsonl:/dev/full"), 1, "jsonl:/dev/full", "No space left")


def test_a_camera_continues_without_a_failing_sink(tmp_path):
    good = tmp_path / "good.jsonl"
    result = run_edge("run", "synthetic", "--max-frames", 30, "-s", "jsonl:/dev/full", "-s", f"jsonl:{good}")
    assert len(good.read_text().splitlines()) == 30
    assert result.stderr.count("jsonl:/dev/full: cannot be written") == 2  # when it fails, and as the error at the end
    assert "Traceback" not in result.stderr
    assert result.returncode == 1  # the sink did not recover


@pytest.mark.parametrize("sink", ["jsonl", "console"])
def test_a_closed_pipe_ends_the_run_without_a_message(sink):
    shell = f'"{EDGE}" run synthetic:fast,faces=8 --min-confidence 0 --half-life 0 -s {sink} | head -1'
    result = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""


def test_debug_shows_the_traceback_of_an_error():
    result = run_edge("run", "nothing.mp4", "--debug")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "SourceNotFoundError" in result.stderr


HOSTILE = "a\n<3>edge: \x1b[2J\x9b\u202e\u2028"


@pytest.mark.parametrize(
    "arguments",
    [
        (HOSTILE,),
        ("run", f"{HOSTILE}.mp4"),
        ("run", f"--{HOSTILE}"),
        ("run", "synthetic", "-s", HOSTILE),
        ("run", "synthetic", "-s", f"jsonl:/dev/null/{HOSTILE}"),
        ("run", "synthetic", "-s", f"mqtt:h,{HOSTILE}"),
        ("run", "synthetic", "--cascade", f"{HOSTILE}.xml"),
        ("run", "synthetic", "--config", f"{HOSTILE}.toml"),
        ("run", "synthetic", "--prior", HOSTILE),
        ("info", f"{HOSTILE}.tflite"),
        ("config", "--check", f"{HOSTILE}.toml"),
        ("summary", HOSTILE),
    ],
)
def test_what_an_error_quotes_stays_on_one_printable_line(run_here, arguments):
    result = run_here(*arguments)
    assert result.returncode
    line, end, rest = result.stderr.partition("\n")
    assert line.isprintable()
    assert (end, rest) == ("\n", "")


def test_the_problems_of_a_configuration_are_printable(run_here, tmp_path):
    path = tmp_path / "\x9b.toml"
    path.write_text('"\\u001b[2J\\n" = 1\nthreads = "\\u009b\\u202e"\n')
    result = run_here("config", "--check", path)
    assert [line.isprintable() for line in result.stderr.splitlines()] == [True, True]
    path.write_text("threads = 1\n")
    assert run_here("config", "--check", path).stdout.rstrip("\n").isprintable()
