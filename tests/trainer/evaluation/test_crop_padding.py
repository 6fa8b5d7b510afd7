"""The margin is measured on the boxes that the device's own search finds."""

import numpy as np
import pytest

from edge.inference.classifier import Classifier
from tests.support import faces
from trainer.evaluation import crop_padding as margin
from trainer.evaluation.crop_padding import Margins, measure_margins

DATA = faces.tiny(training=1, public=1, private=0)


@pytest.fixture(scope="module")
def found():
    return measure_margins(Classifier(faces.SHIPPED), DATA, (-0.3, 0.0))


def test_boxes_are_found_in_most_of_the_enlarged_faces_and_framed_like_them(found):
    assert found.faces == 14
    assert found.found > 9
    assert 0.8 < found.width < 1.15


def test_the_margin_of_the_training_faces_own_framing_is_the_best(found):
    assert set(found.accuracy) == {-0.3, 0.0}
    assert found.accuracy[0.0] > found.accuracy[-0.3]
    assert found.best == 0.0


def test_a_margin_widens_the_box_that_is_classified(monkeypatch):
    seen: list[float] = []

    def model_input(*_, margin, **__):
        seen.append(margin)
        return np.zeros((1, 1))

    monkeypatch.setattr(margin, "model_input", model_input)

    class Says:
        card = Classifier(faces.SHIPPED).card

        def scores(self, _):
            return np.eye(7, dtype=np.float32)[0]

    measure_margins(Says(), DATA.take(np.arange(2)), (0.25,))  # type: ignore[arg-type]
    assert set(seen) == {0.0, 0.25}


def test_of_equally_good_margins_the_one_nearest_to_none_is_the_best():
    assert Margins(9, 9, 1.0, 0.5, {-0.1: 0.5, 0.05: 0.5, 0.2: 0.5}).best == 0.05


def test_faces_in_which_nothing_is_found_give_no_figures():
    blank = faces.tiny(training=1, public=0, private=0)
    blank.faces[:] = 128
    found = measure_margins(Classifier(faces.SHIPPED), blank, (0.0,))
    assert (found.found, found.width, found.whole, found.accuracy) == (0, 0.0, 0.0, {0.0: 0.0})
