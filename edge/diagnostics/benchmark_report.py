"""The report of a benchmark as plain values, and its JSON. edge/diagnostics/benchmark.py fills it in.

The JSON of `edge benchmark --json` is `asdict` of a Report: its keys are the names of the fields below.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from edge.diagnostics.latency import LatencyStats
from edge.diagnostics.single_stream import SingleStreamResult

SCHEMA = 2  # of the JSON; raised when a reader of older reports would misread a newer one


@dataclass(frozen=True, slots=True)
class Source:
    """What the frames came from."""

    name: str
    live: bool  # it does not wait: only its newest frame is processed
    width: int  # pixels
    height: int  # pixels
    passes: int  # how often it was started; more than 1 for a file that is shorter than the measurement


@dataclass(frozen=True, slots=True)
class ModelId:
    """Which model was measured."""

    file: str
    name: str
    sha256: str  # of the file, as sha256sum prints it


@dataclass(frozen=True, slots=True)
class MachineState:
    """What changes on a machine under load; None: not available."""

    temperature_c: float | None
    clock_mhz: float | None
    throttling: Mapping[str, Sequence[str]] | None  # "now" and "since_boot", see edge.system.machine


@dataclass(frozen=True, slots=True)
class WarmUp:
    """The time before the measurement."""

    seconds: float
    frames: int
    first_result_seconds: float | None  # from the start of the process to the first face result; None: no face


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """What limits the frame rate."""

    bound_by: Literal["camera", "compute"]  # camera: the loop waits for frames more than half of the time
    slowest_stage: str  # other than capture


@dataclass(frozen=True, slots=True)
class InferenceResult:
    """The inferences of the loop. The four fractions, 0 to 1, are of all faces of all frames, and add up to 1."""

    per_second: float
    per_face_second: float
    classified: float  # fraction
    recent: float  # fraction not due: classified a moment before
    unchanged: float  # fraction not due: the label is certain, and the face looks the same
    waiting: float  # fraction due, but there was time only for other faces
    age_ms: LatencyStats  # of the results shown: since the last inference of their face


@dataclass(frozen=True, slots=True)
class LoopResult:
    """Measurements of the loop. Stages are those of edge.pipeline and `sinks`; `total` is their sum without capture."""

    frames: int
    seconds: float
    fps: float  # frames per second, processed
    source_fps: float | None  # frames per second that the camera delivered; None: not a live source
    skipped: int  # frames of the source that were not processed
    skipped_fps: float
    faces_per_frame: float
    stages_ms: Mapping[str, LatencyStats]  # by stage, and `total`
    stage_fractions: Mapping[str, float]  # of the loop's time, 0 to 1, by stage, and `total`
    overhead: float  # fraction of the busy time (without capture) that is not detect, crop or classify, 0 to 1
    end_to_end_ms: LatencyStats | None  # from the arrival of a frame to the end of its sinks; None: not a live source
    bottleneck: Bottleneck
    inference: InferenceResult | None  # None: no face, or images, in which every face is classified


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """What the loop used of the machine; None: not available. One MB is a million bytes."""

    resident_mb: float | None  # at the end
    peak_mb: float | None
    growth_mb: float | None  # of the resident memory since the end of the warm-up
    cpu_percent: float  # of one core: two busy threads make 200
    threads: int | None


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of two measurements; None: one of them lacks it."""

    value: float | None
    baseline: float | None
    ratio: float | None  # value / baseline; None also where the baseline is 0


@dataclass(frozen=True, slots=True)
class Difference:
    """A condition in which a report and its baseline differ, so that their metrics are not fully comparable."""

    name: str
    value: Any
    baseline: Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """The metrics beside those of a baseline."""

    baseline: str  # path of a report or a model
    method: Literal["report", "interleaved"]  # a report's metrics, or both models measured in this run
    error: str  # why there are no metrics; empty where there are
    differences: Sequence[Difference]
    metrics: Mapping[str, Metric]  # by name, which ends in its unit


@dataclass(frozen=True, slots=True)
class Report:
    """All measurements, and the conditions under which they were made."""

    schema: int
    version: str  # of emotion-edge
    date: str  # UTC, ISO 8601
    interrupted: bool  # ended before its duration
    source: Source
    model: ModelId
    settings: Mapping[str, Any]  # of RunSettings that affect the measurements
    machine: Mapping[str, Any]  # see edge.diagnostics.environment, at the end
    state_at_start: MachineState
    state_at_end: MachineState
    warm_up: WarmUp
    loop: LoopResult
    process: ProcessUsage
    classifier: SingleStreamResult | None  # None: interrupted before
    comparison: Comparison | None = None


def to_json(report: Report) -> bytes:
    """Return `report` as JSON for a file."""
    return (json.dumps(asdict(report), indent=1, ensure_ascii=False) + "\n").encode()
