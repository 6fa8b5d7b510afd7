"""The benchmark: the loop as `edge run` runs it, then the classifier alone, then the comparison with a baseline."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from edge import __version__
from edge.capture import registry as cameras
from edge.capture.latest_frame import LatestFrame
from edge.config.models import find_model
from edge.config.settings import RunSettings
from edge.diagnostics.baseline import Baseline, compare_to
from edge.diagnostics.benchmark_report import (
    SCHEMA,
    LoopResult,
    MachineState,
    ModelId,
    ProcessUsage,
    Report,
    Source,
    WarmUp,
)
from edge.diagnostics.environment import environment
from edge.diagnostics.single_stream import QUICK_RULE, SINGLE_STREAM_RULE, measure_single_stream
from edge.diagnostics.stage_recorder import RepeatedSource, StageRecorder, read_machine_state
from edge.inference.classifier import Classifier
from edge.pipeline import FrameProcessor
from edge.pipeline import run as run_loop
from edge.sinks import registry as sinks
from edge.types import Frame, RunInfo

BENCHMARK_SINKS = ("jsonl:/dev/null",)  # what a service writes, without the disk

_log = logging.getLogger(__name__)


def measure(
    settings: RunSettings,
    classifier: Classifier,
    processor: FrameProcessor,
    *,
    quick: bool = False,
    baseline: Baseline | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Report:
    """Measure the loop, then the classifier alone, and compare them with `baseline`.

    Args:
        settings: with a source and a duration: of the loop after its warm-up.
        classifier: of the model in `settings`.
        processor: with that classifier in it.
        quick: measure the classifier alone by QUICK_RULE instead of SINGLE_STREAM_RULE.
        baseline: None: no comparison.
        stopped: called between frames and between inferences; True ends early, with what was measured so far.

    Raises EmotionEdgeError if the run ended in the warm-up.
    """
    rule, model = QUICK_RULE if quick else SINGLE_STREAM_RULE, find_model(settings.model)
    source, state_at_start, (warm_up, loop, process) = _measure_loop(settings, processor, stopped)
    _log.info(f"measuring the classifier alone for {rule.min_seconds:g} s")
    single_stream = measure_single_stream(classifier, rule, stopped)
    report = Report(
        schema=SCHEMA,
        version=__version__,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        interrupted=stopped(),
        source=source,
        model=ModelId(model.name, classifier.card.name, hashlib.sha256(model.read_bytes()).hexdigest()),
        settings=_relevant_settings(settings, classifier),
        machine=environment(),
        state_at_start=state_at_start,
        state_at_end=read_machine_state(),
        warm_up=warm_up,
        loop=loop,
        process=process,
        classifier=single_stream,
    )
    if baseline is None:
        return report
    comparison = compare_to(baseline, report, classifier, rule, stopped)
    return replace(report, comparison=comparison, interrupted=stopped())


def _measure_loop(
    settings: RunSettings, processor: FrameProcessor, stopped: Callable[[], bool]
) -> tuple[Source, MachineState, tuple[WarmUp, LoopResult, ProcessUsage]]:
    assert settings.source is not None
    assert settings.duration is not None
    live, repeated = cameras.is_live(settings.source), RepeatedSource(settings.source)
    sink = sinks.find(settings.sinks[0])(RunInfo(live=live))
    message = f"measuring the loop for {settings.duration:g} s"
    with ExitStack() as stack:
        recorder = stack.enter_context(StageRecorder(sink, settings.duration, on_start=lambda: _log.info(message)))
        if live:
            camera = cameras.undecoded_frames(settings.source)
            frames: Iterator[Frame] = stack.enter_context(LatestFrame(camera, stopped))
        else:
            frames = stack.enter_context(closing(repeated.frames()))
        run_loop(processor, frames, [recorder], stopped=lambda: stopped() or recorder.is_done())
        result = recorder.result(live=live)
    passes = 1 if live else repeated.passes
    return Source(settings.source, live, *recorder.frame_size, passes), recorder.state_at_start, result


def _relevant_settings(settings: RunSettings, classifier: Classifier) -> dict[str, Any]:
    """Return the settings that affect the measurements; source and model have their own place in the report.

    A benchmark detects faces, in one process, and writes no files: not among them are `crops`, `jobs` and `overwrite`.
    """
    values = asdict(settings)
    for name in ("source", "more_sources", "recursive", "model", "max_frames", "crops", "jobs", "overwrite"):
        del values[name]
    if settings.min_confidence is None:
        values["min_confidence"] = classifier.card.min_confidence
    values["prior"] = classifier.prior
    cascade = str(settings.cascade) if settings.cascade else None
    return {**values, "cascade": cascade, "sinks": list(settings.sinks)}
