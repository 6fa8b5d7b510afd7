"""A setting out of its range is refused by name, before anything is opened."""

import math
from dataclasses import FrozenInstanceError, asdict
from typing import Any

import pytest
import typer

from edge.capture.frame_rate import IDLE_FPS
from edge.cli import app
from edge.config.settings import RunSettings
from edge.detection.haar import MIN_FACE
from edge.errors import SettingsError


def test_the_defaults_are_a_run_of_the_shipped_model_on_the_console():
    settings = RunSettings()
    assert settings.sinks == ("console",)
    assert settings.model.is_file()
    assert (settings.source, settings.max_frames, settings.duration) == (None, None, None)


def test_the_defaults_are_those_of_the_parts_that_they_are_for():
    assert RunSettings().min_face == MIN_FACE
    assert RunSettings().half_life == HALF_LIFE
    assert RunSettings().idle_fps == IDLE_FPS


def test_the_defaults_of_the_command_are_the_settings():
    command: Any = typer.main.get_command(app)
    defaults = {option.name: option.default for option in command.commands["run"].params}
    settings = asdict(RunSettings())
    assert not set(settings) - set(defaults)
    assert tuple(defaults["sinks"]) == settings["sinks"]
    for name in set(settings) - {"sinks", "model"}:  # the model that is shipped is looked for when the command runs
        assert defaults[name] == settings[name], name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("frames", 0),
        ("seconds", 0.0),
        ("seconds", math.nan),
        ("min_face", 15),
        ("min_face", 641),
        ("unsure", -0.01),
        ("unsure", 1.01),
        ("unsure", math.nan),
        ("max_fps", 0.0),
        ("max_fps", 0.09),
        ("max_fps", -5.0),
        ("max_fps", 1001.0),
        ("max_fps", math.inf),
        ("max_fps", math.nan),
        ("idle_fps", 0.05),
        ("idle_fps", -5.0),
        ("idle_fps", math.nan),
        ("half_life", -1.0),
        ("half_life", 61.0),
        ("threads", 0),
        ("threads", 65),
    ],
)
def test_a_setting_out_of_range_is_named_with_what_was_found_and_expected(name, value):
    with pytest.raises(SettingsError, match=f"^{name} is {value}, expected "):
        RunSettings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("frames", 1),
        ("min_face", 16),
        ("min_face", 640),
        ("unsure", 0),
        ("unsure", 1),
        ("max_fps", None),
        ("max_fps", 0.1),
        ("max_fps", 1000),
        ("idle_fps", 0.0),
        ("idle_fps", 0.1),
        ("half_life", 0),
        ("threads", 64),
    ],
)
def test_the_ends_of_a_range_belong_to_it(name, value):
    assert getattr(RunSettings(**{name: value}), name) == value


def test_settings_do_not_change_during_a_run():
    settings = RunSettings()
    with pytest.raises(FrozenInstanceError):
        settings.max_frames = 5  # type: ignore[misc]
