"""The accuracy per crop padding is measured on the boxes of the device's own detector."""

from dataclasses import replace

import numpy as np
import pytest

from edge.inference.classifier import Classifier
from tests.support import faces
from trainer.evaluation import crop_padding
from trainer.evaluation.crop_padding import CropPaddingResult, measure_crop_paddings

DATA = faces.tiny(training=1, public=1, private=0)


@pytest.fixture(scope="module")
def result():
    return measure_crop_paddings(Classifier(faces.SHIPPED), DATA, (-0.3, 0.0))


def test_most_enlarged_faces_have_one_box_of_their_own_size(result):
    assert result.faces == 14
    assert result.detected > 9
    assert 0.8 < result.box_width < 1.15


def test_the_framing_of_the_training_faces_is_the_best(result):
    assert set(result.accuracy) == {-0.3, 0.0}
    assert result.accuracy[0.0] > result.accuracy[-0.3]
    assert result.best == 0.0


def test_a_padding_is_applied_to_the_classified_box(monkeypatch):
    paddings: list[float] = []

    def model_input(*_, padding, **__):
        paddings.append(padding)
        return np.zeros((1, 1))

    class HappyClassifier:
        card = Classifier(faces.SHIPPED).card

        def classify(self, _):
            return np.eye(7, dtype=np.float32)[3]

    monkeypatch.setattr(crop_padding, "model_input", model_input)
    result = measure_crop_paddings(HappyClassifier(), DATA, (0.25,))  # type: ignore[arg-type]
    assert set(paddings) == {0.0, 0.25}
    assert 0 < result.accuracy[0.25] < 0.5


def test_of_equally_good_paddings_the_one_nearest_to_0_is_best():
    assert CropPaddingResult(9, 9, 1.0, 0.5, {-0.1: 0.5, 0.05: 0.5, 0.2: 0.5}).best == 0.05


def test_faces_without_detection_give_zeros():
    data = faces.tiny(training=1, public=0, private=0)
    blank = replace(data, faces=np.full_like(data.faces, 128))
    result = measure_crop_paddings(Classifier(faces.SHIPPED), blank, (0.0,))
    assert result == CropPaddingResult(7, 0, 0.0, 0.0, {0.0: 0.0})
