"""The file of `trainer sweep`: TOML with the fixed options of `trainer train`, the ones to search, and the study.

[fixed]
epochs = 4
[search]
learning-rate = { low = 1e-4, high = 1e-2, log = true }
mixup = { choices = [0.0, 0.2] }
augment.rotate = { low = 0.0, high = 20.0 }
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from edge.errors import SettingsError
from trainer.data.augmentation import Augmentation, augmentation_specs
from trainer.data.augmentation_file import read_toml
from trainer.errors import TrainingError
from trainer.training.settings import TrainingSettings, option_name, setting_specs

MAX_CHOICES = 100
METRICS = ("accuracy", "macro_f1")  # columns of history.csv, without val_
PRUNERS = ("median", "none")
AUGMENT = "augment"  # the table of the augmentation's ranges
_OPTIONS = {option_name(name): name for name in setting_specs()}
_RANGE_KEYS = {"low", "high", "log", "step"}

Scalar = bool | int | float | str


@dataclass(frozen=True)
class Parameter:
    """An option to search: numbers from `low` to `high`, or some of `choices`."""

    choices: tuple[Scalar, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    is_integer: bool = False


@dataclass(frozen=True)
class StudySettings:
    """How the options are searched. Raises SettingsError naming the one that is out of range."""

    metric: str = "accuracy"  # of PublicTest, to maximize
    pruner: str = "median"  # median: stop a trial below the median of the others after the same epoch
    startup_trials: int = 4  # completed before a trial is stopped early
    warmup_epochs: int = 1  # of each trial, in which it is not stopped
    seed: int = 1

    def __post_init__(self) -> None:
        for name, choices in (("metric", METRICS), ("pruner", PRUNERS)):
            if getattr(self, name) not in choices:
                raise SettingsError(f"{name} is {getattr(self, name)!r}, expected {' or '.join(choices)}")
        for name in ("startup_trials", "warmup_epochs", "seed"):
            if not 0 <= getattr(self, name) < 2**31:
                raise SettingsError(f"{name} is {getattr(self, name)}, expected 0 to 2147483647")


@dataclass(frozen=True)
class SweepSpace:
    """What a sweep tries. An option has the name that it has on the command line; `augment.rotate` is a range."""

    fixed: Mapping[str, Any]
    search: Mapping[str, Parameter]
    study: StudySettings

    def settings(self, values: Mapping[str, Any]) -> TrainingSettings:
        """Return the settings of a trial with `values`, by option. Raises TrainingError or SettingsError."""
        return _settings({**self.fixed, **values})

    @property
    def color(self) -> str:
        """How the data is read: gray or rgb."""
        return _settings(self.fixed).color

    def as_json(self) -> dict[str, Any]:
        """Return plain values, equal for equal spaces."""
        return {
            "fixed": dict(self.fixed),
            "search": {name: asdict(parameter) for name, parameter in self.search.items()},
            "study": asdict(self.study),
        }


def read(path: Path) -> SweepSpace:
    """Return the space in the file at `path`. Raises SettingsError with the file, the key and the reason."""
    tables = read_toml(path, "docs/sweep.md has an example")
    try:
        return _parse(tables)
    except (SettingsError, TrainingError) as error:
        raise SettingsError(f"{path}: {error}") from None


def _parse(tables: Mapping[str, Any]) -> SweepSpace:
    """Return the space in the tables of the file. Raises SettingsError or TrainingError."""
    for name, table in tables.items():
        if name not in {"fixed", "search", "study"}:
            raise SettingsError(f"unknown table {name[:40]!a}; the tables are fixed, search, study")
        if not isinstance(table, dict):
            raise SettingsError(f"{name} is not a table; expected a line [{name}]")
    fixed = {name: _convert(name, value) for name, value in _flatten(tables.get("fixed", {}), "fixed").items()}
    search = {name: _parameter(name, value) for name, value in _flatten(tables.get("search", {}), "search").items()}
    if not search:
        raise SettingsError("the table search is empty; expected a line such as: mixup = { choices = [0.0, 0.2] }")
    if both := sorted(fixed.keys() & search.keys()):
        raise SettingsError(f"{both[0]} is in fixed and in search; leave one of them out")
    if "color" in search:
        raise SettingsError("search: color is how the data is read, once for all trials; put it into fixed")
    space = SweepSpace(fixed, search, _study(tables.get("study", {})))
    _settings(fixed)
    for name, parameter in search.items():  # each alone: what fits together is known only in a trial
        for value in parameter.choices or (parameter.low, parameter.high):
            _settings({name: int(value) if parameter.is_integer else value})
    return space


def _flatten(table: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return option -> value of a table; of the table augment in it `augment.<range>`. Raises SettingsError."""
    options: dict[str, Any] = {}
    for name, value in table.items():
        if name == AUGMENT:
            if not isinstance(value, dict):
                raise SettingsError(f"{place}: augment is not a table; expected lines such as: augment.rotate = ...")
            options |= {f"{AUGMENT}.{key}": each for key, each in value.items()}
        else:
            options[name] = value
    for name in options:
        if _kind(name) is None:
            known = ", ".join([*_OPTIONS, *(f"{AUGMENT}.{each}" for each in augmentation_specs())])
            raise SettingsError(f"{place}: unknown option {name[:60]!a}; the options are {known}")
    return options


