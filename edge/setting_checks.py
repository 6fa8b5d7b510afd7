"""Checks settings before anything is opened: the names in their values, what excludes what, and the model's labels."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from edge.capture import registry as cameras
from edge.capture import stream_url
from edge.config import models
from edge.config.secrets import hide_passwords
from edge.config.settings import RunSettings
from edge.detection import registry as detectors
from edge.errors import SettingsError, UsageError
from edge.inference import model_file, prior
from edge.sinks import registry as sinks
from edge.system.paths import file_problem
from edge.types import RunInfo

SINKS_WITHOUT_IMAGES = ("console", "csv", "jsonl", "mqtt")


def check_model(model: str) -> None:
    """Raise UnknownNameError or SettingsError if `model` is neither a name nor a file; for auto, if one is missing."""
    for path in models.find_models(model):
        if problem := file_problem(path):
            raise SettingsError(f"{path}: {problem}")


def check_crops(settings: RunSettings) -> None:
    """Raise UsageError if `crops` is set beside what it excludes: face detection, and a camera."""
    if not settings.crops:
        return
    for name, default in (("detector", RunSettings.detector), ("cascade", None)):
        if (value := getattr(settings, name)) != default:
            raise UsageError(f"crops is set, so no faces are detected, but {name} is {str(value)!r}; omit one of them")
    if not cameras.is_file(settings.source):
        source = repr(hide_passwords(settings.source)) if settings.source else "a camera"
        raise UsageError(f"crops is set, but {source} is not an image or a folder of images; run without --crops")


def check_more_sources(settings: RunSettings) -> None:
    """Raise UsageError if there is a camera beside other sources."""
    addresses = [each for each in settings.more_sources if stream_url.is_address(each)]
    if addresses or (settings.more_sources and not cameras.is_file(settings.source)):
        # An address may hold a password.
        source = "a network camera" if addresses else repr(hide_passwords(settings.more_sources[0]))
        raise UsageError(f"{source}: a second source, but only files can be several")


def check_jobs(settings: RunSettings) -> None:
    """Raise UsageError if there are several jobs for a camera, a duration, or a sink that needs images."""
    if settings.jobs == 1:
        return
    if sys.platform == "win32":
        raise UsageError(f"jobs is {settings.jobs}, but Windows has only 1; several need Linux or macOS")
    if settings.duration is not None:
        raise UsageError(
            f"jobs is {settings.jobs}, but duration would end the run with unfinished files; run without --duration"
        )
    if not cameras.is_file(settings.source):
        raise UsageError(f"jobs is {settings.jobs}, but the source is a camera; only files are read by several jobs")
    for spec in settings.sinks:
        if spec.partition(":")[0] not in SINKS_WITHOUT_IMAGES:
            raise UsageError(f"jobs is {settings.jobs}, but the sink {spec} may need images; run with --jobs 1")


def check_combinations(settings: RunSettings) -> None:
    """Raise UsageError if settings exclude each other."""
    for check in COMBINATION_CHECKS.values():
        check(settings)


# Setting -> checks the names in its value, and raises an error; see edge.config.toml_file.
NAME_CHECKS: dict[str, Callable[[Any], object]] = {
    "source": cameras.parse,
    "model": check_model,
    "prior": prior.parse,
    "detector": detectors.parse,
    "sinks": lambda specs: [sinks.find(spec)(RunInfo()) for spec in specs],
}
# Setting -> checks it beside others, and raises an error.
COMBINATION_CHECKS: dict[str, Callable[[RunSettings], object]] = {
    "crops": check_crops,
    "cascade": lambda settings: detectors.parse(settings.detector, settings.cascade),
    "more_sources": check_more_sources,
    "jobs": check_jobs,
}
# Those, and what a run finds out anyway when it loads the model; see edge.config.toml_file.
FILE_CHECKS: dict[str, Callable[[RunSettings], object]] = {
    **COMBINATION_CHECKS,
    "model": lambda settings: [
        prior.expected_frequencies(settings.prior, model_file.load(path)[1])
        for path in models.find_models(settings.model)
    ],
    "calibrate_neutral": lambda settings: [
        prior.resting_label(model_file.load(path)[1].labels)
        for path in (models.find_models(settings.model) if settings.calibrate_neutral else ())
    ],
}
