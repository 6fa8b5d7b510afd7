"""The model that this project ships, by the classifier of the device."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.serve import Classify, serve

PEER = {
    "name": "ours",
    "version": "this checkout",
    "packages": [],
    "runtime": [],
    "labels": ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"],
    "input": "the model's own size, gray, int8",
    "training_data": (
        "Training of FER2013 and FER+'s votes for it. Epochs, settings and temperature were chosen on PublicTest."
    ),
    "source": "models/README.md",
}


def load() -> tuple[Path, Classify]:
    from edge.config.models import shipped_model
    from edge.inference.classifier import Classifier
    from edge.types import Box

    path = shipped_model()
    classifier = Classifier(path)
    if list(classifier.card.labels) != PEER["labels"]:
        raise SystemExit(f"{path}: labels {classifier.card.labels}, expected {PEER['labels']}")
    return path, lambda gray: classifier.classify(
        classifier.prepare(gray, Box(0, 0, gray.shape[1], gray.shape[0]), padding=0.0)
    )


if __name__ == "__main__":
    serve(PEER, load)
