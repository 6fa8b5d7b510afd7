"""`edge run`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.cli.common import Debug
from edge.config.settings import DEFAULT_SINKS, RunSettings, setting_specs

if TYPE_CHECKING:
    from edge.pipeline import Summary

_log = logging.getLogger(__name__)


def _option(name: str, *flags: str, note: str = "") -> Any:
    """Return the option of setting `name` of RunSettings, with its help, its range, and its default in words."""
    spec = setting_specs()[name]
    words = [spec.help, note, f"[default: {spec.unset}]" if spec.unset else ""]
    low, high = (None, None) if spec.zero else (spec.low, spec.high)
    return typer.Option(*flags, help=" ".join(filter(None, words)), min=low, max=high)


def run(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Argument(help=f"{setting_specs()['source'].help} [default: {setting_specs()['source'].unset}]"),
    ] = None,
    sinks: Annotated[list[str], _option("sinks", "--sink", "-s", note="Repeatable.")] = list(DEFAULT_SINKS),  # noqa: B006 (Typer copies it)
    model: Annotated[Path | None, _option("model")] = None,
    max_frames: Annotated[int | None, _option("max_frames")] = RunSettings.max_frames,
    duration: Annotated[float | None, _option("duration")] = RunSettings.duration,
    min_face_size: Annotated[int, _option("min_face_size")] = RunSettings.min_face_size,
    min_confidence: Annotated[float | None, _option("min_confidence")] = RunSettings.min_confidence,
    cascade: Annotated[Path | None, _option("cascade")] = RunSettings.cascade,
    max_fps: Annotated[float | None, _option("max_fps")] = RunSettings.max_fps,
    idle_fps: Annotated[float, _option("idle_fps")] = RunSettings.idle_fps,
    half_life: Annotated[float, _option("half_life")] = RunSettings.half_life,
    threads: Annotated[int, _option("threads")] = RunSettings.threads,
    reconnect: Annotated[bool, _option("reconnect", "--reconnect/--no-reconnect")] = RunSettings.reconnect,
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file with these options as keys; command-line flags override it. See 'edge config'."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Classify emotions until the source ends, a limit is reached, or Ctrl-C; then print a summary."""
    from edge import app
    from edge.config import toml_file

    # A parameter has the name of its setting, and only the context knows which ones were given.
    given = {
        name: toml_file.converted(name, value)
        for name, value in context.params.items()
        if name in setting_specs() and _was_given(context, name)
    }
    from_file = toml_file.read(config, app.NAME_CHECKS) if config else {}
    show_summary(app.run(RunSettings(**{**from_file, **given})))


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def show_summary(summary: Summary) -> None:
    """Print the summary to stderr, so that stdout holds results alone."""
    stats = summary.stats
    skipped = f", {stats.skipped} skipped" if stats.skipped else ""
    _log.info(f"{stats.frames} frames{skipped}, {len(summary.track_ids)} faces, {summary.fps:.1f} frames per second")
    if summary.face_results:
        emotions = sorted(summary.emotions.items(), key=lambda item: -item[1])
        _log.info("mean: " + ", ".join(f"{label} {probability:.0%}" for label, probability in emotions))
