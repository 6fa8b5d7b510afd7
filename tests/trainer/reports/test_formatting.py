"""Results are shown as aligned tables with the measured values."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.support import faces
from trainer.data.dataset import PUBLIC_TEST
from trainer.evaluation.crop_padding import CropPaddingResult
from trainer.evaluation.evaluate import Evaluation, ModelResult
from trainer.evaluation.metrics import Metrics, compute_metrics
from trainer.quantization.quantize import QuantizationResult
from trainer.reports import formatting

GOOD = Metrics("PublicTest", ("angry", "happy"), np.array([[8, 2], [0, 10]]), 0.3)
WORSE = Metrics("PublicTest", ("angry", "happy"), np.array([[7, 3], [0, 10]]), 0.4)
QUANTIZED = QuantizationResult(
    GOOD,
    WORSE,
    agreement=0.95,
    temperature=0.8125,
    uncalibrated_error=0.071,
    calibrated_error=0.012,
    min_confidence=0.5,
    coverage=0.825,
    selective_accuracy=0.75,
    float_bytes=9_000_000,
    int8_bytes=2_734_334,
)


def words(text):
    return [line.split() for line in text.splitlines()]


# --- tables and metrics ---------------------------------------------------------------------------------------------


def test_a_table_aligns_its_first_column_left_the_others_right():
    assert formatting.format_table([("a", "long", "x"), ("wide", "1", "23")]) == "a     long   x\nwide     1  23"


def test_a_table_has_no_blanks_at_the_end_of_a_line():
    assert formatting.format_table([("a", ""), ("b", "12")]) == "a\nb  12"


def test_metrics_begin_with_split_size_accuracy_and_macro_f1():
    head = formatting.format_metrics(GOOD).splitlines()[0]
    assert head == "PublicTest: 20 faces, accuracy 0.9000 (95 % CI 0.6990 to 0.9721), macro-F1 0.8990"


def test_metrics_have_a_line_per_class():
    lines = words(formatting.format_metrics(GOOD))
    assert ["class", "precision", "recall", "F1", "faces"] in lines
    assert ["angry", "1.000", "0.800", "0.889", "10"] in lines
    assert ["happy", "0.833", "1.000", "0.909", "10"] in lines


def test_metrics_have_a_confusion_matrix_of_true_rows():
    lines = words(formatting.format_metrics(GOOD))
    assert lines[-3:] == [["true", "\\", "predicted", "angry", "happy"], ["angry", "8", "2"], ["happy", "0", "10"]]


# --- evaluation -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evaluation():
    """Of two faces, one correct with a confidence of 90 %, one wrong with 60 %."""
    rows = faces.tiny(training=0, public=1, private=0, class_names=("angry", "disgust")).split(PUBLIC_TEST)
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4]], np.float32)
    model = ModelResult("a.tflite", probabilities, compute_metrics(probabilities, rows))
    return Evaluation(rows, (model,), 0.7)


def test_an_evaluation_has_calibration_and_selective_accuracy(evaluation):
    last = formatting.format_evaluation(evaluation).splitlines()[-1]
    # Confidence 90 % and correct, 60 % and wrong: gaps of 0.1 and 0.6.
    assert last.startswith(
        "expected calibration error 0.3500 (0.3500 cross-fitted), temperature that would fit these faces 1.05;"
    )
    assert last.endswith("at threshold 0.7: coverage 50.0 %, selective accuracy 100.0 %")


def test_an_evaluation_has_only_the_parts_that_were_measured(evaluation):
    other = ModelResult("b.keras", evaluation.model.probabilities[::-1], GOOD)
    full = Evaluation(
        evaluation.dataset,
        (evaluation.model, other),
        0.7,
        corruptions={"a.tflite": {"original": GOOD}},
        ferplus=WORSE,
        flip_tta=GOOD,
        unseen=Metrics("PublicTest", ("angry", "happy"), np.array([[4, 1], [0, 10]]), 0.4),
    )
    few, all_parts = (formatting.format_evaluation(each).split("\n\n") for each in (evaluation, full))
    assert all_parts[: len(few)] == few
    unseen, compared, tta, ferplus, corruptions = all_parts[len(few) :]
    assert unseen == "on the 15 faces that are not in Training: accuracy 0.9333, macro-F1 0.9206"
    assert compared == "b.keras: accuracy 0.9000, macro-F1 0.8990; agreement 100.0 %"
    assert tta == "flip TTA: accuracy 0.9000, macro-F1 0.8990"
    assert ferplus == "FER+ majority: 20 faces, accuracy 0.8500, macro-F1 0.8465"
    assert corruptions == formatting.format_corruptions(full.corruptions)


def test_corruptions_have_a_line_each_and_a_column_per_model():
    by_model = {"a.tflite": {"original": GOOD, "dark": WORSE}, "a.keras": {"original": GOOD, "dark": GOOD}}
    lines = words(formatting.format_corruptions(by_model))
    assert lines[0][-2:] == ["a.tflite", "a.keras"]
    assert lines[2] == ["dark", "0.8500", "(0.847)", "0.9000", "(0.899)"]


# --- quantization, crop padding, input benchmark --------------------------------------------------------------------


def test_quantization_shows_float_and_int8_in_columns():
    lines = words(formatting.format_quantization(QUANTIZED))
    assert lines[0] == ["float", "int8"]
    assert ["file,", "bytes", "9,000,000", "2,734,334"] in lines
    assert ["PublicTest", "accuracy", "0.9000", "0.8500"] in lines
    assert ["PublicTest", "macro-F1", "0.8990", "0.8465"] in lines
    assert ["F1", "angry", "0.889", "0.824"] in lines


def test_quantization_names_agreement_and_the_largest_change():
    name, loss = QUANTIZED.largest_f1_loss
    assert (name, round(loss, 4)) == ("angry", 0.0654)
    line = formatting.format_quantization(QUANTIZED).splitlines()[-2]
    assert line == "agreement 95.0 % of 20 faces; largest change: angry, F1 -0.065"


def test_quantization_ends_with_calibration_and_coverage():
    last = formatting.format_quantization(QUANTIZED).splitlines()[-1]
    assert last.startswith("temperature 0.812: expected calibration error 0.071 -> 0.012; ")
    assert last.endswith("at threshold 0.5: coverage 82.5 %, selective accuracy 75.0 % (both cross-fitted)")


def test_crop_paddings_are_listed_with_the_best_one_marked():
    accuracy = {-0.1: 0.6, 0.0: 0.68, 0.1: 0.65}
    result = CropPaddingResult(faces=100, detected=80, box_width=0.97, baseline_accuracy=0.7, accuracy=accuracy)
    lines = words(formatting.format_crop_paddings(result))
    assert lines[0][:3] == ["80", "of", "100"]
    assert "0.97" in lines[0]
    assert lines[1][-1] == "0.7000"
    assert lines[-3:] == [["-0.10", "0.6000"], ["+0.00", "0.6800", "<-", "best"], ["+0.10", "0.6500"]]


def test_the_input_benchmark_shows_pairs_with_their_ratio():
    speed: Any = SimpleNamespace(
        images=9000, keras_images=2500, image_ratio=3.6, steps=3.0, constant_steps=3.1, step_ratio=0.9677
    )
    lines = words(formatting.format_input_benchmark(speed))
    assert lines[1][-3:] == ["9,000", "2,500", "3.60"]
    assert lines[2][-3:] == ["3.00", "3.10", "0.97"]
