"""The default model file."""

from __future__ import annotations

import os
from pathlib import Path


def shipped_model() -> Path:
    """Return the path of the model to use if the user names none.

    $EMOTION_EDGE_MODEL is the deployed one: scripts/install.sh sets it for the service. Without it, it is the model of
    the package: in the wheel, or in the folder models/ of a checkout.
    """
    if deployed := os.environ.get("EMOTION_EDGE_MODEL"):
        return Path(deployed)
    package = Path(__file__).parent.parent
    packaged = package / "models" / "emotion.tflite"
    return packaged if packaged.exists() else package.parent / "models" / "emotion.tflite"
