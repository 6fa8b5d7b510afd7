"""A setting that is out of range is refused by its name."""

import math
from dataclasses import FrozenInstanceError

import pytest

from edge.config import defaults
from edge.config.settings import RunSettings
from edge.errors import SettingsError


def test_by_default_the_shipped_model_runs_without_limits():
    settings = RunSettings()
    assert settings.sinks == ("console",)
    assert settings.model is None
    assert (settings.source, settings.max_frames, settings.duration) == (None, None, None)


def test_shared_defaults_are_those_of_the_other_parts():
    assert RunSettings().min_face_size == defaults.MIN_FACE_SIZE
    assert RunSettings().half_life == defaults.HALF_LIFE_SECONDS
    assert RunSettings().idle_fps == defaults.IDLE_FPS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_frames", 0),
        ("duration", 0.0),
        ("duration", math.nan),
        ("min_face_size", 15),
        ("min_face_size", 641),
        ("min_confidence", -0.01),
        ("min_confidence", 1.01),
        ("min_confidence", math.nan),
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
def test_a_value_out_of_range_is_named_with_the_range(name, value):
    with pytest.raises(SettingsError, match=f"^{name} is {value}, expected "):
        RunSettings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_frames", 1),
        ("min_face_size", 16),
        ("min_face_size", 640),
        ("min_confidence", 0),
        ("min_confidence", 1),
        ("max_fps", None),
        ("max_fps", 0.1),
        ("max_fps", 1000),
        ("idle_fps", 0.0),
        ("idle_fps", 0.1),
        ("half_life", 0),
        ("threads", 64),
    ],
)
def test_the_ends_of_a_range_are_valid(name, value):
    assert getattr(RunSettings(**{name: value}), name) == value


def test_settings_are_immutable():
    settings = RunSettings()
    with pytest.raises(FrozenInstanceError):
        settings.max_frames = 5  # type: ignore[misc]
