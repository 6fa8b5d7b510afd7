"""How many threads are useful, on boards with 1, 2 and 4 cores."""

import pytest

from edge.config.settings import RunSettings
from edge.diagnostics.thread_rule import DEFAULT_THREADS, check_threads, useful_threads
from tests.support.checks import assert_check


@pytest.mark.parametrize(("cores", "useful"), [(1, 1), (2, 1), (4, 2), (3, 1), (8, 4)])
def test_half_of_the_cores_is_the_most(cores, useful):
    assert useful_threads(cores) == useful


def test_the_default_is_useful_everywhere():
    assert RunSettings.threads == DEFAULT_THREADS
    assert all(useful_threads(cores) >= DEFAULT_THREADS for cores in range(1, 9))


@pytest.mark.parametrize(
    ("threads", "cores", "status", "words"),
    [
        (1, 1, "ok", ["1 of the model", "on 1 core"]),
        (1, 4, "ok", ["on 4 cores", "up to 2", "edge benchmark", "inferences wait"]),
        (2, 4, "ok", ["2 of the model", "on 4 cores"]),
        (2, 1, "warning", ["at most 1", "--threads 1"]),
        (2, 2, "warning", ["at most 1", "--threads 1", "camera"]),
        (4, 4, "warning", ["at most 2", "--threads 2"]),
        (1, None, "unavailable", ["unknown"]),
    ],
)
def test_doctor_tells_the_rule_for_this_machine(threads, cores, status, words):
    assert_check(check_threads(threads, cores), status, *words)


def test_threads_that_are_not_useful_are_not_mentioned():
    assert "benchmark" not in check_threads(1, 2).message
    assert "benchmark" not in check_threads(2, 4).message
