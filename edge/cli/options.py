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
Threads = Annotated[int, setting_option("threads")]
Detector = Annotated[str, setting_option("detector")]
