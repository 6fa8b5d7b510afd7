"""An image that somebody tries is read apart from the run: by another search and model, loaded when it comes."""

import threading

import cv2
import numpy as np

from edge.detection.haar import HaarDetector
from edge.image_analyzer import ImageAnalyzer
from edge.inference.smoothing import TemporalSmoother
from edge.pipeline import Pipeline
from edge.tracking.tracker import Tracker
from tests.support.fakes import frame_result
from tests.support.images import PORTRAIT_FACE


def reader(classifier, made):
    def make():
        made.append(1)
        return Pipeline(Tracker(HaarDetector()), classifier, TemporalSmoother(), classifier.card.labels)

    return ImageAnalyzer(make)


def test_a_image_in_color_and_one_in_gray_give_the_face(classifier, portrait):
    read = reader(classifier, [])
    for image in (portrait, np.asarray(cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY), np.uint8)):
        (found,) = read(image)
        assert found.box.iou(PORTRAIT_FACE) > 0.7
        assert set(found.probabilities) == set(classifier.card.labels)


def test_images_have_nothing_to_do_with_one_another(classifier, portrait):
    read = reader(classifier, [])
    first, nothing, again = read(portrait), read(np.zeros_like(portrait)), read(portrait)
    assert nothing == ()
    assert (first[0].probabilities, first[0].box) == (again[0].probabilities, again[0].box)


def test_nothing_is_loaded_before_the_first_image_and_nothing_twice(classifier, portrait):
    made: list[int] = []
    read = reader(classifier, made)
    assert made == []
    read(portrait)
    read(portrait)
    assert made == [1]


def test_images_of_several_threads_are_read_one_after_the_other(portrait):
    busy, most, turn = 0, 0, threading.Lock()
    together = threading.Barrier(4)

    class Counting:
        def process(self, _):
            nonlocal busy, most
            with turn:
                busy += 1
                most = max(most, busy)
            threading.Event().wait(0.02)  # for another one to come in, if it can
            with turn:
                busy -= 1
            return frame_result()

    read = ImageAnalyzer(Counting)  # type: ignore[arg-type]

    def ask():
        together.wait()
        read(portrait)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
