"""Which TFLite runtime the tests use."""

from __future__ import annotations

from edge.system import tflite

OLD_RUNTIME = tflite.runtime().__name__.startswith("tflite_runtime")
"""The tests run on tflite-runtime 2.14, beside OpenCV 4.11."""
