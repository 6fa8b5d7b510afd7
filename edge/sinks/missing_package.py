"""The error of a sink whose package is not installed: it says how this installation of emotion-edge gets it."""

from __future__ import annotations

import sys
from pathlib import Path

from edge.errors import UsageError

_ROOT = Path(__file__).parents[2]  # of the checkout, if this is one


def missing_package(sink: str, package: str, otherwise: str = "") -> UsageError:
    """Return the error of `sink`, which needs `package` of the extra with the sink's name.

    Args:
        sink: name of the sink and of its extra in pyproject.toml
        package: what is missing, for people
        otherwise: another way to install it
    """
    return UsageError(f"sink {sink} needs {package}: {_remedy(sink)}{otherwise and f', or {otherwise}'}")


def _remedy(extra: str) -> str:
    script = _ROOT / "scripts" / "run.sh"
    if not script.is_file():
        return f"pip install 'emotion-edge[{extra}]'"
    if Path(sys.prefix) != _ROOT / ".venv":
        return f"pip install -e '{_ROOT}[{extra}]'"
    return f"start it once with {script} --sink {extra}, which installs it"  # that environment has no pip
