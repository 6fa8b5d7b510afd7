"""The `edge` command."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import signal
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from edge.cli.common import new_app, run_app
from edge.config.settings import DEFAULT_SINKS, RunSettings, abouts
from edge.errors import CameraError, EmotionEdgeError, SettingsError
from edge.inference import model_file as card
from edge.system import log as journal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from edge.capture.latest_frame import Newest
    from edge.inference.classifier import Classifier
    from edge.pipeline import Pipeline, Summary
    from edge.system.systemd import Listener
    from edge.types import Frame, Run

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


def _option(name: str, *flags: str, more: str = "") -> Any:
    """Return the option of setting `name` of RunSettings, with its help, its range, and what holds without it."""
    about = abouts()[name]
    words = [about.help, more, f"[default: {about.unset}]" if about.unset else ""]
    low, high = (None, None) if about.zero else (about.low, about.high)
    return typer.Option(*flags, help=" ".join(filter(None, words)), min=low, max=high)


@app.command()
def run(
    context: typer.Context,
    source: Annotated[
        str | None, typer.Argument(help=f"{abouts()['source'].help} Without it: {abouts()['source'].unset}.")
    ] = None,
    sinks: Annotated[list[str], _option("sinks", "--sink", "-s", more="May be given often.")] = list(DEFAULT_SINKS),  # noqa: B006 (Typer copies it)
    model: Annotated[Path | None, _option("model")] = None,
    frames: Annotated[int | None, _option("frames")] = RunSettings.frames,
    seconds: Annotated[float | None, _option("seconds")] = RunSettings.seconds,
    min_face: Annotated[int, _option("min_face")] = RunSettings.min_face,
    unsure: Annotated[float | None, _option("unsure")] = RunSettings.unsure,
    cascade: Annotated[Path | None, _option("cascade")] = RunSettings.cascade,
    max_fps: Annotated[float | None, _option("max_fps")] = RunSettings.max_fps,
    idle_fps: Annotated[float, _option("idle_fps")] = RunSettings.idle_fps,
    half_life: Annotated[float, _option("half_life")] = RunSettings.half_life,
    threads: Annotated[int, _option("threads")] = RunSettings.threads,
    retry: Annotated[bool, _option("retry", "--retry/--no-retry")] = RunSettings.retry,
    config: Annotated[
        Path | None,
        typer.Option(help="A TOML file with these options as keys; a flag goes before its key. See 'edge config'."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Read emotions until the source ends, a limit is reached, or Ctrl-C; then show a summary."""
    _show(_run(_settings(context, config)))


def _settings(context: typer.Context, path: Path | None) -> RunSettings:
    """Return the settings of the file at `path`, and over them those that were given at the command line."""
    from edge.config import toml_file as config

    # A parameter has the name of its setting, and only the context knows which ones were given.
    given = {name: config.converted(name, value) for name, value in context.params.items() if _given(context, name)}
    return RunSettings(**{**(config.read(path) if path else {}), **given})


def _given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return name in abouts() and source is not None and source.name == "COMMANDLINE"


def _run(settings: RunSettings) -> Summary:
    from edge.capture import registry as cameras
    from edge.capture.frame_rate import Pace
    from edge.inference.classifier import Classifier
    from edge.sinks import registry as sinks
    from edge.sinks.group import Outputs

    for spec in settings.sinks:
        sinks.make(spec)  # a misspelt one is told before anything is loaded or opened
    classifier = Classifier(settings.model, settings.threads)
    source = settings.source or ("" if settings.retry else _chosen_source())
    live = not source or cameras.live(source)
    about = _about(settings, classifier, live)
    outputs = Outputs({spec: sinks.make(spec, about) for spec in settings.sinks}, live)
    rates = settings.max_fps, (settings.idle_fps or None) if live else None
    listener = _listener(classifier.warm_up, rates)
    pipeline = _pipeline(settings, classifier)
    with ExitStack() as stack:
        ended = _Ended(stack.enter_context(_Signals()), settings.seconds)
        taken = closing(cameras.frames(source)) if not live else _newest(source, settings.retry, ended, listener)
        return pipeline.run(
            stack.enter_context(taken),
            [stack.enter_context(outputs), *([stack.enter_context(listener)] if listener else [])],
            max_frames=settings.frames,
            max_seconds=settings.seconds,
            pace=Pace(*rates),
            stopped=ended,
        )


def _pipeline(settings: RunSettings, classifier: Classifier) -> Pipeline:
    from edge.detection.haar import Detector
    from edge.inference.smoothing import Steadier
    from edge.pipeline import Pipeline
    from edge.tracking.tracker import Tracker

    return Pipeline(
        Tracker(Detector(settings.cascade, settings.threads), settings.min_face),
        classifier,
        Steadier(classifier.card.unsure if settings.unsure is None else settings.unsure, settings.half_life),
        classifier.card.labels,
    )


def _about(settings: RunSettings, classifier: Classifier, live: bool) -> Run:
    """Return what sinks may know of the run."""
    from edge.image_analyzer import StillReader
    from edge.inference.classifier import Classifier
    from edge.types import Run

    reader = StillReader(lambda: _pipeline(settings, Classifier(settings.model)))
    return Run(live, classifier.card.labels, f"{classifier.card.name} {classifier.card.version}", reader)


