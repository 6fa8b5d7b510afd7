"""Keras, loaded when it is needed, without the page that its backends print."""

from __future__ import annotations

import os

from edge.errors import EmotionEdgeError
from edge.system.native_output import suppress_native_output


def load() -> None:
    """Import keras on the backend of KERAS_BACKEND (tensorflow by default); `import keras` is quiet and quick after it.

    Raises EmotionEdgeError when it is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with suppress_native_output(2):
            import keras

            keras.ops.zeros(1)  # starts the backend, which tells what hardware it did not find
    except ModuleNotFoundError as error:
        what = "'pip install emotion-edge[trainer]' brings it"
        raise EmotionEdgeError(f"{error.name} is not installed; {what}") from error
