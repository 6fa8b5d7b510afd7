"""Single images: detection with the densest search, no memory from one image to the next, made on first use."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge.config.models import shipped_model
from edge.detection.haar import HaarDetector
from edge.detection.image_search import ImageSearch
from edge.image_analyzer import ImageAnalyzer
from edge.inference import model_file
from edge.inference.classifier import Classifier
from edge.inference.preprocess import flip_crop, resample
from edge.types import Box
from tests.support.fakes import frame
from tests.support.images import PORTRAIT_FACE, draw_faces


@pytest.fixture(scope="module")
def analyzer(classifier):
    return ImageAnalyzer(ImageSearch(HaarDetector()), classifier)


def test_color_and_gray_image_give_the_same_face(analyzer, portrait):
    gray = np.asarray(cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY), np.uint8)
    (of_color,), (of_gray,) = analyzer.analyze(portrait), analyzer.analyze(gray)
    assert of_color.box == of_gray.box
    assert of_color.box.iou(PORTRAIT_FACE) > 0.7
    assert of_color.probabilities == of_gray.probabilities
    assert of_color.label == "happy"


def test_probabilities_have_the_labels_of_the_model(analyzer, classifier, portrait):
    (face,) = analyzer.analyze(portrait)
    assert tuple(face.probabilities) == classifier.card.labels
    assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-4)
    assert face.confidence == face.probabilities[face.label]


def test_images_are_independent_of_one_another(analyzer, portrait):
    first, none, again = (analyzer.analyze(image) for image in (portrait, np.zeros_like(portrait), portrait))
    assert none == ()
    assert (first[0].probabilities, first[0].box) == (again[0].probabilities, again[0].box)
    assert again[0].track_id == first[0].track_id + 1


def test_largest_face_comes_first(analyzer, portrait):
    small = cv2.resize(portrait, None, fx=0.5, fy=0.5)
    both = np.zeros((512, 768, 3), np.uint8)
    both[:256, :256], both[:, 256:] = small, portrait
    widths = [face.box.width for face in analyzer.analyze(both)]
    assert len(widths) == 2
    assert widths == sorted(widths, reverse=True)


def test_face_below_the_minimum_confidence_has_no_label(classifier, portrait):
    (face,) = ImageAnalyzer(ImageSearch(HaarDetector()), classifier, min_confidence=1.0).analyze(portrait)
    assert face.label is None
    assert face.confidence == max(face.probabilities.values())


def test_defaults_are_cascade_model_and_prior_of_the_package(portrait):
    analyzer = ImageAnalyzer(ImageSearch(HaarDetector()), Classifier(shipped_model(), prior=None))
    (expected,), (face,) = analyzer.analyze(portrait), ImageAnalyzer().analyze(portrait)
    assert (face.box, face.probabilities, face.label) == (expected.box, expected.probabilities, expected.label)


@pytest.mark.parametrize(("height", "width", "box"), [(48, 48, (0, 0, 48, 48)), (48, 61, (6, 0, 48, 48))])
def test_a_crop_is_its_largest_centered_square(classifier, height, width, box):
    image = draw_faces(size=(width, height))  # no face that could be detected
    (face,) = ImageAnalyzer(classifier=classifier, crops=True).analyze(image)
    assert face.box == Box(*box)


def test_a_crop_is_classified_without_padding(portrait, tmp_path):
    model, card = model_file.load(shipped_model())
    model_file.attach(model, replace(card, crop_padding=0.3), tmp_path / "padded.tflite")
    padded = Classifier(tmp_path / "padded.tflite")
    gray = np.asarray(cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY), np.uint8)[60:160, 175:275]
    (face,) = ImageAnalyzer(classifier=padded, crops=True).analyze(gray)
    size = {"effective_resolution": card.effective_resolution, "size": card.input_size}
    both = [padded.classify(resample(crop, **size)) for crop in (gray, flip_crop(gray))]
    assert list(face.probabilities.values()) == pytest.approx(np.mean(both, axis=0).tolist(), rel=1e-4)
    with_padding = padded.classify(padded.prepare(gray, face.box))
    assert list(face.probabilities.values()) != pytest.approx(with_padding.tolist())


def test_each_crop_has_a_new_track_id(classifier):
    analyzer = ImageAnalyzer(classifier=classifier, crops=True)
    crop = draw_faces(size=(48, 48))
    assert [face.track_id for _ in range(3) for face in analyzer.analyze(crop)] == [1, 2, 3]


def test_result_keeps_the_frame_its_time_and_all_timings(analyzer, portrait):
    gray = np.ascontiguousarray(portrait[..., 1])
    image = replace(frame(time=2.5, index=3, source_name="a.png"), gray=gray, convert_seconds=0.25)
    result = analyzer.process(image, capture_seconds=-0.1)
    assert result.frame is image
    assert [face.since for face in result.faces] == [2.5]
    assert (result.timings["capture"], result.timings["convert"]) == (0.0, 0.25)
    assert min(result.timings[stage] for stage in ("detect", "crop", "classify")) > 0
