"""The error of a sink whose package is not installed: it says how this installation of emotion-edge gets it."""

from __future__ import annotations

import sys
from pathlib import Path

from edge.errors import UsageError
from edge.system import installation


def missing_package(sink: str, package: str, otherwise: str = "") -> UsageError:
    """Return the error of `sink`, which needs `package` of the extra with the sink's name.

    Args:
        sink: name of the sink and of its extra in pyproject.toml
        package: what is missing, for people
        otherwise: another way to install it
    """
    remedy = installation.install_command(sink)
    if installation.is_checkout() and Path(sys.prefix) == installation.ROOT / ".venv":  # which has no pip
        remedy = f"start it once with {installation.ROOT}/scripts/run.sh --sink {sink}, which installs it"
    return UsageError(f"sink {sink} needs {package}: {remedy}{otherwise and f', or {otherwise}'}")
