"""`edge config` checks a configuration file, says what it keeps, sends and shows, and prints an example."""

import re

import pytest

from edge.config import toml_file
from edge.config.models import packaged_model


@pytest.fixture
def file(tmp_path):
    return tmp_path / "config.toml"


def test_check_lists_all_problems(run_here, file):
    file.write_text('threads = 0\nreconnect = true\nsource = 3\nmin_confidence = "x"\ncolor = 1\n')
    result = run_here("config", "--check", file)
    assert result.returncode == 78
    assert re.findall(rf"^{re.escape(str(file))}:(\d+): ", result.stderr, re.MULTILINE) == ["1", "3", "4", "5"]


def test_check_accepts_a_valid_file(run_here, file):
    file.write_text("threads = 2\n")
    result = run_here("config", "--check", file)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{file}: valid\n", "")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('cascade = "FILE"\ndetector = "yunet:FILE"', 1, "the detector is yunet; only haar reads a cascade"),
        ('crops = true\nsource = "usb:0"', 1, "'usb:0' is not an image or a folder of images"),
        ("threads = 1\ncrops = true", 2, "a camera is not an image"),
        ('source = "FILE"\ncrops = true\ndetector = "yunet:FILE"', 2, "no faces are detected, but detector is"),
        ('more_sources = ["a.jpg"]\nsource = "synthetic"', 1, "only files can be several"),
        ('prior = "joy=0.5"\nmodel = "MODEL"', 2, "the model has no label 'joy'"),
        ('model = "FILE"', 1, "not a TFLite model"),
    ],
)
def test_check_finds_values_that_do_not_fit_together(run_here, file, portrait_file, text, line, words):
    file.write_text(text.replace("FILE", str(portrait_file)).replace("MODEL", str(packaged_model())))
    result = run_here("config", "--check", file)
    assert (result.returncode, result.stderr.count("\n")) == (78, 1)
    assert result.stderr.startswith(f"{file}:{line}: ")
    assert words in result.stderr


def test_check_accepts_values_that_fit_together(run_here, file, portrait_file):
    file.write_text(
        f'source = "{portrait_file}"\nmore_sources = ["none.jpg"]\ncrops = true\nprior = "happy=0.5"\n'
        f'model = "{packaged_model()}"\ndetector = "haar"\n'
    )
    assert run_here("config", "--check", file).stderr == ""


def test_the_example_is_printed(run_here):
    assert run_here("config", "--example").stdout == toml_file.example()


def test_without_an_option_it_is_a_usage_error(run_here):
    result = run_here("config")
    assert result.returncode == 2
    assert "--check FILE, --privacy FILE or --example" in result.stderr


def test_privacy_is_that_of_the_sinks_of_the_file(run_here, file):
    file.write_text('sinks = ["console", "jsonl:a.jsonl"]\n')
    result = run_here("config", "--privacy", file)
    assert (result.returncode, result.stderr) == (0, "")
    assert "  jsonl:a.jsonl: in a.jsonl" in result.stdout
    assert not file.with_name("a.jsonl").exists(), "it opens nothing"


def test_privacy_is_that_of_the_source_and_the_calibration(run_here, file):
    file.write_text('source = "http://camera.example/video"\nsinks = ["console"]\ncalibrate_neutral = true\n')
    result = run_here("config", "--privacy", file)
    assert (result.returncode, result.stderr) == (0, "")
    assert "calibrate_neutral: in memory" in result.stdout
    assert "http://: the camera sends its IMAGES to this device through the network, NOT ENCRYPTED" in result.stdout


def test_privacy_of_an_invalid_file_is_refused(run_here, file):
    file.write_text('sinks = ["console"]\nthreads = 0\n')
    result = run_here("config", "--privacy", file)
    assert (result.returncode, result.stdout) == (78, "")
    assert f"{file}:2: threads" in result.stderr


@pytest.mark.parametrize("option", ["--check", "--privacy"])
def test_a_sink_that_cannot_be_made_is_one_line(run_here, file, option):
    sink = file.with_name("mine.py")
    methods = "\n".join(f" def {name}(self, *_): pass" for name in ("__enter__", "write", "__exit__"))
    sink.write_text(f"class Sink:\n def __init__(self, argument, run): self.pin = int(argument)\n{methods}\n")
    file.write_text(f'threads = 2\nsinks = ["{sink}"]\n')
    result = run_here("config", option, file)
    assert (result.returncode, result.stderr.count("\n")) == (78, 1)
    assert f"{file}:2: sinks is " in result.stderr
    assert f"{sink}:2: Sink(argument, run) raised ValueError: invalid literal" in result.stderr
