"""The configuration file has a key for each setting, and each mistake in it is named with line, key and expectation."""

import json
import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from edge.config import toml_file
from edge.config.settings import RunSettings, setting_specs
from edge.errors import SettingsError
from edge.setting_checks import NAME_CHECKS
from tests.support.paths import ROOT

SHIPPED = ROOT / "systemd/config.toml"
NAMES = [each.name for each in fields(RunSettings)]
DEFAULTS = {each.name: each.default for each in fields(RunSettings) if each.default not in (None, MISSING)}


@pytest.fixture
def write(tmp_path):
    """A function that writes a configuration file and returns its path."""
    path: Path = tmp_path / "config.toml"

    def write_text(text: str | bytes) -> Path:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_text


def uncomment(example: str) -> str:
    """Return the example with the default of every setting in place of the value for a kiosk."""
    lines = [line for line in example.splitlines() if not re.match(r"\w+ = ", line)]
    return "\n".join(re.sub(r"^# (?=\w+ = )", "", line) for line in lines)


def test_the_example_has_every_setting():
    assert re.findall(r"^# (\w+) = ", toml_file.example(), re.MULTILINE) == NAMES


def test_the_shipped_file_is_the_example():
    assert SHIPPED.read_text() == toml_file.example(), "run: edge config --example > systemd/config.toml"


def test_the_shipped_file_only_sets_reconnect():
    assert toml_file.read(SHIPPED, NAME_CHECKS) == {"reconnect": True}


def test_the_values_in_the_example_are_the_defaults(write, portrait_file):
    text = uncomment(toml_file.example())
    for value in re.findall(r"^(?:model|cascade) = (.*)$", text, re.MULTILINE):  # paths of files that do not exist
        text = text.replace(value, json.dumps(str(portrait_file)))
    assert toml_file.problems(write(text), NAME_CHECKS, {}) == []
    values = toml_file.read(write(text), NAME_CHECKS)
    assert list(values) == NAMES
    assert {name: values[name] for name in DEFAULTS} == DEFAULTS
    RunSettings(**values)


def test_the_example_explains_each_setting():
    sections = toml_file.example().split("\n\n")[1:]
    by_name = {re.findall(r"^# (\w+) = ", text, re.MULTILINE)[-1]: text for text in sections}
    for name, spec in setting_specs().items():
        words = " ".join(by_name[name].replace("\n# ", " ").split())
        assert all(part in words for part in (spec.help, spec.reason, spec.expected, spec.unset)), name


