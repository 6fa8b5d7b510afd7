"""The package facemood: its Keras model, prepared as its camera loop prepares a whole frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.peers.serve import Classify, packaged_file, serve

PEER = {
    "name": "facemood",
    "version": "1.0.1",
    "packages": ["facemood==1.0.1"],
    "runtime": ["tensorflow-cpu==2.21.0", "keras==3.15.1", "numpy==2.4.6", "pillow==13.0.0"],
    "labels": ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"],
    "input": "170 x 170, the gray level three times, 0 to 1; the package finds no faces and gives it whole frames",
    "training_data": "Not published. It must have learned from PublicTest: see what it loses when a face's box moves.",
    "source": "https://github.com/emirkaanozdemr/facemood",
}
SIDE = 170


def load() -> tuple[Path, Classify]:
    import keras
    import tensorflow as tf
    from PIL import Image

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    path = packaged_file("facemood", "facemood/model__version1.0.0__.h5")
    model = keras.models.load_model(path, compile=False)
    run = tf.function(lambda faces: model(faces, training=False))

    def classify(gray: np.ndarray) -> np.ndarray:
        resized = np.asarray(Image.fromarray(gray).convert("RGB").resize((SIDE, SIDE)), np.float32) / 255
        probabilities: np.ndarray = run(tf.constant(resized[np.newaxis])).numpy()[0]
        return probabilities

    return path, classify


if __name__ == "__main__":
    serve(PEER, load)
