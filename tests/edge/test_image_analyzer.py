"""A picture that somebody tries is read apart from the run: by another search and model, loaded when it comes."""

import threading

import cv2
import numpy as np

from edge.detection.haar import Detector
from edge.image_analyzer import StillReader
from edge.inference.smoothing import Steadier
from edge.pipeline import Pipeline
from edge.tracking.tracker import Tracker
from tests.conftest import FACE, seen


def reader(classifier, made):
    def make():
        made.append(1)
        return Pipeline(Tracker(Detector()), classifier, Steadier(), classifier.card.labels)

    return StillReader(make)


def test_a_picture_in_colour_and_one_in_grey_give_the_face(classifier, portrait):
    read = reader(classifier, [])
    for picture in (portrait, np.asarray(cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY), np.uint8)):
        (found,) = read(picture)
        assert found.box.overlap(FACE) > 0.7
        assert set(found.scores) == set(classifier.card.labels)


def test_pictures_have_nothing_to_do_with_one_another(classifier, portrait):
    read = reader(classifier, [])
    first, nothing, again = read(portrait), read(np.zeros_like(portrait)), read(portrait)
    assert nothing == ()
    assert (first[0].scores, first[0].box) == (again[0].scores, again[0].box)


def test_nothing_is_loaded_before_the_first_picture_and_nothing_twice(classifier, portrait):
    made: list[int] = []
    read = reader(classifier, made)
    assert made == []
    read(portrait)
    read(portrait)
    assert made == [1]


def test_pictures_of_several_threads_are_read_one_after_the_other(portrait):
    busy, most, turn = 0, 0, threading.Lock()
    together = threading.Barrier(4)

    class Counting:
        def observe(self, _):
            nonlocal busy, most
            with turn:
                busy += 1
                most = max(most, busy)
            threading.Event().wait(0.02)  # for another one to come in, if it can
            with turn:
                busy -= 1
            return seen()

    read = StillReader(Counting)  # type: ignore[arg-type]

    def ask():
        together.wait()
        read(portrait)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
