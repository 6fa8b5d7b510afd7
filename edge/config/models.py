"""Which model file is used where none is named."""

from __future__ import annotations

import os
from pathlib import Path


def shipped_model() -> Path:
    """Return the path of the model to use where none is named.

    $EMOTION_EDGE_MODEL names the one that was deployed: scripts/install.sh sets it for the service. Otherwise it is the one
    of the package: in the wheel, or in a checkout's models/.
    """
    if deployed := os.environ.get("EMOTION_EDGE_MODEL"):
        return Path(deployed)
    package = Path(__file__).parent.parent
    packaged = package / "models" / "emotion.tflite"
    return packaged if packaged.exists() else package.parent / "models" / "emotion.tflite"