def _listener(warm_up: Callable[[], None], rates: tuple[float | None, ...]) -> Listener | None:
    """Return what tells the service manager about the run, None where none listens: then nothing is even loaded."""
    if "NOTIFY_SOCKET" not in os.environ:
        return None
    from edge.system import systemd as service

    return service.listener(warm_up, min((rate for rate in rates if rate is not None), default=None))


def _newest(source: str, retry: bool, ended: Callable[[], bool], listener: Listener | None) -> Newest:
    """Return the newest frames of the live `source`; where a camera is waited for, also of whichever there will be."""
    from edge.capture import registry as cameras
    from edge.capture.latest_frame import Newest
    from edge.capture.reconnecting import Reopening

    if not retry:
        return Newest(cameras.frames(source), ended)
    camera = Reopening(_opener(source), _say_camera, ended)

    def waiting() -> bool:
        why = camera.waiting
        if why and listener:
            listener.waiting(why)
        return why is not None

    return Newest(camera.frames(), ended, waiting)


def _opener(source: str) -> Callable[[], tuple[Generator[Frame, None, None], bool]]:
    """Return what opens `source`, or else the camera that there is then; it raises CameraError if there is none."""
    from edge.capture import registry as cameras

    told = set()

    def opened() -> tuple[Generator[Frame, None, None], bool]:
        name, why = (source, "") if source else cameras.choose()
        if name == "synthetic" and not source:
            raise CameraError(why)
        if why and name not in told:
            told.add(name)
            journal.say(f"source: {name} ({why})")
        return cameras.frames(name), cameras.reopens(name)

    return opened


def _say_camera(change: str, bad: bool) -> None:
    journal.say(f"edge: {change}", journal.WARNING if bad else journal.NOTICE)


def _chosen_source() -> str:
    from edge.capture import registry as cameras

    source, why = cameras.choose()
    journal.say(f"source: {source} ({why})")
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


class _Ended:
    """Whether a run is to end: because of a signal, or of its time, also while no frame comes."""

    def __init__(self, stopped: Callable[[], bool], seconds: float | None) -> None:
        self._stopped, self._end = stopped, time.monotonic() + (math.inf if seconds is None else seconds)

    def __call__(self) -> bool:
        return self._stopped() or time.monotonic() >= self._end


def _show(summary: Summary) -> None:
    """Print the summary to stderr, so that stdout holds readings alone."""
    skipped = f", {summary.skipped} skipped" if summary.skipped else ""
    found = f"{summary.readings} readings of {len(summary.faces)} faces"
    journal.say(f"{summary.frames} frames{skipped}, {found}, {summary.fps:.1f} frames a second")
    if summary.readings:
        shares = sorted(summary.emotions.items(), key=lambda item: -item[1])
        journal.say("mean: " + ", ".join(f"{label} {share:.0%}" for label, share in shares))


@app.command()
def config(
    check: Annotated[Path | None, typer.Option(help="Tell what is wrong in this file, every line of it.")] = None,
    example: Annotated[bool, typer.Option("--example", help="Print a file with every setting.")] = False,
    debug: Debug = False,
) -> None:
    """Check or print a configuration file, as 'edge run --config' and the service read it. Exit status: 78 if wrong."""
    from edge.config import toml_file as config

    if example:
        typer.echo(config.example(), nl=False)
    elif check is not None:
        wrong = config.problems(check)
        if wrong:
            typer.echo("\n".join(wrong), err=True)
            raise typer.Exit(SettingsError.exit_status)
        typer.echo(f"{check}: good")
    else:
        raise typer.BadParameter("give --check FILE or --example")


@app.command()
def summary(
    folder: Annotated[Path, typer.Argument(help="Where the run's sink csv:FOLDER keeps the log.")],
    day: Annotated[
        str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="[default: the last day that there is]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON; times in seconds.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the emotions by hour into this .svg file, too.")] = None,
    debug: Debug = False,
) -> None:
    """Tell what a day came to that the sink csv has logged: faces, time, emotions by hour."""
    from edge.diagnostics import summary as telling
    from edge.system.atomic_file import write_whole

    if plot:
        telling.check_plot(plot)
    found = telling.read(folder, day)
    if as_json:
        typer.echo(json.dumps(telling.as_json(found), indent=1, ensure_ascii=False))
    else:
        typer.echo(telling.text(found, min(max(shutil.get_terminal_size().columns, 72), 100)))
    if plot:
        write_whole(plot, telling.svg(found).encode())


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
    from edge.diagnostics import benchmark as measuring
    from edge.diagnostics import benchmark_report
    from edge.inference.classifier import Classifier
    from edge.system.atomic_file import write_whole

    # No idling: nobody before the camera must not look like a slow machine.
    settings = RunSettings(
        None, measuring.QUIET, model or card.shipped_model(), seconds=seconds, idle_fps=0.0, threads=threads
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
    typer.echo(benchmark_report.text(report))
    if as_json:
        write_whole(as_json, benchmark_report.to_json(report))
    _require(report.loop.fps, min_fps)


def _require(fps: float, min_fps: float | None) -> None:
    if min_fps is not None and fps < min_fps:
        raise EmotionEdgeError(f"{fps:.1f} frames a second, at least {min_fps:g} were asked for")


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
    from edge.diagnostics.doctor import examine, overall, text
    from edge.system import machine

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
