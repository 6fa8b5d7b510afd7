"""`edge run`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli.common import Debug
from edge.cli.options import Detector, Model, Threads, setting_option
from edge.config.settings import DEFAULT_SINKS, RunSettings, setting_specs

if TYPE_CHECKING:
    from edge.pipeline import Summary

_log = logging.getLogger(__name__)

_source, _more_sources = setting_specs()["source"], setting_specs()["more_sources"]


def run(
    context: typer.Context,
    source: Annotated[
        str | None, typer.Argument(help=_source.help, metavar=_source.metavar, show_default=_source.unset)
    ] = None,
    sinks: Annotated[list[str], setting_option("sinks", "--sink", "-s", note="Repeatable.")] = list(DEFAULT_SINKS),  # noqa: B006 (Typer copies it)
    model: Model = None,
    max_frames: Annotated[int | None, setting_option("max_frames")] = RunSettings.max_frames,
    duration: Annotated[float | None, setting_option("duration")] = RunSettings.duration,
    min_face_size: Annotated[int, setting_option("min_face_size")] = RunSettings.min_face_size,
    min_confidence: Annotated[float | None, setting_option("min_confidence")] = RunSettings.min_confidence,
    prior: Annotated[str | None, setting_option("prior")] = RunSettings.prior,
    detector: Detector = RunSettings.detector,
    cascade: Annotated[Path | None, setting_option("cascade")] = RunSettings.cascade,
    more_sources: Annotated[
        list[str], typer.Argument(help=_more_sources.help, metavar=_more_sources.metavar, show_default=False)
    ] = [],  # noqa: B006 (Typer copies it)
    recursive: Annotated[bool, setting_option("recursive", "--recursive/--no-recursive", "-r")] = RunSettings.recursive,
    crops: Annotated[bool, setting_option("crops", "--crops/--no-crops")] = RunSettings.crops,
    max_fps: Annotated[float | None, setting_option("max_fps")] = RunSettings.max_fps,
    idle_fps: Annotated[float, setting_option("idle_fps")] = RunSettings.idle_fps,
    half_life: Annotated[float, setting_option("half_life")] = RunSettings.half_life,
    calibrate_neutral: Annotated[
        bool, setting_option("calibrate_neutral", "--calibrate-neutral/--no-calibrate-neutral")
    ] = RunSettings.calibrate_neutral,
    threads: Threads = RunSettings.threads,
    jobs: Annotated[int, setting_option("jobs", "--jobs", "-j")] = RunSettings.jobs,
    overwrite: Annotated[bool, setting_option("overwrite", "--overwrite/--no-overwrite")] = RunSettings.overwrite,
    reconnect: Annotated[bool, setting_option("reconnect", "--reconnect/--no-reconnect")] = RunSettings.reconnect,
    config: Annotated[
        Path | None,
        typer.Option(
            help="TOML file with these options as keys; command-line flags override it. See 'edge config'.",
            metavar="FILE",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Detect faces and classify their emotions.

    Reads a camera or files until the source ends, a limit is reached, or Ctrl-C is pressed; then prints a summary.

    \b
    Examples:
      edge run                                 results in the terminal
      edge run usb:0 --sink web                a web page
      edge run clip.mp4 --sink video:out.mp4   a video with boxes and labels
      edge run photos -r --sink jsonl          images and videos of a folder
    """
    from edge import app
    from edge.config import toml_file
    from edge.setting_checks import NAME_CHECKS

    # Each parameter has the name of its setting. Only the context knows which ones were given.
    specs = setting_specs()
    from_flags = {
        name: toml_file.convert(name, value)
        for name, value in context.params.items()
        if name in specs and getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
    from_file = toml_file.read(config, NAME_CHECKS) if config else {}
    summary = app.run(RunSettings(**{**from_file, **from_flags}))
    log_summary(summary)
    if summary.unfinished:
        raise typer.Exit(1)


def log_summary(summary: Summary) -> None:
    """Log the summary of a run: stdout contains only results."""
    stats = summary.stats
    skipped = f", {stats.skipped} skipped" if stats.skipped else ""
    left_out = f", {summary.left_out} file{'s' * (summary.left_out != 1)} left out" if summary.left_out else ""
    _log.info(
        "%d frame%s%s%s, %d face%s, %.1f frames per second",
        stats.frames,
        "s" * (stats.frames != 1),
        skipped,
        left_out,
        summary.faces,
        "s" * (summary.faces != 1),
        summary.fps,
    )
    if summary.face_results:
        emotions = sorted(summary.emotions.items(), key=lambda item: -item[1])
        _log.info("mean: %s", ", ".join(f"{label} {probability:.0%}" for label, probability in emotions))
