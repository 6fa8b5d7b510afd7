"""Results as plain values, ready for JSON: the same form in every sink. docs/contract.md describes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge.types import FaceResult


def frame_to_dict(time: float, index: int, faces: Sequence[FaceResult], source_name: str = "") -> dict[str, Any]:
    """Return the faces of the frame of `index`, at `time` seconds on the source's clock; of a file, with its name."""
    name = {"source_name": source_name} if source_name else {}
    return {"time": round(time, 4), "frame": index, **name, "faces": [face_to_dict(face) for face in faces]}


def face_to_dict(face: FaceResult) -> dict[str, Any]:
    """Return one face; `label` is None where it is uncertain."""
    box = face.box
    return {
        "track_id": face.track_id,
        "box": [box.x, box.y, box.width, box.height],
        "label": face.label,
        "since": round(face.since, 4),
        "age": round(face.age, 4),
        "confidence": round(face.confidence, 4),
        "probabilities": {label: round(probability, 4) for label, probability in face.probabilities.items()},
    }
