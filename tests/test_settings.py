"""A setting out of its range is refused by name, before anything is opened."""

import math
from dataclasses import FrozenInstanceError

import pytest

from edge.errors import SettingsError
from edge.settings import RunSettings


def test_the_defaults_are_a_run_of_the_shipped_model_on_the_console():
    settings = RunSettings()
    assert settings.sinks == ("console",)
    assert settings.model.is_file()
    assert (settings.source, settings.frames, settings.seconds) == (None, None, None)


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
        ("half_life", 0),
        ("threads", 64),
    ],
)
def test_the_ends_of_a_range_belong_to_it(name, value):
    assert getattr(RunSettings(**{name: value}), name) == value


def test_settings_do_not_change_during_a_run():
    settings = RunSettings()
    with pytest.raises(FrozenInstanceError):
        settings.frames = 5  # type: ignore[misc]
