"""Loads Keras on demand, without the messages that its backends print."""

from __future__ import annotations

import os

from edge.errors import EmotionEdgeError
from edge.system.native_output import suppress_native_output


def load() -> None:
    """Import Keras with the backend in $KERAS_BACKEND (TensorFlow by default); a later `import keras` prints nothing.

    Raises EmotionEdgeError when Keras or its backend is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with suppress_native_output(2):
            import keras

            keras.ops.zeros(1)  # starts the backend, which prints which hardware it did not find
    except ModuleNotFoundError as error:
        raise EmotionEdgeError(
            f"{error.name} is not installed; 'pip install emotion-edge[trainer]' installs it"
        ) from error
