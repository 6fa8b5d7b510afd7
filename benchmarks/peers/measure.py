"""Accuracy, calibration, robustness and time of a peer. What was measured is kept, so that a stopped run goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.protocol import Answer, Peer, PeerProcess
from edge.system.atomic_file import atomic_write
from trainer.data.dataset import Dataset
from trainer.evaluation.calibration import reliability_diagram
from trainer.evaluation.corruptions import CORRUPTIONS, apply_corruption
from trainer.evaluation.metrics import compute_metrics

BATCH = 100  # faces of one line
CLEAN, CLEAN_SUBSET = "clean", "clean, rows of the corruptions"
TIMED_FACES, ROUNDS = 20, 6  # of each peer, interleaved; the first round is a warm-up

Figures = dict[str, Any]


@dataclass(frozen=True)
class Protocol:
    """The rows that all peers get."""

    dataset: Dataset  # of one split
    corruption_step: int  # corruptions are measured on every n-th row

    @property
    def subset(self) -> Dataset:
        return self.dataset.take(np.arange(0, len(self.dataset), self.corruption_step))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of faces, labels and step."""
        content = self.dataset.faces.tobytes() + self.dataset.labels.tobytes() + bytes([self.corruption_step])
        return hashlib.sha256(content).hexdigest()


def measure(peer: Peer, process: PeerProcess, protocol: Protocol, kept: Path) -> Figures:
    """Return the figures of a peer, from the file `kept` where they are of the same rows, model and adapter."""
    key = {
        "rows": protocol.fingerprint,
        "model": process.model_sha256,
        "adapter": hashlib.sha256(peer.adapter.read_bytes()).hexdigest(),
    }
    figures: Figures = {"key": key, "model_bytes": process.model_bytes, "conditions": {}}
    if kept.is_file() and (old := json.loads(kept.read_text()))["key"] == key:
        figures = old
    for name, make in conditions(protocol).items():
        if name not in figures["conditions"]:
            print(f"{peer.name}: {name}", flush=True)
            figures["conditions"][name] = condition_figures(process, make())
            atomic_write(kept, json.dumps(figures).encode())
    return figures


def conditions(protocol: Protocol) -> Mapping[str, Callable[[], Dataset]]:
    """Return name -> the faces of a condition."""
    subset = protocol.subset
    corrupted = {
        name: lambda corruption=corruption: apply_corruption(subset, corruption)
        for name, corruption in CORRUPTIONS.items()
    }
    return {CLEAN: lambda: protocol.dataset, CLEAN_SUBSET: lambda: subset, **corrupted}


def condition_figures(process: PeerProcess, dataset: Dataset) -> Figures:
    """Return n, accuracy, its interval, macro-F1 and calibration error of a peer on the faces of one split."""
    batches = [dataset.faces[start : start + BATCH] for start in range(0, len(dataset), BATCH)]
    probabilities = np.concatenate([process.classify(batch, dataset.class_names).probabilities for batch in batches])
    metrics = compute_metrics(probabilities, dataset)
    return {
        "n": metrics.n,
        "accuracy": metrics.accuracy,
        "accuracy_ci95": list(metrics.accuracy_interval),
        "macro_f1": metrics.macro_f1,
        "calibration_error": reliability_diagram(probabilities, dataset.labels).expected_calibration_error,
        "recall": dict(zip(metrics.class_names, metrics.recall.tolist(), strict=True)),
    }


def time_interleaved(processes: Mapping[str, PeerProcess], dataset: Dataset, reference: str) -> dict[str, Figures]:
    """Return name -> milliseconds a face (median), and the median over the rounds of the ratio to `reference`.

    All peers get the same few faces in each round, one after the other, so that a busy machine is busy for all.
    """
    faces = dataset.faces[:TIMED_FACES]
    rounds: dict[str, list[NDArray[np.float64]]] = {name: [] for name in processes}
    for _ in range(ROUNDS):
        for name, process in processes.items():
            answer: Answer = process.classify(faces, dataset.class_names)
            rounds[name].append(answer.milliseconds)
    medians = {name: np.median(np.stack(times[1:]), axis=1) for name, times in rounds.items()}
    return {
        name: {
            "milliseconds": float(np.median(times)),
            "ratio": float(np.median(times / medians[reference])),
        }
        for name, times in medians.items()
    }
