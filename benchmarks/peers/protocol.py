"""Our side of the protocol: an adapter in a process of its own, one line of JSON each way over pipes.

An adapter is one file in adapters/, for Python (.py, see serve.py) or Node.js (.cjs, see serve.cjs):

- `ADAPTER describe` prints one line: name, version, packages and runtime (what to install, exact versions, the packages
  themselves without what they depend on), labels (in the order of the outputs, named as in FER2013 where they mean the
  same), input, training_data and its source. It needs nothing of that installed.
- `ADAPTER serve` prints {"model_bytes": INT, "model_sha256": HEX} when the model is loaded. Then it answers each line
  {"side": INT, "faces": [BASE64, ...]}, gray bytes row by row, with {"probabilities": [[...], ...], "milliseconds":
  [...]}: for each face by itself, from gray bytes to probabilities, in one thread.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edge.errors import EmotionEdgeError

ADAPTERS = Path(__file__).with_name("adapters")
SUFFIXES = (".py", ".cjs")
ROOT = Path(__file__).resolve().parents[2]
MAX_SUM_ERROR = 0.03  # of probabilities that come from 8-bit outputs
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


class PeerError(EmotionEdgeError):
    """An adapter cannot be installed or started, or its answer is none."""


@dataclass(frozen=True)
class Peer:
    """What an adapter says of itself; see the module's docstring."""

    adapter: Path
    name: str
    version: str
    packages: tuple[str, ...]
    runtime: tuple[str, ...]
    labels: tuple[str, ...]
    input: str
    training_data: str
    source: str

    @property
    def is_python(self) -> bool:
        return self.adapter.suffix == ".py"


@dataclass(frozen=True)
class Answer:
    """What a peer says of n faces."""

    probabilities: NDArray[np.float32]  # (n, classes), rows summing to 1
    milliseconds: NDArray[np.float64]  # (n,)


def find_adapters(folder: Path = ADAPTERS) -> dict[str, Path]:
    """Return name -> adapter, by name."""
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and not path.stem.startswith("_"))
    return {path.stem: path for path in files}


def describe(adapter: Path, python: str) -> Peer:
    """Return what an adapter says of itself. Raises PeerError."""
    command = adapter_command(adapter, python, "describe")
    try:
        done = subprocess.run(command, env=adapter_environment(), capture_output=True, text=True, check=True)
        content = json.loads(done.stdout)
        for key in ("packages", "runtime", "labels"):
            content[key] = tuple(content[key])
        return Peer(adapter, **content)
    except subprocess.CalledProcessError as error:
        raise PeerError(f"{adapter}: {_last_line(error.stderr)}") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise PeerError(f"{adapter}: it does not describe a peer: {error}") from None


def adapter_command(adapter: Path, program: str, verb: str) -> list[str]:
    """Return the command line of an adapter; `program` is the Python of its environment."""
    # -P: an adapter may have the name of the package that it imports.
    return [program, "-P", str(adapter), verb] if adapter.suffix == ".py" else ["node", str(adapter), verb]


def adapter_environment(modules: Path | None = None) -> dict[str, str]:
    """Return the environment variables of an adapter; `modules` is the folder of its npm packages."""
    found = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(ROOT)}
    return found if modules is None else {**found, "NODE_PATH": str(modules)}


class PeerProcess:
    """A peer that answers, as a context manager. Its standard error is kept in the file `log`.

    Attributes:
        model_bytes, model_sha256: of the peer's model file.

    Raises PeerError when it does not start, ends, or answers something else than probabilities.
    """

    def __init__(self, peer: Peer, python: str, modules: Path | None, log: Path) -> None:
        self._peer, self._log = peer, log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                adapter_command(peer.adapter, python, "serve"),
                env=adapter_environment(modules),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        try:
            greeting = self._read()
            self.model_bytes, self.model_sha256 = int(greeting["model_bytes"]), str(greeting["model_sha256"])
        except (KeyError, TypeError, ValueError):
            self.close()
            raise self._error("it did not say which model it loaded") from None
        except PeerError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def classify(self, faces: NDArray[np.uint8], class_names: Sequence[str]) -> Answer:
        """Return the answer for (n, side, side) gray faces, in the columns of `class_names`.

        A class that the peer lacks has the probability 0. Its other labels are left out, and the rest is normalized.
        """
        request = {"side": int(faces.shape[1]), "faces": [base64.b64encode(face.tobytes()).decode() for face in faces]}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._error("it ended") from None
        answer = self._read()
        try:
            raw = np.asarray(answer["probabilities"], np.float64)
            milliseconds = np.asarray(answer["milliseconds"], np.float64)
        except (KeyError, TypeError, ValueError):
            raise self._error("its answer has no probabilities and milliseconds") from None
        if raw.shape != (len(faces), len(self._peer.labels)) or milliseconds.shape != (len(faces),):
            raise self._error(
                f"{len(faces)} faces and {len(self._peer.labels)} labels, but probabilities of the shape {raw.shape}"
            )
        if not (np.isfinite(raw).all() and (raw >= 0).all() and (abs(raw.sum(axis=1) - 1) < MAX_SUM_ERROR).all()):
            raise self._error("its answer has rows that are no probabilities")
        return Answer(_in_columns(raw, self._peer.labels, class_names), milliseconds)

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._error("it ended")
        try:
            return json.loads(line)
        except ValueError:
            raise self._error(f"its answer is not JSON: {line[:80]!r}") from None

    def _error(self, what: str) -> PeerError:
        return PeerError(
            f"{self._peer.name}: {what}: {_last_line(self._log.read_text(errors='replace'))} ({self._log})"
        )


def _in_columns(
    probabilities: NDArray[np.float64], labels: Sequence[str], class_names: Sequence[str]
) -> NDArray[np.float32]:
    columns = np.zeros((len(probabilities), len(class_names)))
    for number, name in enumerate(class_names):
        if name in labels:
            columns[:, number] = probabilities[:, labels.index(name)]
    total = columns.sum(axis=1, keepdims=True)
    normalized: NDArray[np.float32] = np.divide(
        columns, total, out=np.full_like(columns, 1 / len(class_names)), where=total > 0
    ).astype(np.float32)
    return normalized


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no message")
