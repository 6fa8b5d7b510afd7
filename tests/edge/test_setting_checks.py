"""Settings are checked before anything is opened: names in their values, and what excludes what."""

import re

import pytest

from edge.config.settings import RunSettings
from edge.errors import SettingsError, UnknownNameError, UsageError
from edge.setting_checks import check_jobs, check_model


@pytest.mark.parametrize(
    ("model", "problem"),
    [("fast", None), ("auto", None), ("fsat", "the models are emotion, fast"), ("none.tflite", "no such file")],
)
def test_the_model_of_a_configuration_is_checked(two_models, model, problem):
    if problem is None:
        check_model(model)
    else:
        with pytest.raises((UnknownNameError, SettingsError), match=problem):
            check_model(model)


@pytest.mark.parametrize(
    ("source", "sink", "words"),
    [
        ("synthetic", "jsonl", "jobs is 2, but the source is a camera"),
        ("a.mp4", "video:out/", "jobs is 2, but the sink video:out/ may need images"),
        ("a.mp4", "./own.py", "jobs is 2, but the sink ./own.py may need images"),
    ],
)
def test_what_jobs_cannot_do_is_refused(source, sink, words):
    with pytest.raises(UsageError, match=re.escape(words)):
        check_jobs(RunSettings(source=source, sinks=(sink,), jobs=2))


def test_a_duration_beside_several_jobs_is_refused():
    with pytest.raises(UsageError, match="jobs is 2, but duration would end the run with unfinished files"):
        check_jobs(RunSettings(source="a.mp4", sinks=("jsonl",), jobs=2, duration=1.0))
