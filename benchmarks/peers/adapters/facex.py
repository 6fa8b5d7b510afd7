"""The package facex: its TFLite model, prepared as EmotionClassifier.detect_emotion prepares a face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.serve import Classify, load_tflite, packaged_file, serve

PEER = {
    "name": "facex",
    "version": "1.1.0",
    "packages": ["facex==1.1.0"],
    "runtime": ["ai-edge-litert==2.3.0", "numpy==2.4.6", "scikit-image==0.26.0"],
    "labels": ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"],
    "input": "200 x 200, the gray level three times, 0 to 1; run by ai-edge-litert in place of TensorFlow",
    "training_data": "Not published. It may have learned from any row of FER2013.",
    "source": "https://pypi.org/project/facex/1.1.0/",
}
SHAPE = (200, 200, 3)


def load() -> tuple[Path, Classify]:
    from skimage import transform

    resize: Any = transform.resize  # it has no types

    def prepare(gray: np.ndarray) -> np.ndarray:
        return np.asarray(resize(gray, SHAPE), np.float32)  # 0 to 1: resize scales integers

    path = packaged_file("facex", "facex/assets/model_optimized.tflite")
    return path, load_tflite(path, prepare)


if __name__ == "__main__":
    serve(PEER, load)
