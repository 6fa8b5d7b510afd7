"""Faces in single images: of a folder, of an upload, of a program that imports this package."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.capture.file import MAX_IMAGE_FILE_BYTES
from edge.config.defaults import DETECTOR, MIN_FACE_SIZE
from edge.config.models import find_model
from edge.config.settings import RunSettings
from edge.detection import registry as detectors
from edge.detection.detector import ImageDetector
from edge.errors import ImageError, SourceNotFoundError, UsageError
from edge.inference.classifier import Classifier
from edge.inference.preprocess import center_square
from edge.inference.smoothing import make_result, strongest_label
from edge.pipeline import StageTimer
from edge.system.bounded_read import read_at_most
from edge.system.image_decoding import decode_image
from edge.system.paths import display_name, expand_path, file_problem
from edge.types import Detection, FaceResult, Frame, FrameResult, Track

# A path, the content of an image file, or an array: uint8, (height, width) gray or (height, width, 3) BGR.
ImageSource: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | NDArray[np.uint8]


class ImageAnalyzer:
    """Detects and classifies the faces in single images; keeps nothing from one image to the next.

    Without arguments it does what `edge run IMAGE` does. It loads the model once: make one, and use it for all images.
    It is not thread-safe: each thread needs its own.

        from edge import ImageAnalyzer

        for face in ImageAnalyzer().analyze("party.jpg"):
            print(face.box, face.label, face.confidence)

    Args:
        detector: as of `edge run --detector`, such as "haar", or an object that detects faces; None: the default one.
        classifier: an object that classifies faces; None: one for `model` and `prior`.
        min_face_size: side of the smallest face to detect, 16 to 640 pixels of an image 640 pixels wide.
        min_confidence: probability below which a face gets no label, 0 to 1; None: that of the model's card.
        model: name or path, as of `edge run --model`; None: the default one.
        prior: expected frequencies of the emotions, as of `edge run --prior`; None: the default of the model's card.
        crops: each image is a face crop as the model was trained on: its largest centered square is the box, without
            detection and without the card's padding, which is for a detector's boxes.

    Attributes:
        labels: of the model, in the order of its outputs.
        min_confidence: as above, never None.

    Raises:
        UsageError: no model or detector has that name, or there is a classifier beside `model` or `prior`.
        SettingsError: a value is out of range or of another type, or the prior does not fit the model.
        ModelError: the file is not a model with a card.
    """

    def __init__(
        self,
        detector: ImageDetector | str | None = None,
        classifier: Classifier | None = None,
        min_face_size: int = MIN_FACE_SIZE,
        min_confidence: float | None = None,
        *,
        model: str | os.PathLike[str] | None = None,
        prior: str | None = None,
        crops: bool = False,
    ) -> None:
        # Checks types and ranges.
        RunSettings(min_face_size=min_face_size, min_confidence=min_confidence, prior=prior)
        if classifier and (model, prior) != (None, None):
            raise UsageError("a classifier has a model and a prior; leave out classifier, or model and prior")
        if crops:
            detector = None
        elif detector is None or isinstance(detector, str):
            detector = detectors.make_image_detector(detector or DETECTOR)
        self._detector = detector
        self._classifier = classifier or Classifier(find_model(None if model is None else str(model)), prior=prior)
        card = self._classifier.card
        self.labels = card.labels
        self._min_face_size = min_face_size
        self.min_confidence = card.min_confidence if min_confidence is None else min_confidence
        self._last_id = 0

    def analyze(self, image: ImageSource) -> tuple[FaceResult, ...]:
        """Return the faces in `image`, the largest first; none: an empty tuple.

        The box of a face is in pixels of the image; of a file, of the image as its EXIF orientation turns it.

            faces = ImageAnalyzer().analyze(cv2.imread("party.jpg"))
            happiest = max(faces, key=lambda face: face.probabilities["happy"])

        Args:
            image: the path of an image file, its content as bytes, or a uint8 array: (height, width) gray, 0 black to
                255 white, or (height, width, 3) BGR as OpenCV has it; of RGB it is `image[..., ::-1]`.

        Raises:
            SourceNotFoundError: there is no such file.
            ImageError: the file is damaged, too large or of no known format, or the array has another shape or type.
        """
        array = load_image(image)
        gray = array if array.ndim == 2 else np.asarray(cv2.cvtColor(array, cv2.COLOR_BGR2GRAY), np.uint8)
        return self.process(Frame(gray, lambda: array, 0.0, 0)).faces

    def process(self, frame: Frame, capture_seconds: float = 0.0) -> FrameResult:
        """Return the result for `frame`: its faces, the largest first, each with a new track id.

        Args:
            capture_seconds: how long the loop waited for the frame.
        """
        timer = StageTimer(capture=max(0.0, capture_seconds), convert=frame.convert_seconds)
        if self._detector is None:
            detections, padding = [Detection(center_square(frame.gray), 1)], 0.0
        else:
            detections, padding = self._detector.detect(frame.gray, self._min_face_size), None
        numbered = enumerate(detections, start=self._last_id + 1)
        tracks = [Track(track_id, face.box, face.roll) for track_id, face in numbered]
        self._last_id += len(tracks)
        timer.end("detect")
        # Flip test-time augmentation, as for tracked faces: see edge.inference.smoothing.
        image = frame.color() if tracks and self._classifier.uses_color else frame.gray
        crops = [
            [
                self._classifier.prepare(image, track.box, flip=flip, roll=track.roll, padding=padding)
                for flip in (False, True)
            ]
            for track in tracks
        ]
        timer.end("crop")
        inferred = [np.mean([self._classifier.classify(face) for face in pair], axis=0) for pair in crops]
        timer.end("classify")
        faces = []
        for track, probabilities in zip(tracks, inferred, strict=True):
            strongest = strongest_label(probabilities, self.min_confidence)
            label = None if strongest is None else self.labels[strongest]
            faces.append(make_result(track, self.labels, probabilities, label, since=frame.time))
        timer.end("smooth")
        return FrameResult(frame, tuple(faces), timer.timings)


def load_image(image: ImageSource) -> NDArray[np.uint8]:
    """Return `image` as a uint8 array, (height, width) gray or (height, width, 3) BGR.

    Raises SourceNotFoundError if there is no such file; ImageError if it, or an array, is no image of this kind.
    """
    if isinstance(image, str | os.PathLike):
        if not os.fspath(image):
            raise SourceNotFoundError("the path of the image is empty; name an image file")
        path = expand_path(Path(image))
        if problem := file_problem(path):
            raise SourceNotFoundError(f"{display_name(path)}: {problem}, expected an image")
        try:
            return decode_image(read_at_most(path, MAX_IMAGE_FILE_BYTES))
        except OSError as error:
            raise ImageError(f"{display_name(path)}: cannot be read ({error.strerror})") from error
        except ImageError as error:
            raise ImageError(f"{display_name(path)}: {error}") from error
    if isinstance(image, bytes | bytearray | memoryview):
        return decode_image(bytes(image))
    array: Any = image
    if not isinstance(array, np.ndarray):
        raise ImageError(
            f"the image is of type {type(array).__name__}; expected a path, the content of a file, or a NumPy array; "
            "of a PIL image it is np.asarray(image.convert('RGB'))[..., ::-1]"
        )
    if array.dtype != np.uint8 or array.ndim not in {2, 3} or array.shape[2:] not in {(), (3,)} or not array.size:
        remedy = {1: "; pass image[..., 0]", 4: "; pass image[..., :3], of RGBA image[..., 2::-1]"}
        raise ImageError(
            f"the image has shape {array.shape} and type {array.dtype}; "
            "expected uint8, (height, width) gray or (height, width, 3) BGR"
            + (remedy.get(array.shape[2], "") if array.ndim == 3 else "")
        )
    return np.ascontiguousarray(array)
