"""The software that a run uses, and the machine that it runs on, as one dictionary ready for JSON."""

from __future__ import annotations

import importlib
import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from edge import __version__
from edge.errors import EmotionEdgeError
from edge.system import machine
from edge.system.native_output import suppress_native_output
from edge.system.sysfs import ROOT

# What importing a package raises that is missing, damaged, or was built for another version of NumPy.
IMPORT_ERRORS = (ImportError, AttributeError, ValueError, SystemError)


def environment(folder: Path = Path(), root: Path = ROOT) -> dict[str, Any]:
    """Return the facts of `edge.system.machine`, and as `versions` those of the software; None: not available.

    Args:
        folder: whose disk's free space is reported.
        root: the folder that stands for /.
    """
    return {**machine.facts(folder, root), "versions": software_versions()}


def software_versions() -> dict[str, str | None]:
    """Return the versions of Python and the packages, and the name of the TFLite runtime; None: does not load."""
    package = None
    with suppress(EmotionEdgeError, *IMPORT_ERRORS):
        from edge.system.tflite import runtime

        with suppress_native_output(2):  # a runtime built for another NumPy prints a page before it fails
            package = str(runtime().__name__).partition(".")[0].replace("_", "-")
    return {
        "python": platform.python_version(),
        "emotion_edge": __version__,
        "numpy": _module_version("numpy"),
        "opencv": _module_version("cv2"),
        "runtime": package,
        "runtime_version": installed_version(package) if package else None,
    }


def installed_version(package: str) -> str | None:
    """Return the version of the installed `package`, None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _module_version(module: str) -> str | None:
    """Return the version in `module` itself: the metadata are wrong where one package has overwritten another."""
    try:
        return str(importlib.import_module(module).__version__)
    except IMPORT_ERRORS:
        return None
