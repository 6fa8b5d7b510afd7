"""Assertions on the checks of `edge doctor`."""

from __future__ import annotations

from collections.abc import Sequence

from edge.diagnostics.check import Check


def by_name(checks: Sequence[Check]) -> dict[str, Check]:
    """Return `checks` by their names, which are unique."""
    assert len({check.name for check in checks}) == len(checks)
    return {check.name: check for check in checks}


def statuses(checks: Sequence[Check]) -> dict[str, str]:
    """Return the status of each check by its name."""
    return {check.name: check.status for check in checks}


def assert_check(check: Check, status: str, *words: str) -> None:
    """Assert the status and the words of a check, and that there is advice if, and only if, there is a problem."""
    assert check.status == status, check
    assert all(word in f"{check.message} {check.advice}" for word in words), check
    assert bool(check.advice) == (status in {"warning", "error"}), check
