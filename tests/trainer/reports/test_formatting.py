"""Results are shown as tables whose columns stand below each other and whose figures are the measured ones."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from trainer.evaluation.crop_padding import Margins
from trainer.evaluation.metrics import Result
from trainer.quantization.quantize import Comparison
from trainer.reports import formatting as tables

BEFORE = Result("PublicTest", ("angry", "happy"), np.array([[8, 2], [0, 10]]), 0.3)
AFTER = Result("PublicTest", ("angry", "happy"), np.array([[7, 3], [0, 10]]), 0.4)


COMPARED = Comparison(
    BEFORE,
    AFTER,
    agreement=0.95,
    temperature=0.8125,
    calibration=(0.071, 0.012),
    unsure=0.5,
    covered=0.825,
    accuracy_covered=0.75,
    bytes_before=9_000_000,
    bytes_after=2_734_334,
)


def words(text):
    return [line.split() for line in text.splitlines()]


def test_a_grid_has_its_first_column_to_the_left_and_the_others_to_the_right():
    assert tables.grid([("a", "long", "x"), ("wide", "1", "23")]) == "a     long   x\nwide     1  23"


def test_a_grid_leaves_no_blanks_at_the_end_of_a_line():
    assert tables.grid([("a", ""), ("b", "12")]) == "a\nb  12"


def test_a_result_shows_split_size_accuracy_with_interval_and_macro_f1():
    head = tables.result(BEFORE).splitlines()[0]
    assert head == "PublicTest: 20 faces, accuracy 0.9000 (95 %: 0.6990 to 0.9721), macro-F1 0.8990"


def test_a_result_shows_each_class_with_precision_recall_f1_and_faces():
    lines = words(tables.result(BEFORE))
    assert ["class", "precision", "recall", "F1", "faces"] in lines
    assert ["angry", "1.000", "0.800", "0.889", "10"] in lines
    assert ["happy", "0.833", "1.000", "0.909", "10"] in lines


def test_a_result_shows_the_confusion_with_the_true_labels_in_rows():
    lines = words(tables.result(BEFORE))
    assert lines[-3:] == [["true", "\\", "predicted", "angry", "happy"], ["angry", "8", "2"], ["happy", "0", "10"]]


def test_a_comparison_shows_float_and_int8_side_by_side():
    lines = words(tables.comparison(COMPARED))
    assert lines[0] == ["float", "int8"]
    assert ["file,", "bytes", "9,000,000", "2,734,334"] in lines
    assert ["PublicTest", "accuracy", "0.9000", "0.8500"] in lines
    assert ["PublicTest", "macro-F1", "0.8990", "0.8465"] in lines
    assert ["F1", "angry", "0.889", "0.824"] in lines


def test_a_comparison_ends_with_agreement_and_the_class_that_lost_most():
    assert COMPARED.worst[0] == "angry"
    lines = tables.comparison(COMPARED).splitlines()
    assert lines[-2] == "they agree on 95.0% of 20 faces; worst class: angry, F1 -0.065"


def test_a_comparison_says_what_calibration_changed_and_what_doubt_costs():
    last = tables.comparison(COMPARED).splitlines()[-1]
    assert last.startswith("temperature 0.812: expected calibration error 0.071 -> 0.012; confident of at least 50% ")
    assert last.endswith("on 82.5% of the faces, right on 75.0% of those")


def test_margins_are_listed_with_the_best_one_marked():
    found = Margins(faces=100, found=80, width=0.97, whole=0.7, accuracy={-0.1: 0.6, 0.0: 0.68, 0.1: 0.65})
    lines = words(tables.margins(found))
    assert lines[0][:3] == ["80", "of", "100"]
    assert lines[-3:] == [["-0.10", "0.6000"], ["+0.00", "0.6800", "<-", "best"], ["+0.10", "0.6500"]]


def test_speeds_are_shown_in_pairs_with_their_ratio():
    found: Any = SimpleNamespace(made=9000, made_by_keras=2500, steps=3.0, steps_on_constant=3.1)
    lines = words(tables.speeds(found))
    assert lines[1][-3:] == ["9,000", "2,500", "3.60"]
    assert lines[2][-3:] == ["3.00", "3.10", "0.97"]


def test_robustness_has_a_line_for_each_condition_and_a_column_for_each_model():
    found = {"a.tflite": {"as it is": BEFORE, "dark": AFTER}, "a.keras": {"as it is": BEFORE, "dark": BEFORE}}
    lines = words(tables.robustness(found))
    assert lines[0][-2:] == ["a.tflite", "a.keras"]
    assert lines[2] == ["dark", "0.8500", "(0.847)", "0.9000", "(0.899)"]
