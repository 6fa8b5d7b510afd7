"""The `edge` command."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import sys
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from edge import card
from edge.command import new_app, run_app
from edge.settings import DEFAULT_SINKS, RunSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.classifier import Classifier
    from edge.pipeline import Pipeline, Summary
    from edge.values import Frame

app = new_app(
    "edge", "Find faces in a camera's picture and read their emotions, on a Raspberry Pi or anything with Linux."
)

Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback for an error.")]


def main() -> None:
    """Entry point of the `edge` command."""
    run_app(app, "edge")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edge {metadata.version('emotion-edge')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    source: Annotated[
        str | None,
        typer.Argument(
            help="picamera, usb:0, /dev/video0, synthetic, or a video, a picture, a folder or pattern of pictures. "
            "Without it: the camera if there is one, else synthetic."
        ),
    ] = None,
    sink: Annotated[
        list[str],
        typer.Option(
            "--sink",
            "-s",
            help="console; jsonl or jsonl:FILE; video:FILE (.mp4, .avi, .webm, .png, .jpg). May be given often.",
        ),
    ] = list(DEFAULT_SINKS),  # noqa: B006 (Typer copies it)
    model: Annotated[
        Path | None, typer.Option(help="A .tflite file with its card. [default: the one that is shipped]")
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="End after so many frames.")] = None,
    seconds: Annotated[float | None, typer.Option(help="End after so many seconds.")] = None,
    min_face: Annotated[int, typer.Option(min=16, max=640, help="Smallest face, pixels of a picture 640 wide.")] = 30,
    unsure: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Confidence below which no label is given. [default: what the model's card says]"
        ),
    ] = None,
    cascade: Annotated[
        Path | None, typer.Option(help="A cascade file of OpenCV's. [default: frontalface_alt2]")
    ] = None,
    max_fps: Annotated[float | None, typer.Option(help="Frames a second at most, to keep a board cool.")] = None,
    idle_fps: Annotated[
        float, typer.Option(help="The same while nobody has been before the camera for 10 s; 0: no idling.")
    ] = 5.0,
    half_life: Annotated[
        float, typer.Option(min=0, max=60, help="Seconds after which an old score counts half.")
    ] = 0.6,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Of model and face search each.")] = 1,
    debug: Debug = False,
) -> None:
    """Read emotions until the source ends, a limit is reached, or Ctrl-C; then show a summary."""
    chosen = model or card.shipped_model()
    settings = RunSettings(
        source,
        tuple(sink),
        chosen,
        frames=frames,
        seconds=seconds,
        min_face=min_face,
        unsure=unsure,
        cascade=cascade,
        max_fps=max_fps,
        idle_fps=idle_fps or None,
        half_life=half_life,
        threads=threads,
    )
    _show(_run(settings))


def _run(settings: RunSettings) -> Summary:
    from edge import cameras, sinks
    from edge.classifier import Classifier
    from edge.newest import Newest
    from edge.pace import Pace

    outputs = [sinks.make(spec) for spec in settings.sinks]
    classifier = Classifier(settings.model, settings.threads)
    source = settings.source or _chosen_source()
    frames, live = cameras.frames(source), cameras.live(source)
    pipeline = _pipeline(settings, classifier)
    with ExitStack() as stack:
        stopped = stack.enter_context(_Signals())
        if live:
            taken: Iterator[Frame] = stack.enter_context(Newest(frames, stopped))
        else:
            taken = stack.enter_context(closing(frames))
        return pipeline.run(
            taken,
            [stack.enter_context(output) for output in outputs],
            max_frames=settings.frames,
            max_seconds=settings.seconds,
            pace=Pace(settings.max_fps, settings.idle_fps if live else None),
            stopped=stopped,
        )


def _pipeline(settings: RunSettings, classifier: Classifier) -> Pipeline:
    from edge.detector import Detector
    from edge.pipeline import Pipeline
    from edge.steady import Steadier
    from edge.tracker import Tracker

    return Pipeline(
        Tracker(Detector(settings.cascade, settings.threads), settings.min_face),
        classifier,
        Steadier(classifier.card.unsure if settings.unsure is None else settings.unsure, settings.half_life),
        classifier.card.labels,
    )


def _chosen_source() -> str:
    from edge import cameras

    source, why = cameras.choose()
    typer.echo(f"source: {source} ({why})", err=True)
    return source


class _Signals:
    """Ctrl-C or SIGTERM ends the run after the frame in hand, with everything closed; a second one ends it at once."""

    def __init__(self) -> None:
        self._asked = False

    def __call__(self) -> bool:
        return self._asked

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._take) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, _: Any) -> None:
        if self._asked:
            sys.exit(128 + number)
        self._asked = True


def _show(summary: Summary) -> None:
    """Print the summary to stderr, so that stdout holds readings alone."""
    skipped = f", {summary.skipped} skipped" if summary.skipped else ""
    found = f"{summary.readings} readings of {len(summary.faces)} faces"
    typer.echo(f"{summary.frames} frames{skipped}, {found}, {summary.fps:.1f} frames a second", err=True)
    if summary.readings:
        shares = sorted(summary.emotions.items(), key=lambda item: -item[1])
        typer.echo("mean: " + ", ".join(f"{label} {share:.0%}" for label, share in shares), err=True)


@app.command()
def benchmark(
    source: Annotated[
        str | None, typer.Argument(help="As of 'edge run'. A file that ends before the time is up is begun anew.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Measure the loop for so long, after its warm-up.")] = 60.0,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write the report to this file, too.")] = None,
    compare: Annotated[
        Path | None,
        typer.Option(help="A report of --json: each figure beside its; a .tflite file: both models measured in turn."),
    ] = None,
    min_fps: Annotated[
        float | None, typer.Option(min=0, help="Exit status 1 when fewer frames a second were read.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Measure the classifier alone for 2 s in place of the rule's 60 s.")
    ] = False,
    model: Annotated[
        Path | None, typer.Option(help="A .tflite file with its card. [default: the one that is shipped]")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Of model and face search each.")] = 1,
    debug: Debug = False,
) -> None:
    """Tell where the milliseconds go on this machine: the loop, each stage, the classifier alone, memory, warmth."""
    from edge import benchmark as measuring
    from edge.classifier import Classifier
    from edge.errors import EmotionEdgeError
    from edge.files import write_whole

    # No idling: nobody before the camera must not look like a slow machine.
    settings = RunSettings(
        None, measuring.QUIET, model or card.shipped_model(), seconds=seconds, idle_fps=None, threads=threads
    )
    against = measuring.rival(compare) if compare else None
    classifier = Classifier(settings.model, threads)
    settings = replace(settings, source=source or _chosen_source())
    with _Signals() as stopped:
        report = measuring.measure(
            settings,
            classifier,
            _pipeline(settings, classifier),
            quick=quick,
            against=against,
            stopped=stopped,
            say=partial(typer.echo, err=True),
        )
    typer.echo(measuring.text(report))
    if as_json:
        write_whole(as_json, measuring.to_json(report))
    if min_fps is not None and report.loop.fps < min_fps:
        raise EmotionEdgeError(f"{report.loop.fps:.1f} frames a second, at least {min_fps:g} were asked for")


@app.command()
def info(
    model: Annotated[Path | None, typer.Argument(help="A .tflite file. [default: the one that is shipped]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Show a model's card: labels, input contract, size, data, metrics, SHA-256."""
    path = model or card.shipped_model()
    _, found = card.load(path)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()  # as sha256sum prints it; the card's own one leaves the card out
    about = {"file": path.name, "bytes": len(content), "file_sha256": digest, **asdict(found)}
    if as_json:
        typer.echo(json.dumps(about, indent=1, ensure_ascii=False))
        return
    about["sha256"] = digest
    about["labels"] = ", ".join(found.labels)
    about["input"] = f"{found.input_size} x {found.input_size} grey pixels, uint8, as they are"
    about["detail"] = f"{found.detail} pixels a side: larger faces are first shrunk to this"
    about["margin"] = f"{found.margin:.0%} of the face box added on each side"
    about["temperature"] = f"{found.temperature:.3f}: the model's shares are raised to its inverse and normalised"
    about["unsure"] = f"below a confidence of {found.unsure:.0%} no label is given"
    for key in (
        "file",
        "bytes",
        "name",
        "version",
        "labels",
        "input",
        "detail",
        "margin",
        "temperature",
        "unsure",
        "data",
        "sha256",
    ):
        typer.echo(f"{key:12} {about[key]}")
    for split, values in found.metrics.items():
        words = ", ".join(
            f"{key} {value:.4f}" if isinstance(value, float) else f"{key} {value}" for key, value in values.items()
        )
        typer.echo(f"{split:12} {words}")


@app.command()
def doctor(
    source: Annotated[
        str | None,
        typer.Option(help="Take one frame of it, too; without it no camera is opened. See 'edge run --help'."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="A .tflite file with its card. [default: the one that is shipped]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Tell what is wrong with this machine and what to do about it. Exit status: 1 if something is bad, else 0."""
    from edge import machine
    from edge.doctor import examine, overall, text

    facts = machine.facts()
    checks = examine(facts, model or card.shipped_model(), source)
    if as_json:
        found = {"status": overall(checks), "checks": [asdict(check) for check in checks], "machine": facts}
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        width = min(max(shutil.get_terminal_size((100, 0)).columns, 80), 120)
        typer.echo(text(facts, checks, width))
    if overall(checks) == "bad":
        raise typer.Exit(1)
