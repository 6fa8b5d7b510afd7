"""The JSON of both topics, as docs/mqtt.md describes it. Nothing here knows of an image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from edge.sinks import serialize
from edge.sinks.mqtt.faces_snapshot import Scene
from edge.types import FaceResult

SHORT = ("id", "label", "confidence", "since")  # of a face, in the state


def readings(scene: Scene) -> bytes:
    """Return all that was read: boxes, labels, every score."""
    faces = [_face(reading, scene) for reading in scene.faces]
    about = {"time": _stamp(scene.moment), "changed": scene.changed, "size": list(scene.size)}
    return _encoded({**about, **({"name": scene.name} if scene.name else {}), "faces": faces})


def state(scene: Scene, figures: Mapping[str, Any]) -> bytes:
    """Return who is there in short, and how the run is doing."""
    first = next((reading for reading in scene.faces if reading.label is not None), None)
    return _encoded(
        {
            "time": _stamp(scene.moment),
            "present": bool(scene.faces),
            "count": len(scene.faces),
            "label": first.label if first else None,
            "confidence": round(first.confidence, 4) if first else None,
            "faces": [{key: face[key] for key in SHORT} for face in (_face(reading, scene) for reading in scene.faces)],
            **figures,
        }
    )


def _face(reading: FaceResult, scene: Scene) -> dict[str, Any]:
    since = _stamp(scene.moment - max(0.0, scene.clock - reading.since))
    return {**serialize.face_to_dict(reading), "since": since}


def _stamp(moment: float) -> str:
    """Return `moment`, seconds since 1970, as RFC 3339 has it, in UTC with milliseconds."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _encoded(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