def test_each_type_of_value_is_converted(write, portrait_file):
    path = write(
        f'source = "usb:1"\nsinks = [\n  "console",  # a comment\n  "jsonl",\n]\nmodel = "{portrait_file}"\n'
        "max_frames = 5\nduration = 2\nmax_fps = 12.5\nidle_fps = 0\nreconnect = true\n"
    )
    settings = RunSettings(**toml_file.read(path, NAME_CHECKS))
    assert (settings.source, settings.sinks, settings.model) == ("usb:1", ("console", "jsonl"), str(portrait_file))
    assert (settings.max_frames, settings.duration, settings.max_fps) == (5, 2.0, 12.5)
    assert (settings.idle_fps, settings.reconnect) == (0, True)
    assert type(settings.duration) is float


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("min_face_size = 30\nmin_fase_size = 40", 2, ("min_fase_size", "did you mean min_face_size?")),
        ("min-face-size = 40", 1, ("min-face-size", "did you mean min_face_size?")),
        ("color = true", 1, ("color", "source, sinks, ")),
        ('threads = "two"', 1, ('threads is "two"', "integer", "1 to 64")),
        ("threads = 1.0", 1, ("threads is 1.0", "integer", "1 to 64")),
        ("threads = true", 1, ("threads is true", "integer", "1 to 64")),
        ("reconnect = 1", 1, ("reconnect is 1", "true or false")),
        ("source = 0", 1, ("source is 0", "string")),
        ("cascade = []", 1, ("cascade is []", "path")),
        ("half_life = 1" + 400 * "0", 1, ("half_life is 1000", "0 to 60 seconds")),
        ("half_life = 1979-05-27", 1, ('half_life is "1979-05-27"', "number", "0 to 60 seconds")),
        ('sinks = "console"', 1, ('sinks is "console"', "list of strings")),
        ("# a\n\nsinks = [\n 'console',\n 3\n]", 3, ('sinks is ["console", 3]', "list of strings")),
        ("\n\nmin_face_size = 15", 3, ("min_face_size is 15", "16 to 640 pixels")),
        ("duration = 0", 1, ("duration is 0", "more than 0")),
        ("min_confidence = nan", 1, ("min_confidence is NaN", "0 to 1")),
        ("idle_fps = 0.05", 1, ("idle_fps is 0.05", "0 (disabled) or 0.1 to 1000")),
        ('source = "picamra"', 1, ('source is "picamra"', "picamera, ")),
        ('sinks = ["consol"]', 1, ('sinks is ["consol"]', "console, ")),
        ('model = "none.tflite"', 1, ('model is "none.tflite"', "no such file")),
        ('cascade = "/dev"', 1, ('cascade is "/dev"', "not a regular file")),
        ('detector = "yunet:/dev/null"', 1, ("/dev/null: not a regular file",)),
        ("max_frames = 1\nmax_frames = 2", 2, ("max_frames", "twice")),
        ("max_frames = 1\nthreads = = 3\n", 2, ("'threads = = 3'", "TOML", "Invalid value")),
        ("max_frames = 1\nsinks = [\n'console',\n", 2, ("'sinks = ['", "TOML", "Invalid value")),
        ("max_frames\n", 1, ("'max_frames'", "TOML", "Expected '='")),
        ("max_frames = 1\n[run]\nthreads = 9", 2, ("[run] is a table",)),
        ("run.threads = 9", 1, ("run is a table",)),
        (b"max_frames = 1\n# \xfcber\n", 2, ("0xfc", "UTF-8")),
    ],
)
def test_a_mistake_is_named_with_file_line_and_expectation(write, text, line, words):
    path = write(text)
    with pytest.raises(SettingsError) as refused:
        toml_file.read(path, NAME_CHECKS)
    message = str(refused.value)
    assert message.startswith(f"{path}:{line}: ")
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize(
    "text",
    [
        'source = "rtsp://eva:geheim@cam/live"',
        'source = ["rtsp://cam/live?password=geheim"]',
        'sinks = ["mqtt:eva:geheim@nas"]',
        'source = "rtsp://eva:geheim',
        'password = "geheim',
    ],
)
def test_a_problem_does_not_repeat_a_password(write, text):
    (problem,) = toml_file.problems(write(text), NAME_CHECKS, {})
    assert "geheim" not in problem


def test_valid_settings_are_read_beside_problems(write):
    values, (problem,) = toml_file.read_valid(write("threads = 2\nreconnect = 3"), NAME_CHECKS)
    assert values == {"threads": 2}
    assert ":2: reconnect is 3" in problem


def test_all_problems_are_listed_in_the_order_of_their_lines(write):
    path = write('threads = 0\nreconnect = true\nsource = 3\nmin_confidence = "x"\ncolor = 1\n')
    problems = toml_file.problems(path, NAME_CHECKS, {})
    assert [problem.removeprefix(f"{path}:").split(":")[0] for problem in problems] == ["1", "3", "4", "5"]
    with pytest.raises(SettingsError, match="3 more"):
        toml_file.read(path, NAME_CHECKS)


@pytest.mark.parametrize(("name", "reason"), [("none.toml", "No such file"), ("", "Is a directory")])
def test_an_unreadable_file_is_named_with_the_way_to_make_one(tmp_path, name, reason):
    path = tmp_path / name
    with pytest.raises(SettingsError, match=f"^{re.escape(str(path))}: .*{reason}.*config --example"):
        toml_file.read(path, NAME_CHECKS)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sinks = " + "[" * 20_000, "too long or too deeply nested"),
        ("threads = " + "9" * 5000, "too long or too deeply nested"),
        ("sinks = [{a" + ".a" * 5000 + " = 1}]", "too deeply nested"),
        ("threads = 1\nsinks = [\n" + '"console",\n' * 5000, r":2: 'sinks = \[' is not valid TOML"),
        ("#" * 100_001, "more than 100,000 bytes"),
    ],
)
def test_costly_file_is_refused_in_one_line(write, text, reason):
    (problem,) = toml_file.problems(write(text), NAME_CHECKS, {})
    assert re.search(reason, problem)
    assert len(problem) < 300


def test_device_is_no_configuration_file():
    assert "a device or a socket, not a file" in toml_file.problems(Path("/dev/zero"), NAME_CHECKS, {})[0]
