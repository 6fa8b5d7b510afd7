"""`edge benchmark`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import Debug, check_new_file, show
from edge.cli.options import Detector, OneModel, Threads
from edge.config.models import find_model, packaged_models
from edge.config.settings import RunSettings
from edge.errors import EmotionEdgeError


def benchmark(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="Camera or file, as for 'edge run'. A file that ends early is repeated.",
            show_default="the first camera found, else synthetic",
        ),
    ] = None,
    duration: Annotated[
        float, typer.Option(metavar="SECONDS", help="Time to measure the loop, after its warm-up.")
    ] = 60.0,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the report to this file.")
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL|FILE",
            help="A model, by name or file, to measure interleaved with the other; or a --json report to compare with.",
        ),
    ] = None,
    min_fps: Annotated[
        float | None,
        typer.Option(min=0, metavar="FPS", help="Exit with status 1 if the frame rate of the loop is lower."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Measure the classifier alone for 2 s instead of 60 s.")
    ] = False,
    model: OneModel = None,
    detector: Detector = RunSettings.detector,
    threads: Threads = RunSettings.threads,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Let --json replace a file.")] = False,
    debug: Debug = False,
) -> None:
    """Benchmark the pipeline on this machine.

    Measures the latency of each stage, the frame rate, the classifier alone, memory and temperature.
    """
    from edge import app
    from edge.capture import registry as cameras
    from edge.diagnostics.baseline import load_baseline
    from edge.diagnostics.benchmark import BENCHMARK_SINKS, measure
    from edge.diagnostics.benchmark_report import to_json
    from edge.diagnostics.benchmark_text import text
    from edge.inference.classifier import Classifier
    from edge.system.atomic_file import atomic_write, check_writable
    from edge.system.stop_signals import StopSignals

    if as_json:
        check_new_file("--json", as_json, overwrite)
        check_writable(as_json)
    elif overwrite:
        raise typer.BadParameter("--overwrite is for --json FILE")
    # Without idling: frames without a face must not look like a slow machine.
    settings = RunSettings(
        None,
        BENCHMARK_SINKS,
        model,
        duration=duration,
        detector=detector,
        idle_fps=0.0,
        threads=threads,
    )
    baseline = load_baseline(packaged_models().get(compare, Path(compare))) if compare else None
    classifier = Classifier(find_model(model), threads, settings.prior)
    source = source or app.detect_source()
    settings = replace(settings, source=source)
    processor = app.make_processor(
        settings, classifier, live=cameras.is_live(source), images=cameras.has_images(source)
    )
    with StopSignals() as stopped:
        report = measure(settings, classifier, processor, quick=quick, baseline=baseline, stopped=stopped)
    show(text(report))
    if as_json:
        atomic_write(as_json, to_json(report))
    if min_fps is not None and report.loop.fps < min_fps:
        raise EmotionEdgeError(f"{report.loop.fps:.1f} frames per second, expected {min_fps:g} or more")
