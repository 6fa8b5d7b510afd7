"""The default model file, and the frequencies of emotions that are expected in everyday life."""

from __future__ import annotations

import os
from pathlib import Path


def shipped_model() -> Path:
    """Return the path of the model to use if the user names none.

    $EMOTION_EDGE_MODEL is the deployed one: scripts/install.sh sets it for the service. Without it, it is the model of
    the package.
    """
    if deployed := os.environ.get("EMOTION_EDGE_MODEL"):
        return Path(deployed)
    return packaged_model()


def packaged_model() -> Path:
    """Return the path of the package's own model, whatever is deployed."""
    return _shipped("emotion.tflite")


def everyday_prior() -> Path:
    """Return the path of the package's table of expected class frequencies, see edge.inference.prior."""
    return _shipped("everyday.toml")


def _shipped(name: str) -> Path:
    """Return the path of the file `name` of the package: in the wheel, or in the folder models/ of a checkout."""
    package = Path(__file__).parent.parent
    packaged = package / "models" / name
    return packaged if packaged.exists() else package.parent / "models" / name
