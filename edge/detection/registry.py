"""Finds detectors by name. Each module of this folder that is not in SUPPORT_MODULES is a detector, imported when used.

To add a detector, add a file with these functions; `file` is what the user names for it, such as a network:

    make_detector(file: Path | None, threads: int) -> Detector             for videos, see edge.detection.detector
    make_image_detector(file: Path | None, threads: int) -> ImageDetector  for single images; that of haar is in
                                                                           image_search.py
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from edge.config.defaults import DETECTOR
from edge.errors import SettingsError, UnknownNameError, UsageError
from edge.system.paths import expand_path, file_problem

if TYPE_CHECKING:
    from edge.detection.detector import Detector, ImageDetector

SUPPORT_MODULES = ("detector", "downscale", "image_search", "network", "registry", "search", "tile_scheduler")


def names() -> list[str]:
    """Return the names of all detectors."""
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(module.name for module in modules if module.name not in SUPPORT_MODULES)


def parse(spec: str, cascade: Path | None = None) -> tuple[str, Path | None]:
    """Return name and file of `spec`: `haar` without a file, or `NAME:FILE`.

    Args:
        cascade: what the user names as the file of the detector haar.

    Raises:
        UnknownNameError: no detector has that name; the message lists the names.
        UsageError: the detector needs a file and none is named, or the other way round, or `cascade` is for another
            detector.
        SettingsError: there is no such file, or it is not a regular one.
    """
    name, _, argument = spec.partition(":")
    if name not in names():
        raise UnknownNameError(f"no detector {name!r}; there are {', '.join(names())}")
    if cascade and name != DETECTOR:
        raise UsageError(f"cascade is {cascade}, but the detector is {name}; only {DETECTOR} reads a cascade")
    if name == DETECTOR:
        if argument:
            raise UsageError(f"detector {spec}: {DETECTOR} takes no file here; name it with --cascade")
        return name, None
    if not argument:
        raise UsageError(f"detector {name} needs the file of its network, as in {name}:FILE; see docs/detectors.md")
    file = expand_path(argument)
    if problem := file_problem(file):
        raise SettingsError(f"{file}: {problem}, expected the network of detector {name}")
    return name, file


def make_detector(spec: str, cascade: Path | None = None, threads: int = 1) -> Detector:
    """Return the detector of `spec` for videos.

    Args:
        spec: see `parse`.
        cascade: file of the detector haar; None: the built-in one.
        threads: of the detector.

    Raises the errors of `parse`; SettingsError if `cascade` is not a cascade; ModelError if the file is not a network
    that the detector runs.
    """
    module, file = _load(spec, cascade)
    detector: Detector = module.make_detector(file, threads)
    return detector


def make_image_detector(spec: str, cascade: Path | None = None, threads: int = 1) -> ImageDetector:
    """Return the detector of `spec` for single images; arguments and errors as of make_detector."""
    module, file = _load(spec, cascade, for_images=True)
    detector: ImageDetector = module.make_image_detector(file, threads)
    return detector


def _load(spec: str, cascade: Path | None, *, for_images: bool = False) -> tuple[ModuleType, Path | None]:
    """Return the module of the detector of `spec`, and its file."""
    name, file = parse(spec, cascade)
    module = "image_search" if for_images and name == DETECTOR else name
    return importlib.import_module(f"edge.detection.{module}"), file or cascade
