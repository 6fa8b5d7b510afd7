"""Loads Keras on demand, without the messages that its backends print."""

from __future__ import annotations

import os

from edge.errors import EmotionEdgeError
from edge.system.installation import install_command
from edge.system.native_output import suppress_native_output

PROCESS_VARIABLE = "KERAS_DISTRIBUTION_PROCESS_ID"  # Keras' own; set by `trainer launch`


def load() -> None:
    """Import Keras with the backend in $KERAS_BACKEND (TensorFlow by default); a later `import keras` prints nothing.

    In a process that `trainer launch` has started it waits for the other processes.

    Raises EmotionEdgeError when Keras or its backend is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with suppress_native_output(2):
            import keras
        if PROCESS_VARIABLE in os.environ:
            keras.utils.set_random_seed(1)  # without one Keras would compute one that all processes agree on
            keras.distribution.initialize()  # before any computation
        with suppress_native_output(2):
            keras.ops.zeros(1)  # starts the backend, which prints which hardware it did not find
    except ModuleNotFoundError as error:
        raise EmotionEdgeError(f"{error.name} is not installed; {install_command('trainer')} installs it") from error
