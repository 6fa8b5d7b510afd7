"""Each problem of the board and its system has a status and advice; what is fine or missing has no advice."""

from datetime import UTC, datetime

import pytest

from edge.diagnostics import system_checks
from tests.support.checks import assert_check


@pytest.mark.parametrize(
    ("celsius", "is_pi", "status"),
    [
        (None, True, "unavailable"),
        (69.9, True, "ok"),
        (70.0, True, "warning"),
        (79.9, True, "warning"),
        (80.0, True, "error"),
        (91.0, False, "warning"),  # a PC
    ],
)
def test_a_pi_is_too_hot_where_it_throttles(celsius, is_pi, status):
    words = ["heat sink"] if status in {"warning", "error"} else []
    assert_check(system_checks.check_temperature(celsius, is_pi), status, *words)


@pytest.mark.parametrize(
    ("now", "since_boot", "status", "words"),
    [
        ([], [], "ok", []),
        ([], ["under-voltage"], "warning", ["since boot: under-voltage", "power supply"]),
        (["under-voltage"], ["under-voltage"], "error", ["now: under-voltage; since boot", "power supply"]),
        (["throttled"], [], "error", ["now: throttled", "heat sink"]),
        ([], ["under-voltage", "soft temperature limit"], "warning", ["power supply", "heat sink"]),
    ],
)
def test_throttling_is_an_error_now_and_a_warning_since_boot(now, since_boot, status, words):
    assert_check(system_checks.check_throttling({"now": now, "since_boot": since_boot}), status, *words)


def test_throttling_that_is_not_reported_is_unavailable():
    assert_check(system_checks.check_throttling(None), "unavailable")


def test_the_advice_is_for_power_or_heat_where_one_is_the_cause():
    power = system_checks.check_throttling({"now": [], "since_boot": ["under-voltage", "throttled"]}).advice
    heat = system_checks.check_throttling({"now": ["throttled"], "since_boot": ["soft temperature limit"]}).advice
    assert ("power supply" in power, "heat sink" in power) == (True, False)
    assert ("power supply" in heat, "heat sink" in heat) == (False, True)


@pytest.mark.parametrize(
    ("governor", "driver", "status"),
    [
        ("ondemand", "cpufreq-dt", "ok"),
        ("powersave", "cpufreq-dt", "warning"),
        ("powersave", "intel_pstate", "ok"),  # that one is dynamic
        (None, None, "unavailable"),
    ],
)
def test_a_governor_that_keeps_the_clock_low_is_a_warning(governor, driver, status):
    check = system_checks.check_governor(governor, driver)
    assert_check(check, status, *(["ondemand"] if status == "warning" else []))


@pytest.mark.parametrize(
    ("available", "status"), [(200, "ok"), (199, "warning"), (100, "warning"), (99, "error"), (None, "unavailable")]
)
def test_little_memory_is_reported_before_it_is_used_up(available, status):
    words = [] if available is None else [f"{available} MB", "512 MB"]
    assert_check(system_checks.check_memory(available, 512), status, *words)


@pytest.mark.parametrize(
    ("free", "status"), [(200, "ok"), (199, "warning"), (50, "warning"), (49, "error"), (None, "unavailable")]
)
def test_a_full_disk_is_reported_before_it_is_full(free, status):
    assert_check(system_checks.check_disk(free), status, *([] if free is None else [f"{free} MB free"]))


@pytest.mark.parametrize(
    ("year", "synchronized", "status"),
    [(2026, True, "ok"), (2026, None, "ok"), (2026, False, "warning"), (2023, True, "error"), (1970, None, "error")],
)
def test_a_clock_never_set_is_an_error_unsynchronized_a_warning(year, synchronized, status):
    check = system_checks.check_clock(datetime(year, 5, 4, tzinfo=UTC), synchronized)
    assert_check(check, status, f"{year}-05-04 00:00 UTC")


@pytest.mark.parametrize(
    ("properties", "status", "words"),
    [
        (None, "unavailable", []),
        ({"LoadState": "not-found", "ActiveState": "inactive"}, "unavailable", ["not installed"]),
        ({"ActiveState": "active", "SubState": "running", "NRestarts": "0"}, "ok", ["active (running)"]),
        ({"ActiveState": "active", "SubState": "running", "NRestarts": "4"}, "warning", ["4 times"]),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, "error", ["journalctl -u emotion-edge.service"]),
        ({"ActiveState": "failed", "Result": "oom-kill"}, "error", ["oom-kill"]),
        ({"ActiveState": "inactive", "SubState": "dead"}, "warning", ["systemctl start emotion-edge.service"]),
    ],
)
def test_the_service_is_ok_when_it_runs_and_never_restarted(properties, status, words):
    assert_check(system_checks.check_service(properties), status, *words)
