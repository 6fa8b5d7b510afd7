"""Readings as plain values, ready for JSON: the same form in every output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge.types import Reading


def line(time: float, frame: int, readings: Sequence[Reading]) -> dict[str, Any]:
    """Return what was read in the frame of index `frame`, at `time` seconds on the source's clock."""
    return {"time": round(time, 4), "frame": frame, "faces": [face(reading) for reading in readings]}


def face(reading: Reading) -> dict[str, Any]:
    """Return one face; `label` is None where the model is unsure."""
    box = reading.box
    return {
        "id": reading.face_id,
        "box": [box.x, box.y, box.width, box.height],
        "label": reading.label,
        "since": round(reading.since, 4),
        "confidence": round(reading.confidence, 4),
        "scores": {label: round(share, 4) for label, share in reading.scores.items()},
    }
