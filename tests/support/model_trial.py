"""A child process for tests of edge.system.model_trial: its argument is the fault that it has in place of running."""

from __future__ import annotations

import os
import sys
import threading

from edge.system import tflite, trial_worker


def main() -> None:
    def fail(*_: object, **__: object) -> None:
        match sys.argv[1]:
            case "abort":
                os.abort()
            case "allocate":
                bytearray(2 * trial_worker.MEMORY_BYTES)
            case "wait":
                threading.Event().wait()

    tflite.load = fail
    trial_worker.main()
