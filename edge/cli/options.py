"""Options that are derived from the settings of a run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from edge.config.settings import setting_specs


def setting_option(name: str, *flags: str, note: str = "") -> Any:
    """Return the command-line option of the setting `name` of RunSettings."""
    spec = setting_specs()[name]
    low, high = (None, None) if spec.zero else (spec.low, spec.high)
    return typer.Option(
        *flags,
        help=f"{spec.help} {note}".rstrip(),
        metavar=spec.metavar,
        show_default=spec.unset or True,
        min=low,
        max=high,
    )


Model = Annotated[str | None, setting_option("model")]
# Of a command that measures or checks one model: auto is chosen while `edge run` reads a camera.
OneModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Model: a name, such as emotion, or a file (.tflite with its card).",
        metavar=setting_specs()["model"].metavar,
        show_default=setting_specs()["model"].unset,
    ),
]
Threads = Annotated[int, setting_option("threads")]
Detector = Annotated[str, setting_option("detector")]
