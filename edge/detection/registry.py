"""Finds detectors by name. Each module of this folder that is not in SUPPORT_MODULES is a detector, imported when used.

To add a detector, add a file with these functions; `argument` is what follows the detector's name and a colon, such as
the file of a network:

    make_detector(argument: str, threads: int) -> Detector             for videos, see edge.detection.detector
    make_image_detector(argument: str, threads: int) -> ImageDetector  for single images
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from edge.detection.detector import Detector, ImageDetector
from edge.errors import SettingsError, UnknownNameError

SUPPORT_MODULES = ("detector", "downscale", "image_search", "network", "registry", "search", "tile_scheduler")
DEFAULT = "haar"  # the only one whose file comes with OpenCV


def names() -> list[str]:
    """Return the names of all detectors."""
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(module.name for module in modules if module.name not in SUPPORT_MODULES)


def parse(spec: str) -> tuple[str, str]:
    """Return name and argument of `spec`, `NAME` or `NAME:FILE`.

    Raises UnknownNameError, listing the names, for another name.
    """
    name, _, argument = spec.partition(":")
    if name not in names():
        raise UnknownNameError(f"no detector {name!r}; there are {', '.join(names())}")
    return name, argument


def make_detector(spec: str, threads: int = 1, cascade: Path | None = None) -> Detector:
    """Return the detector of `spec` for videos.

    Args:
        spec: `NAME` or `NAME:FILE`.
        threads: of the detector.
        cascade: file of the detector haar; None: the built-in one.

    Raises:
        UnknownNameError: no detector has that name.
        UsageError: the detector needs a file and `spec` names none, or the other way round.
        SettingsError: a file is missing or not a cascade, or `cascade` is set for another detector.
        ModelError: the file is not a network that the detector can run.
    """
    module, argument = _load(spec, cascade)
    detector: Detector = module.make_detector(argument, threads)
    return detector


def make_image_detector(spec: str, threads: int = 1, cascade: Path | None = None) -> ImageDetector:
    """Return the detector of `spec` for single images; arguments and errors as of make_detector."""
    module, argument = _load(spec, cascade)
    detector: ImageDetector = module.make_image_detector(argument, threads)
    return detector


def _load(spec: str, cascade: Path | None) -> tuple[ModuleType, str]:
    """Return the module of the detector of `spec`, and its argument."""
    name, argument = parse(spec)
    if cascade and name != DEFAULT:
        raise SettingsError(f"cascade is {cascade}, but the detector is {name}; only {DEFAULT} reads a cascade")
    if argument and name == DEFAULT:
        raise SettingsError(f"detector is {spec}, but {DEFAULT} takes no file here; name it with --cascade")
    return importlib.import_module(f"edge.detection.{name}"), str(cascade) if cascade else argument
