"""`edge benchmark`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import Debug
from edge.config.models import shipped_model
from edge.config.settings import RunSettings
from edge.errors import EmotionEdgeError


def benchmark(
    source: Annotated[
        str | None, typer.Argument(help="As of 'edge run'. A file that ends before the time is up starts again.")
    ] = None,
    duration: Annotated[float, typer.Option(help="Seconds to measure the loop for, after its warm-up.")] = 60.0,
    as_json: Annotated[Path | None, typer.Option("--json", help="Also write the report to this file.")] = None,
    compare: Annotated[
        Path | None,
        typer.Option(help="A --json report to compare with, or a .tflite file to measure interleaved with the model."),
    ] = None,
    min_fps: Annotated[
        float | None, typer.Option(min=0, help="Exit status 1 below this many frames per second.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Measure the classifier alone for 2 s instead of 60 s.")
    ] = False,
    model: Annotated[
        Path | None, typer.Option(help="A .tflite file with its card. [default: the shipped model]")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads of the model and of face detection.")] = 1,
    debug: Debug = False,
) -> None:
    """Benchmark the pipeline: latency per stage, the classifier alone, memory, temperature."""
    from edge import app
    from edge.capture import registry as cameras
    from edge.diagnostics.baseline import load_baseline
    from edge.diagnostics.benchmark import BENCHMARK_SINKS, measure
    from edge.diagnostics.benchmark_report import to_json
    from edge.diagnostics.benchmark_text import text
    from edge.inference.classifier import Classifier
    from edge.system.atomic_file import atomic_write

    # No idling: an empty room must not look like a slow machine.
    settings = RunSettings(
        None, BENCHMARK_SINKS, model or shipped_model(), duration=duration, idle_fps=0.0, threads=threads
    )
    baseline = load_baseline(compare) if compare else None
    classifier = Classifier(settings.model, threads)
    source = source or app.detect_source()
    settings = replace(settings, source=source)
    with app.StopSignals() as stopped:
        report = measure(
            settings,
            classifier,
            app.make_processor(settings, classifier, images=cameras.has_images(source)),
            quick=quick,
            baseline=baseline,
            stopped=stopped,
        )
    typer.echo(text(report))
    if as_json:
        atomic_write(as_json, to_json(report))
    if min_fps is not None and report.loop.fps < min_fps:
        raise EmotionEdgeError(f"{report.loop.fps:.1f} frames per second, required are {min_fps:g}")