def _kind(option: str) -> Any:
    """Return the type of an option's values; None for an unknown option."""
    table, _, name = option.rpartition(".")
    if table == AUGMENT:
        return get_type_hints(Augmentation).get(name)
    return get_type_hints(TrainingSettings)[_OPTIONS[option]] if option in _OPTIONS else None


def _convert(option: str, value: Any) -> Any:
    """Return `value`, as TOML has it, as a plain value of the option's type. Raises SettingsError for another type."""
    kind = _kind(option)
    if kind == tuple[Path, ...]:
        names = [value] if isinstance(value, str) else value
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return names
        raise SettingsError(f"{option} is of type {type(value).__name__}, expected a string or a list of strings")
    if kind == int | None and value == "all":
        return value
    expected = {bool: (bool,), float: (int, float), int: (int,), int | None: (int,)}.get(kind, (str,))
    if type(value) not in expected:
        names = " or ".join(each.__name__ for each in expected)
        raise SettingsError(f"{option} is of type {type(value).__name__}, expected {names}")
    try:
        return float(value) if kind is float else value
    except OverflowError:
        raise SettingsError(f"{option} is too large") from None


def _parameter(option: str, value: Any) -> Parameter:
    """Return what to search of an option. Raises SettingsError."""
    if not isinstance(value, dict):
        raise SettingsError(f"search: {option} is {str(value)[:40]!a}, expected {{ low, high }} or {{ choices }}")
    if value.keys() == {"choices"}:
        choices = value["choices"]
        if not isinstance(choices, list) or not 2 <= len(choices) <= MAX_CHOICES:
            raise SettingsError(f"search: the choices of {option} are not a list of 2 to {MAX_CHOICES} values")
        converted = [_convert(option, choice) for choice in choices]
        plain = [choice[0] if isinstance(choice, list) and len(choice) == 1 else choice for choice in converted]
        if any(isinstance(choice, list) for choice in plain) or len(set(plain)) < len(plain):
            raise SettingsError(f"search: the choices of {option} are not different single values")
        return Parameter(choices=tuple(plain))
    if not {"low", "high"} <= value.keys() <= _RANGE_KEYS:
        found = ", ".join(map(str, value))[:80]
        raise SettingsError(f"search: {option} has {found}; expected choices, or low and high, with log or step")
    if type(log := value.get("log", False)) is not bool:
        raise SettingsError(f"search: log of {option} is {log!a}, expected true or false")
    if _kind(option) not in {int, float, int | None}:
        raise SettingsError(f"search: {option} is no number; expected choices")
    low, high, step = (value.get(key) for key in ("low", "high", "step"))
    low, high = _number(option, low), _number(option, high)
    step = None if step is None else _number(option, step)
    if not low < high or (log and low <= 0) or (step is not None and not 0 < step <= high - low):
        raise SettingsError(
            f"search: {option} from {low} to {high}{'' if step is None else f' in steps of {step}'}; expected "
            "low below high, a step that fits between them, and with log a low above 0"
        )
    if log and step is not None:
        raise SettingsError(f"search: {option} has log and step; leave one of them out")
    return Parameter(low=low, high=high, step=step, log=log, is_integer=_kind(option) is not float)


def _number(option: str, value: Any) -> Any:
    """Return a limit of the range of an option. Raises SettingsError unless it is a number of the option's type."""
    if value == "all":
        raise SettingsError(f"search: {option} 'all' is no number; expected choices")
    number = _convert(option, value)
    if number - number != 0:  # infinity or NaN
        raise SettingsError(f"search: {option} is {number}, expected a finite number")
    return number


def _study(table: Mapping[str, Any]) -> StudySettings:
    """Return the settings of the study. Raises SettingsError."""
    kinds = get_type_hints(StudySettings)
    for name, value in table.items():
        if name.replace("-", "_") not in kinds or "_" in name:
            known = ", ".join(each.name.replace("_", "-") for each in fields(StudySettings))
            raise SettingsError(f"study: unknown key {name[:40]!a}; the keys are {known}")
        if type(value) is not kinds[name.replace("-", "_")]:
            expected = kinds[name.replace("-", "_")].__name__
            raise SettingsError(f"study: {name} is of type {type(value).__name__}, expected {expected}")
    return StudySettings(**{name.replace("-", "_"): value for name, value in table.items()})


def _settings(values: Mapping[str, Any]) -> TrainingSettings:
    """Return the training settings with `values`, by option. Raises TrainingError or SettingsError."""
    ranges: dict[str, Any] = {}
    given: dict[str, Any] = {}
    for option, value in values.items():
        table, _, name = option.rpartition(".")
        if table == AUGMENT:
            ranges[name] = value
        elif _kind(option) == tuple[Path, ...]:
            given[_OPTIONS[option]] = tuple(map(Path, [value] if isinstance(value, str) else value))
        else:
            given[_OPTIONS[option]] = None if value == "all" and _kind(option) == int | None else value
    settings = TrainingSettings(**given)
    return replace(settings, augmentation=replace(settings.augmentation, **ranges)) if ranges else settings
