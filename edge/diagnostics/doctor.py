"""`edge doctor`: checks this machine and advises on each problem.

A check is a function that returns a Check. What a machine lacks, as a PC lacks throttling bits, is `unavailable`.
To add a check, write its function in the module of its subject and add it to `run_checks`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge.config.defaults import DETECTOR
from edge.diagnostics import camera_checks, software_checks, system_checks
from edge.diagnostics.check import Check, Status, describe_error
from edge.diagnostics.thread_rule import DEFAULT_THREADS, check_threads
from edge.system import machine, systemd, troubleshooting
from edge.system.sysfs import ROOT


def run_checks(
    facts: Mapping[str, Any],
    model: Path,
    source: str | None = None,
    root: Path = ROOT,
    detector: str = DETECTOR,
    threads: int = DEFAULT_THREADS,
) -> list[Check]:
    """Return the results of all checks.

    Args:
        facts: of the machine, from edge.diagnostics.environment.
        model: the model file to load and run once.
        source: a camera to read one frame from, as `edge run` names it; None: no camera is opened for capturing.
        root: the folder that stands for /.
        detector: the face detector to load, as `edge run` names it.
        threads: of the model and of face detection.
    """
    versions = facts["versions"]
    is_pi = (facts["board"] or "").startswith("Raspberry Pi")
    runtime = _guarded("runtime", lambda: software_checks.check_runtime(versions))
    runtime_works = all(check.status == "ok" for check in runtime)
    checks: dict[str, Callable[[], Check | list[Check]]] = {
        "model": lambda: software_checks.check_model(model, versions["runtime"], runtime_works),
        "threads": lambda: check_threads(threads, facts["cpus"]),
        "cameras": lambda: camera_checks.check_cameras(is_pi, root),
        "frame": lambda: camera_checks.check_frame(source) if source else [],
        "temperature": lambda: system_checks.check_temperature(facts["temperature_c"], is_pi),
        "throttling": lambda: system_checks.check_throttling(facts["throttling"]),
        "governor": lambda: system_checks.check_governor(facts["governor"], facts["clock_driver"]),
        "memory": lambda: system_checks.check_memory(facts["memory_available_mb"], facts["memory_mb"]),
        "disk": lambda: system_checks.check_disk(facts["disk_free_mb"]),
        "clock": lambda: system_checks.check_clock(datetime.now(UTC), machine.clock_synchronized(root)),
        "service": lambda: system_checks.check_service(systemd.service_properties()),
    }
    return [
        *_guarded("python", software_checks.check_python),
        *_guarded("opencv", software_checks.check_opencv),
        *_guarded("face detector", lambda: software_checks.check_face_detector(detector)),
        *runtime,
        *(check for name, function in checks.items() for check in _guarded(name, function)),
    ]


def _guarded(name: str, function: Callable[[], Check | list[Check]]) -> list[Check]:
    """Return the results of `function`; an exception, as on a machine that nobody thought of, is a result, too."""
    try:
        checks = function()
    except Exception as error:  # noqa: BLE001 (the error is the result)
        return [Check(name, "error", f"the check itself failed: {describe_error(error)}", "report this as a bug")]
    return checks if isinstance(checks, list) else [checks]


def overall_status(checks: Iterable[Check]) -> Status:
    """Return the worst of ok, warning and error."""
    found = {check.status for check in checks}
    return "error" if "error" in found else "warning" if "warning" in found else "ok"


def text(facts: Mapping[str, Any], checks: Sequence[Check], width: int) -> str:
    """Return the machine and its `checks` as lines of at most `width` columns.

    A check's line has status, name and message; the advice is below it.
    """
    name_width = max(len(check.name) for check in checks)
    lines = [*textwrap.wrap(machine.describe(dict(facts)), width), ""]
    for check in checks:
        status = "-" if check.status == "unavailable" else check.status
        head = f"{status:8} {check.name:{name_width}}  "
        indent = " " * len(head)
        lines += textwrap.wrap(
            check.message, width, initial_indent=head, subsequent_indent=indent, break_on_hyphens=False
        )
        if check.advice:
            advice = f"-> {check.advice} ({troubleshooting.link(check.name)})"
            lines += textwrap.wrap(
                advice, width, initial_indent=indent, subsequent_indent=indent + "   ", break_on_hyphens=False
            )
    errors, warnings = (sum(check.status == status for check in checks) for status in ("error", "warning"))
    summary = f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"
    return "\n".join([*lines, "", summary])
