"""The JSON payloads of the topics; docs/mqtt.md and docs/contract.md describe them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from edge.sinks import serialize
from edge.sinks.face_statistics import FaceStatistics
from edge.sinks.mqtt.faces_snapshot import FacesSnapshot
from edge.types import RunStats

STATE_FACE_KEYS = ("track_id", "label", "confidence", "since")


def encode_results(snapshot: FacesSnapshot) -> bytes:
    """Return the payload of the topic `results`: each face with box, label and all probabilities."""
    return _encode(
        {
            "time": _format_time(snapshot.taken_at),
            "changed": snapshot.changed,
            "size": list(snapshot.size),
            **({"source_name": snapshot.source_name} if snapshot.source_name else {}),
            "faces": _face_dicts(snapshot),
        }
    )


def encode_state(snapshot: FacesSnapshot, run_figures: Mapping[str, Any]) -> bytes:
    """Return the payload of the topic `state`: the faces in short, and the figures of the run."""
    labeled = next((face for face in snapshot.faces if face.label is not None), None)
    return _encode(
        {
            "time": _format_time(snapshot.taken_at),
            "present": bool(snapshot.faces),
            "count": len(snapshot.faces),
            "label": labeled.label if labeled else None,
            "confidence": round(labeled.confidence, 4) if labeled else None,
            "faces": [{key: face[key] for key in STATE_FACE_KEYS} for face in _face_dicts(snapshot)],
            **run_figures,
        }
    )


def encode_metrics(stats: RunStats, faces: FaceStatistics, board: Mapping[str, Any]) -> bytes:
    """Return the payload of the topic `metrics`: numbers only, with the names that they have at /metrics of `web`.

    Args:
        board: further metrics; None: not available.
    """
    return _encode(
        {
            "frames_total": stats.frames,
            "skipped_frames_total": stats.skipped,
            "inferences_total": stats.inference.classified,
            "process_fps": round(stats.fps, 1),
            "labeled_faces_total": faces.labeled,
            "uncertain_faces_total": faces.uncertain,
            "face_width_pixels_sum": faces.width.sum,
            "face_width_pixels_count": faces.width.count,
            "face_brightness_ratio_sum": round(faces.brightness.sum, 4),
            "face_brightness_ratio_count": faces.brightness.count,
            **board,
        }
    )


def _face_dicts(snapshot: FacesSnapshot) -> list[dict[str, Any]]:
    """Return the faces as in every sink, but with `since` as a time of day."""
    faces = []
    for face in snapshot.faces:
        since = snapshot.taken_at - max(0.0, snapshot.source_time - face.since)
        faces.append({**serialize.face_to_dict(face), "since": _format_time(since)})
    return faces


def _format_time(seconds: float) -> str:
    """Return `seconds` since 1970 in the format of RFC 3339, UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _encode(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
