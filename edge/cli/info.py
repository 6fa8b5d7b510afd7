"""`edge info`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Annotated

import typer

from edge.cli.common import Debug, show
from edge.config.models import find_model, packaged_models
from edge.config.settings import setting_specs
from edge.inference import model_file
from edge.inference.prior import default_prior
from edge.system.bounded_read import read_at_most
from edge.system.paths import display_name

_model = setting_specs()["model"]


def info(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar=_model.metavar,
            help="Model: a name, such as emotion, or a file.",
            show_default=_model.unset,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Show the card of a model.

    It contains the labels, the input contract, the training data, the metrics and the SHA-256 of the file.
    """
    path = find_model(model)
    _, card = model_file.load(path)
    if path.resolve() not in {each.resolve() for each in packaged_models().values()}:
        from edge.inference.classifier import Classifier

        Classifier(path).warm_up()  # a model of others may have a good card and yet not run
    content = read_at_most(path, model_file.MAX_MODEL_BYTES)
    digest = hashlib.sha256(content).hexdigest()  # as from sha256sum; the one in the card excludes the card itself
    if as_json:
        facts = {"file": display_name(path.name), "bytes": len(content), "file_sha256": digest, **asdict(card)}
        typer.echo(json.dumps(facts, indent=1, ensure_ascii=False))
        return
    lines = {
        "file": display_name(path.name),
        "bytes": len(content),
        "name": card.name,
        "version": card.version,
        "labels": ", ".join(card.labels),
        "input": f"{card.input_size} x {card.input_size} {card.color} pixels, uint8, unscaled",
        "resolution": f"{card.effective_resolution} pixels: faces are first downscaled to this size",
        "padding": f"{card.crop_padding:.0%} of the face box, added on each side",
        "temperature": f"{card.temperature:.3f}: probabilities are raised to its inverse and normalized",
        "frequencies": ", ".join(f"{label} {fraction:.1%}" for label, fraction in card.class_frequencies.items())
        + " in training"
        if card.class_frequencies
        else "unknown: no prior is applied",
        "prior": f"{default_prior(card)}, if none is named",
        "adapted": f"{card.adapted_temperature:.3f}: temperature of probabilities adapted to a prior",
        "confidence": f"{card.min_confidence:.0%}: below this, a face gets no label",
        "data": card.data,
        "sha256": digest,
        "models": f"{', '.join(packaged_models())}: names that --model takes",
    }
    for key, value in lines.items():
        show(f"{key:12} {value}")
    for split, metrics in card.metrics.items():
        values = (
            f"{key} {value:.4f}" if isinstance(value, float) else f"{key} {value}" for key, value in metrics.items()
        )
        show(f"{split:12} {', '.join(values)}")
