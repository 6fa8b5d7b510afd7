"""A configuration file says what the options say, and what is wrong in it is named with line, key and expectation."""

import json
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
import typer

from edge.cli import app
from edge.config import toml_file as config
from edge.config.settings import RunSettings, setting_specs
from edge.errors import SettingsError
from tests.support.commands import run_edge
from tests.support.paths import ROOT

SHIPPED = ROOT / "systemd/config.toml"
NAMES = [each.name for each in fields(RunSettings)]
DEFAULTS = {each.name: each.default for each in fields(RunSettings) if each.default not in (None, MISSING)}
NOT_SETTINGS = {"config", "debug"}  # options of one start, not of a run


@pytest.fixture
def file(tmp_path):
    """Gives a function that writes a configuration file and returns its path."""
    path: Path = tmp_path / "config.toml"

    def write(text: str | bytes) -> Path:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def options() -> dict[str, Any]:
    command: Any = typer.main.get_command(app)
    return {each.name: each for each in command.commands["run"].params if each.name not in NOT_SETTINGS}


def uncommented(text: str) -> str:
    """Return the example with every setting's own line switched on, and a kiosk's left out."""
    lines = [line for line in text.splitlines() if not re.match(r"\w+ = ", line)]
    return "\n".join(re.sub(r"^# (?=\w+ = )", "", line) for line in lines)


def test_every_setting_is_an_option_a_key_and_in_the_example():
    assert list(options()) == NAMES
    assert re.findall(r"^# (\w+) = ", config.example(), re.MULTILINE) == NAMES


def test_an_option_has_the_default_of_its_setting():
    for name, wanted in DEFAULTS.items():
        assert options()[name].default == (list(wanted) if isinstance(wanted, tuple) else wanted), name


def test_an_option_has_help_and_range_of_its_setting():
    words = " ".join(run_edge("run", "--help").stdout.split())
    for name, about in setting_specs().items():
        assert about.help in words, name
        if about.low is not None and not about.zero:
            limits = f"x>={about.low:g}" if about.high is None else f"{about.low:g}<=x<={about.high:g}"
            option = words[words.index(f"--{name.replace('_', '-')} ") :].partition(" --")[0]
            assert limits in option, name


def test_the_shipped_file_is_the_example_that_the_command_prints():
    result = run_edge("config", "--example")
    assert result.returncode == 0
    assert result.stdout == SHIPPED.read_text(), "run: edge config --example > systemd/config.toml"


def test_the_shipped_file_asks_for_nothing_but_to_wait_for_the_camera():
    assert config.read(SHIPPED) == {"retry": True}


def test_the_values_of_the_example_are_the_defaults_or_would_do(file, tmp_path, portrait_file):
    text = uncommented(config.example())
    for name in re.findall(r"^(?:model|cascade) = (.*)$", text, re.MULTILINE):  # examples of files that may be anywhere
        text = text.replace(name, json.dumps(str(portrait_file)))
    assert config.problems(file(text)) == []
    found = config.read(file(text))
    assert list(found) == NAMES
    assert {name: found[name] for name in DEFAULTS} == DEFAULTS
    RunSettings(**found)


def test_range_and_reason_stand_above_each_setting_of_the_example():
    texts = config.example().split("\n\n")[1:]
    paragraphs = {re.findall(r"^# (\w+) = ", text, re.MULTILINE)[-1]: text for text in texts}
    for name, about in setting_specs().items():
        words = " ".join(paragraphs[name].replace("\n# ", " ").split())
        assert all(part in words for part in (about.help, about.why, about.expected, about.unset)), name


