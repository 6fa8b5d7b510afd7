"""Evaluation of the device's complete chain, detection and classification, on images of whole scenes."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.image_analyzer import ImageAnalyzer
from edge.inference.preprocess import crop, resample
from edge.inference.prior import EVERYDAY
from edge.types import FaceResult
from trainer.data.dataset import FER2013_FACE_PIXELS, LABEL_SYNONYMS, Dataset, progress_bar
from trainer.data.image_decoding import ImageFile, decode_color
from trainer.data.image_folder import is_image, list_folder
from trainer.errors import DataError
from trainer.evaluation.evaluate import Evaluation, ModelResult
from trainer.evaluation.metrics import SceneMetrics, compute_metrics

SPLIT_NAME = "detected faces"
MIN_WIDTH_FRACTION = 0.25  # of the image: a narrower face is somebody in the background
SKIP_HINT = "use --skip-invalid"
EXPECTED_NAMES = "CLASS/* or <class>-<n>.jpg"


def evaluate_scenes(
    analyzer: ImageAnalyzer, folder: Path, model_name: str, *, prior: str = EVERYDAY, skip_invalid: bool = False
) -> Evaluation:
    """Evaluate `analyzer` on the images in `folder`; shows a progress bar on a terminal.

    The class of an image is the outermost folder that is named like a label, or in `folder` itself the start of its
    name: `<class>-<n>.jpg`. Its face is the largest one whose box covers the center of the image and is at least
    MIN_WIDTH_FRACTION of its width wide. All other boxes are extra faces.

    Args:
        model_name: of the model file, for people.
        prior: of the classifier of `analyzer`, see edge.inference.prior.
        skip_invalid: leave images out that do not decode or whose class is not a label of the model, and count them,
            instead of raising.

    Returns:
        The evaluation of the faces that were found, with what was missed in `scenes`.

    Raises DataError: there are no images, an image is invalid, or no face was found in any image.
    """
    labels = analyzer.labels
    files = list_scenes(folder, labels, skip_invalid=skip_invalid)
    images, extra_faces, seconds = np.zeros(len(labels), np.int64), 0, 0.0
    probabilities, crops, found_labels = [], [], []
    with progress_bar(f"analyzing {folder.name}", len(files)) as progress:
        for file, label in progress(files):
            try:
                image = decode_color(file.read())
            except DataError as error:
                if skip_invalid:
                    continue
                raise DataError(f"{folder / file.name}: {error}, or {SKIP_HINT}") from error
            if label is None:
                continue
            images[label] += 1
            begin = time.perf_counter()
            faces = analyzer.analyze(image)
            seconds += time.perf_counter() - begin
            face = center_face(faces, image.shape[1], image.shape[0])
            extra_faces += len(faces) - (face is not None)
            if face:
                probabilities.append([face.probabilities[name] for name in labels])
                found_labels.append(label)
                crops.append(_face_crop(image, face))
    n = int(images.sum())
    if not crops:
        raise DataError(f"{folder}: no face was found in {n} images ({len(files) - n} invalid ones skipped)")
    splits = np.full(len(crops), SPLIT_NAME)
    dataset = Dataset(
        np.stack(crops), np.array(found_labels), splits, labels, skipped=len(files) - n, source=str(folder)
    )
    metrics = compute_metrics(np.array(probabilities, np.float32), dataset)
    result = ModelResult(model_name, np.array(probabilities, np.float32), metrics)
    scenes = SceneMetrics(images, metrics, extra_faces, 1000 * seconds / n, dataset.skipped)
    return Evaluation(dataset, (result,), analyzer.min_confidence, scenes=scenes, prior=prior)


def list_scenes(
    folder: Path, labels: Sequence[str], *, skip_invalid: bool = False
) -> list[tuple[ImageFile, int | None]]:
    """Return each image in `folder` with the index of its class in `labels`; None where that is not among them.

    Raises DataError: `folder` is not a folder or has no images, or a class is not in `labels` without `skip_invalid`.
    """
    files = [file for file in list_folder(folder) if is_image(file.name)] if folder.is_dir() else []
    if not files:
        raise DataError(f"{folder}: no images found; expected a folder with {EXPECTED_NAMES}")
    scenes = [(file, _true_label(file, labels)) for file in files]
    unknown = [file.name for file, label in scenes if label is None]
    if unknown and not skip_invalid:
        raise DataError(
            f"{folder / unknown[0]}: its class is not a label of the model, {', '.join(labels)} "
            f"({len(unknown)} of {len(files)} images); expected {EXPECTED_NAMES}: rename or remove it, or {SKIP_HINT}"
        )
    return scenes


def center_face(faces: Sequence[FaceResult], width: int, height: int) -> FaceResult | None:
    """Return the face that an image of `width` x `height` pixels is about: see evaluate_scenes."""
    candidates = [
        face
        for face in faces
        if face.box.width >= MIN_WIDTH_FRACTION * width
        and face.box.x <= width / 2 <= face.box.x + face.box.width
        and face.box.y <= height / 2 <= face.box.y + face.box.height
    ]
    return max(candidates, key=lambda face: face.box.width * face.box.height, default=None)


def _true_label(file: ImageFile, labels: Sequence[str]) -> int | None:
    """Return the index in `labels` of the class of `file`; None where it is not among them."""
    named = re.fullmatch(r"(.+)-\d+\.\w+", file.name)
    names = [name.lower() for name in file.folders or (named[1] if named else "",)]
    known = [label.lower() for label in labels]
    candidates = (each for name in names for each in (name, LABEL_SYNONYMS.get(name)))
    return next((known.index(each) for each in candidates if each in known), None)


def _face_crop(image: NDArray[np.uint8], face: FaceResult) -> NDArray[np.uint8]:
    """Return the box of `face` as a face of a data set: gray, FER2013_FACE_PIXELS a side."""
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
    square = crop(gray, face.box, 0.0)
    return resample(square, effective_resolution=square.shape[0], size=FER2013_FACE_PIXELS)
