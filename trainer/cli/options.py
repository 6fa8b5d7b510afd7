"""Options that several commands share, and the options that are derived from TrainingSettings."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from edge.errors import UnknownNameError, UsageError
from edge.system.atomic_file import check_writable
from edge.system.paths import display_name
from trainer.data import formats, label_mapping
from trainer.data.dataset import SPLITS, Dataset
from trainer.data.image_folder import is_image
from trainer.data.loader import load_dataset
from trainer.training.settings import TrainingSettings, option_name, setting_specs

_log = logging.getLogger(__name__)

DataPath = Annotated[
    Path,
    typer.Option(
        "--data",
        metavar="PATH",
        help="fer2013.csv, image folders (train/CLASS/*, test/CLASS/*, or CLASS/*), or another data set of --format; "
        "or a folder or archive with one.",
    ),
]
DataFormat = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help=f"Format of the data set: {', '.join(formats.NAMES)}; auto recognizes the layout.",
    ),
]
FerPlus = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="FER+'s fer2013new.csv: ten votes on each row of fer2013.csv. --label-set ferplus and its models need it.",
    ),
]
LabelSet = Annotated[
    Literal["own", "ferplus"],
    typer.Option(help="Labels of the data set, or the eight emotions of FER+ by majority vote, with --ferplus."),
]
Classes = Annotated[
    str, typer.Option(metavar="NAMES", help="Train only these classes, in this order: happy,sad,neutral.")
]
SkipInvalid = Annotated[
    bool, typer.Option("--skip-invalid", help="Skip invalid rows or images and count them, instead of stopping.")
]
Augment = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Ranges of the augmentation, a TOML file such as 'trainer preview' prints.",
        show_default="the built-in ranges",
    ),
]
Split = Annotated[str, typer.Option(metavar="SPLIT", help="Training, PublicTest, PrivateTest or all.")]
CompareTo = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Second model to compare to, for example the float one of an int8.")
]

PLOT_SUFFIXES = (".png", ".svg", ".pdf", ".jpg")

_METAVARS = {str: "NAME", int: "INT", float: "FLOAT", tuple[Path, ...]: "PATH"}


def load(
    data: Path,
    ferplus: Path | None = None,
    *,
    data_format: str = formats.AUTO,
    skip_invalid: bool = False,
    color: bool = False,
) -> Dataset:
    """Return the data set at `data`, gray or in `color`; log how it was read, and what is invalid or in two splits.

    Raises UnknownNameError for another format than trainer.data.formats.NAMES, and DataError.
    """
    if data_format not in formats.NAMES:
        raise UnknownNameError(f"no format {data_format!r}; there are {', '.join(formats.NAMES)}")
    dataset = load_dataset(data, data_format=data_format, ferplus=ferplus, skip_invalid=skip_invalid, color=color)
    for note in dataset.notes:
        _log.info("%s: %s", data, note)
    seen = dataset.seen_faces()
    for split in SPLITS[1:]:
        rows = dataset.splits == split
        if n := int(seen[rows].sum()):
            _log.info("%s: %d of %d %s faces are Training faces, too, pixel for pixel", data, n, rows.sum(), split)
    if dataset.skipped:
        _log.warning("%s: %d invalid rows or images skipped", data, dataset.skipped)
    return dataset


def check_outputs(*outputs: tuple[str, Path | None, tuple[str, ...]], inputs: Iterable[Path | None]) -> None:
    """Check the files that a command is to write, before the work whose results they are to hold.

    Args:
        outputs: option, file and possible suffixes of each; None: not asked for.
        inputs: files and folders that the command reads. An image in such a folder is one of them.

    Raises UsageError for another suffix, a file that is read, too, or one for two results; FileError for a file that
    cannot be written.
    """
    read = [path for path in inputs if path and path.exists()]
    options: dict[Path, str] = {}
    for option, path, suffixes in outputs:
        if path is None:
            continue
        name, target = f"{option} {display_name(path)}", path.resolve()
        if path.suffix.lower() not in suffixes:
            raise UsageError(f"{name}: expected {' or '.join(filter(None, [', '.join(suffixes[:-1]), suffixes[-1]]))}")
        if target in options:
            raise UsageError(f"{name}: is the file of {options[target]}, too; name another one")
        options[target] = option
        if path.exists() and any(
            path.samefile(each) or (is_image(path.name) and target.is_relative_to(each.resolve())) for each in read
        ):
            raise UsageError(f"{name}: is read by this command; name another file")
        check_writable(path)


def select_labels(dataset: Dataset, label_set: str, classes: str) -> Dataset:
    """Return `dataset` with the labels of the options LabelSet and Classes. Raises DataError."""
    if label_set == "ferplus":
        dataset = label_mapping.ferplus_majority(dataset)
    if classes:
        dataset = label_mapping.select_classes(dataset, split_names(classes))
    return dataset


def split_names(text: str) -> list[str]:
    """Return the names in `text`, NAME,NAME,..., without blanks around them and without empty ones."""
    return [name.strip() for name in text.split(",") if name.strip()]


def log_counts(dataset: Dataset) -> None:
    """Log the number of faces of each class and of each split, before they are used."""
    classes = ", ".join(f"{n} {name}" for name, n in dataset.counts().items())
    splits = ", ".join(f"{n} {name}" for name in SPLITS if (n := int((dataset.splits == name).sum())))
    _log.info("%s: %d faces: %s (%s)", dataset.source, len(dataset), classes, splits)


def training_options(names: Collection[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that replaces a command's parameter `settings` by one option for each of the settings `names`.

    The command gets them as a TrainingSettings.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command, eval_str=True).parameters.values():
            if parameter.name == "settings":
                parameters += map(_parameter, names)
            else:
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

        @functools.wraps(command)
        def with_settings(**values: Any) -> None:
            given = {name: values.pop(name) for name in names}
            if "teachers" in given:
                given["teachers"] = tuple(given["teachers"] or ())
            command(settings=TrainingSettings(**given), **values)

        # Typer reads both.
        with_settings.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_settings.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return with_settings

    return decorate


def _parameter(name: str) -> inspect.Parameter:
    """Return the parameter of a command for the setting `name`."""
    spec, kind = setting_specs()[name], get_type_hints(TrainingSettings)[name]
    # Typer checks and shows a range with both limits; TrainingSettings checks every range.
    low, high = (None, None) if spec.high is None else (spec.low, spec.high)
    option = typer.Option(
        f"--{option_name(name)}",
        help=spec.help,
        metavar=spec.metavar or _METAVARS.get(kind),
        show_default=spec.unset or True,
        min=low,
        max=high,
        parser=_parse_unfreeze if name == "unfreeze" else None,
    )
    default = getattr(TrainingSettings, name)
    if kind == tuple[Path, ...]:
        kind, default = list[Path] | None, None
    annotation = Annotated[kind, option]  # type: ignore[valid-type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _parse_unfreeze(text: str) -> int | None:
    if text == "all":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 6):
        raise UsageError(f"--unfreeze is {text[:20]!r}, expected a number of layers or all")
    return int(text)
