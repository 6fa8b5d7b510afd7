"""The models of the package by name, the default one, and the frequencies of emotions expected in everyday life.

A file NAME.tflite in the folder models/ of a checkout is a model NAME; a wheel has these files, too.
"""

from __future__ import annotations

import os
from pathlib import Path

from edge.errors import UnknownNameError
from edge.system.paths import expand_path

DEFAULT = "emotion"
FAST = "fast"  # for boards on which the default takes most of a core
# Not a file: `edge run` of a camera begins with FAST, measures, and decides for it or the default.
AUTO = "auto"
SUFFIX = ".tflite"


def find_model(model: str | None) -> Path:
    """Return the path of the model file that a user named: by a name of the package, or by a path; None: the default.

    A name has neither a slash nor a suffix; `./fast` is a path. Raises UnknownNameError for a name that there is not.
    """
    if model is None:
        return shipped_model()
    packaged = packaged_models()
    if model in packaged:
        return packaged[model]
    path = expand_path(model)
    if "/" in model or path.suffix or path.exists():
        return path
    names = ", ".join(packaged)
    if model == AUTO:
        raise UnknownNameError(f"the model {AUTO} is chosen while 'edge run' reads a camera; name one of {names} here")
    raise UnknownNameError(f"no model is called {model!r}; the models are {names}, or name a file by its path")


def find_models(model: str | None) -> list[Path]:
    """Return the paths of the models between which a run may choose: for AUTO the fast one and the default, else one.

    Raises UnknownNameError as find_model.
    """
    return [find_model(FAST), find_model(None)] if model == AUTO else [find_model(model)]


def name_of(path: Path) -> str:
    """Return the name of the model file `path`: its name in the package, or that of the file."""
    return next((name for name, packaged in packaged_models().items() if packaged == path), path.name)


def shipped_model() -> Path:
    """Return the path of the model to use if the user names none.

    $EMOTION_EDGE_MODEL is the deployed one: scripts/install.sh sets it for the service. Without it, it is the model of
    the package.
    """
    if deployed := os.environ.get("EMOTION_EDGE_MODEL"):
        return Path(deployed)
    return packaged_model()


def packaged_model() -> Path:
    """Return the path of the package's own default model, whatever is deployed."""
    return _folder() / f"{DEFAULT}{SUFFIX}"


def packaged_models() -> dict[str, Path]:
    """Return name -> path of each model of the package, the default first."""
    paths = sorted(_folder().glob(f"*{SUFFIX}"), key=lambda path: (path.stem != DEFAULT, path.stem))
    return {path.stem: path for path in paths}


def everyday_prior() -> Path:
    """Return the path of the package's table of expected class frequencies, see edge.inference.prior."""
    return _folder() / "everyday.toml"


def _folder() -> Path:
    """Return the folder of the package's models: in the wheel, or models/ of a checkout."""
    package = Path(__file__).parent.parent
    packaged = package / "models"
    return packaged if packaged.exists() else package.parent / "models"