def test_every_kind_of_value_arrives_as_the_settings_have_it(file, portrait_file):
    path = file(
        f'source = "usb:1"\nsinks = [\n  "console",  # for people\n  "jsonl",\n]\nmodel = "{portrait_file}"\n'
        "frames = 5\nseconds = 2\nmax_fps = 12.5\nidle_fps = 0\nretry = true\n"
    )
    settings = RunSettings(**config.read(path))
    assert (settings.source, settings.sinks, settings.model) == ("usb:1", ("console", "jsonl"), portrait_file)
    assert (settings.max_frames, settings.duration, settings.max_fps) == (5, 2.0, 12.5)
    assert (settings.idle_fps, settings.reconnect) == (0, True)
    assert type(settings.duration) is float


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("min_face = 30\nmin_fase = 40", 2, "no setting min_fase; did you mean min_face?"),
        ("min-face = 40", 1, "no setting min-face; did you mean min_face?"),
        ("color = true", 1, "no setting color; there are source, sinks, "),
        ('threads = "two"', 1, 'threads is "two", expected a whole number, 1 to 64'),
        ("threads = 1.0", 1, "threads is 1.0, expected a whole number, 1 to 64"),
        ("threads = true", 1, "threads is true, expected a whole number, 1 to 64"),
        ("retry = 1", 1, "retry is 1, expected true or false"),
        ("source = 0", 1, "source is 0, expected a text in quotes"),
        ("cascade = []", 1, "cascade is [], expected a path in quotes"),
        ("half_life = 1979-05-27", 1, 'half_life is "1979-05-27", expected a number, 0 to 60 seconds'),
        ('sinks = "console"', 1, 'sinks is "console", expected a list of texts, as ["console"]'),
        ("# a\n\nsinks = [\n 'console',\n 3\n]", 3, 'sinks is ["console", 3], expected a list of texts'),
        ("\n\nmin_face = 15", 3, "min_face is 15, expected a whole number, 16 to 640 pixels"),
        ("seconds = 0", 1, "seconds is 0, expected a number, more than 0"),
        ("unsure = nan", 1, "unsure is NaN, expected a number, 0 to 1"),
        ("idle_fps = 0.05", 1, "idle_fps is 0.05, expected a number, 0 (no idling) or 0.1 to 1000 frames a second"),
        ('source = "picamra"', 1, "source is \"picamra\": no camera 'picamra'; there are "),
        ('sinks = ["consol"]', 1, "sinks is [\"consol\"]: no sink 'consol'; there are console"),
        ('model = "none.tflite"', 1, 'model is "none.tflite": no such file'),
        ("frames = 1\nframes = 2", 2, "frames is there twice, expected once"),
        ("frames = 1\nmin_face = = 3\n", 2, "'min_face = = 3' is no TOML (Invalid value), expected key = value"),
        ("frames = 1\nsinks = [\n'console',\n", 2, "'sinks = [' is no TOML (Invalid value), expected key = value"),
        ("frames\n", 1, "'frames' is no TOML (Expected '=' after a key in a key/value pair), expected key = value"),
        ("frames = 1\n[run]\nthreads = 9", 2, "[run] is a table, expected lines 'key = value' alone"),
        ("run.threads = 9", 1, "run is a table, expected lines 'key = value' alone"),
        (b"frames = 1\n# \xfcber\n", 2, "byte 0xfc found, expected a text in UTF-8"),
    ],
)
def test_what_is_wrong_is_named_with_file_line_key_and_expectation(file, text, line, words):
    path = file(text)
    with pytest.raises(SettingsError) as refused:
        config.read(path)
    assert str(refused.value).startswith(f"{path}:{line}: {words}")


def test_a_file_that_is_not_there_or_cannot_be_read_is_told_with_a_way_to_make_one(tmp_path):
    for path, reason in ((tmp_path / "none.toml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(SettingsError, match=f"^{re.escape(str(path))}: cannot be read .{reason}.*config --example"):
            config.read(path)


def test_a_run_with_a_wrong_file_ends_with_78_and_one_line(file):
    path = file("min_face = 3\nthreads = 0")
    result = run_edge("run", "--config", path)
    assert result.returncode == 78
    expected = f"edge: error: {path}:1: min_face is 3, expected a whole number, 16 to 640 pixels"
    assert result.stderr == f"{expected} (1 more: 'edge config --check {path}')\n"


def test_check_names_everything_that_is_wrong_and_nothing_else(file):
    path = file('threads = 0\nretry = true\nsource = 3\nunsure = "x"\ncolor = 1\n')
    result = run_edge("config", "--check", path)
    assert result.returncode == 78
    assert re.findall(rf"^{re.escape(str(path))}:(\d+): ", result.stderr, re.MULTILINE) == ["1", "3", "4", "5"]


def test_check_of_a_good_file_says_so(file):
    result = run_edge("config", "--check", file("threads = 2\n"))
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{file('threads = 2')}: good\n", "")


def test_config_without_a_question_is_a_usage_error():
    result = run_edge("config")
    assert result.returncode == 2
    assert "give --check FILE or --example" in result.stderr


def test_flags_go_before_the_file_and_the_file_before_the_defaults(file, portrait_file):
    path = file(f'source = "{portrait_file}"\nsinks = ["jsonl"]\nmin_face = 300\n')
    assert json.loads(run_edge("run", "--config", path).stdout)["faces"] == []
    # 30 is the default: that it was given is what counts.
    assert len(json.loads(run_edge("run", "--config", path, "--min-face-size", 30).stdout)["faces"]) == 1
