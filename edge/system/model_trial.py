"""Tries a model of unknown origin once in a child process, within limits; the verdict is kept by the model's hash.

The runtime is native code that no input should bring down, but some do. What edge.system.tflite_verifier cannot see
(an operator that reads past its input, a kernel that divides by zero) ends the child instead of the service.

Only good verdicts are kept. A refused model is tried again: the cause may have been a lack of memory.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path

from edge.system.worker_process import ENVIRONMENT, command, describe_exit

TRIAL_SECONDS = 60.0  # start-up of Python and the runtime included
MAX_VERDICTS = 1000  # that are kept: empty files
REFUSED = 3  # exit status of the child: the reason is on its standard output


def find_fault(model: bytes) -> str | None:
    """Return why the runtime cannot load or run `model`; None: it can, now or when it was last tried."""
    verdict = verdict_path(model)
    if verdict is not None and verdict.exists():
        return None
    fault = _run_child(model)
    if fault is None and verdict is not None:
        _keep(verdict)
    return fault


def verdict_path(model: bytes) -> Path | None:
    """Return the file that exists if this runtime has run `model` on such a machine; None: there is no place for it.

    It is in the folder that systemd gives the service, else in the user's cache folder.
    """
    folders = [os.environ.get(name, "").partition(":")[0] for name in ("CACHE_DIRECTORY", "STATE_DIRECTORY")]
    folder = next((Path(each) for each in folders if each), None)
    if folder is None:
        try:
            folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emotion-edge"
        except RuntimeError:  # a user without a home
            return None
    versions = []
    for name in ("ai-edge-litert", "tflite-runtime"):
        with suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name}-{importlib.metadata.version(name)}")
    digest = hashlib.sha256(model).hexdigest()
    return folder / "tried-models" / "_".join((digest, platform.machine(), *versions))


def _run_child(model: bytes) -> str | None:
    try:
        child = subprocess.run(
            command("edge.system.trial_worker"),
            input=model,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TRIAL_SECONDS,
            check=False,
            env={**os.environ, **ENVIRONMENT},
        )
    except subprocess.TimeoutExpired:
        return f"it takes more than {TRIAL_SECONDS:g} s to load and run"
    except OSError as error:
        return f"it cannot be tried: no child process can be started ({error.strerror})"
    if child.returncode == REFUSED:
        return " ".join(child.stdout.decode(errors="replace").split())
    return None if child.returncode == 0 else f"it brings the runtime down: {describe_exit(child.returncode)}"


def _keep(verdict: Path) -> None:
    with suppress(OSError):  # the folder is read-only, or the disk full: the next start tries the model again
        verdict.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        others = list(verdict.parent.iterdir())
        for other in others if len(others) >= MAX_VERDICTS else ():
            other.unlink(missing_ok=True)
        verdict.touch(mode=0o600)
