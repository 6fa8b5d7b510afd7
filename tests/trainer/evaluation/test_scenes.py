"""Scenes with known faces: what is found, missed, extra and mistaken, in both layouts of a folder."""

import json
from typing import Any

import numpy as np
import pytest

from edge.image_analyzer import ImageAnalyzer
from edge.types import Box, FaceResult
from tests.support import faces
from tests.support.fakes import FakeClock
from tests.support.image_files import encode, tiff_header
from tests.support.scenes import CLOSE_UP, DISTANT, KNOWN, ROOM, write_scenes
from trainer.data.dataset import FER2013_LABELS
from trainer.data.image_decoding import decode_color
from trainer.errors import DataError
from trainer.evaluation.scenes import center_face, evaluate_scenes, list_scenes

HAPPY, SAD = 3, 4  # of FER2013's labels


@pytest.fixture(scope="module")
def analyzer(classifier):
    return ImageAnalyzer(classifier=classifier)


@pytest.fixture(scope="module")
def known(analyzer, tmp_path_factory):
    return evaluate_scenes(analyzer, write_scenes(tmp_path_factory.mktemp("known"), KNOWN), "m.tflite")


def write_invalid(folder):
    """Write the known scenes, one that does not decode and two of an unknown class."""
    write_scenes(folder, KNOWN)
    (folder / "happy-0009.png").write_bytes(b"broken")
    return write_scenes(folder, {"calm": [CLOSE_UP, CLOSE_UP]})


def face_result(*box):
    return FaceResult(1, Box(*box), {"happy": 1.0}, "happy", 1.0)


# --- what is counted ------------------------------------------------------------------------------------------------


def test_found_missed_extra_and_wrong_faces_are_counted(known):
    scenes = known.scenes
    assert scenes.images.tolist() == [0, 0, 0, 3, 2, 0, 0]
    assert scenes.found.support.tolist() == [0, 0, 0, 2, 1, 0, 0]
    assert scenes.extra_faces == 2
    assert scenes.found.confusion[HAPPY].tolist() == [0, 0, 0, 2, 0, 0, 0]
    assert scenes.found.confusion[SAD].tolist() == [0, 0, 0, 1, 0, 0, 0]


def test_a_missed_face_is_wrong_in_the_accuracy_of_all(known):
    assert known.scenes.accuracy == pytest.approx(2 / 5)
    assert known.scenes.detection_rate == pytest.approx(3 / 5)
    assert known.model.metrics.accuracy == pytest.approx(2 / 3)
    low, high = known.scenes.accuracy_interval
    assert low < 2 / 5 < high < 0.8


def test_macro_recall_is_the_mean_of_the_classes_with_images(known):
    assert known.scenes.recall[[HAPPY, SAD]] == pytest.approx([2 / 3, 0])
    assert known.scenes.detection_rates[[HAPPY, SAD]] == pytest.approx([2 / 3, 1 / 2])
    assert known.scenes.macro_recall == pytest.approx(1 / 3)


def test_probabilities_are_those_of_the_analyzer(known, analyzer):
    (face,) = analyzer.analyze(CLOSE_UP)
    assert known.model.probabilities[0] == pytest.approx(list(face.probabilities.values()))
    assert known.dataset.faces.shape == (3, 48, 48)
    assert known.dataset.labels.tolist() == [HAPPY, HAPPY, SAD]


def test_time_is_the_mean_of_the_images_without_decoding(monkeypatch, tmp_path):
    clock, seconds = FakeClock(), iter((0.1, 0.3, 0.2))

    class SlowAnalyzer:
        labels, min_confidence = FER2013_LABELS, 0.5

        def analyze(self, _):
            clock.now += next(seconds)
            return [FaceResult(1, Box(0, 0, *CLOSE_UP.shape[1::-1]), dict.fromkeys(FER2013_LABELS, 1 / 7), None, 1 / 7)]

    def decode(content):
        clock.now += 5
        return decode_color(content)

    monkeypatch.setattr("trainer.evaluation.scenes.time", clock)
    monkeypatch.setattr("trainer.evaluation.scenes.decode_color", decode)
    analyzer: Any = SlowAnalyzer()
    scenes = evaluate_scenes(analyzer, write_scenes(tmp_path, {"happy": [CLOSE_UP] * 3}), "m.tflite").scenes
    assert scenes
    assert scenes.milliseconds == pytest.approx(200)


def test_class_folders_and_file_names_give_the_same_evaluation(known, analyzer, tmp_path):
    folder = write_scenes(tmp_path, KNOWN, class_folders=True)
    other = evaluate_scenes(analyzer, folder, "m.tflite")
    assert other.scenes
    assert np.array_equal(other.model.probabilities, known.model.probabilities)
    assert other.scenes.as_json() | {"image_ms": 0} == known.scenes.as_json() | {"image_ms": 0}


def test_a_folder_takes_precedence_over_the_file_name(analyzer, tmp_path):
    write_scenes(tmp_path / "sad", {"happy": [CLOSE_UP]})
    assert evaluate_scenes(analyzer, tmp_path, "m.tflite").dataset.labels.tolist() == [SAD]


def test_folders_below_a_class_belong_to_it(tmp_path):
    for name in ("happy/anna/1.png", "sad/happy/1.png", "photos/Anger/bob/2021/1.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"not read")
    found = {file.name: label for file, label in list_scenes(tmp_path, ("angry", "happy", "sad"))}
    assert found == {"happy/anna/1.png": 1, "sad/happy/1.png": 2, "photos/Anger/bob/2021/1.png": 0}


@pytest.mark.parametrize("name", ["Happiness", "happy", "HAPPY"])
def test_a_synonym_in_any_case_is_its_class(name, analyzer, tmp_path):
    folder = write_scenes(tmp_path, {name: [CLOSE_UP]})
    assert evaluate_scenes(analyzer, folder, "m.tflite").dataset.labels.tolist() == [HAPPY]


def test_the_threshold_is_that_of_the_analyzer(classifier, tmp_path):
    folder = write_scenes(tmp_path, {"happy": [CLOSE_UP]})
    for threshold, coverage in ((0.0, 1.0), (1.0, 0.0)):
        evaluation = evaluate_scenes(ImageAnalyzer(classifier=classifier, min_confidence=threshold), folder, "m.tflite")
        assert evaluation.coverage(evaluation.model)[0] == coverage


def test_json_has_the_figures_of_all_images_beside_those_found(known):
    values = json.loads(json.dumps(known.as_json()))
    assert (values["n"], values["split"]) == (3, "detected faces")
    assert values["accuracy"] == pytest.approx(2 / 3)
    scenes = values["scenes"]
    assert (scenes["images"], scenes["found"], scenes["extra_faces"], scenes["skipped"]) == (5, 3, 2, 0)
    assert scenes["accuracy"] == pytest.approx(2 / 5)
    assert scenes["per_class"]["happy"] == {"images": 3, "found": 2, "recall": pytest.approx(2 / 3)}


# --- the face of an image -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([], None),
        ([(40, 40, 30, 30)], 0),
        ([(40, 40, 24, 24)], None),  # narrower than a quarter
        ([(0, 40, 49, 49)], None),  # left of the center
        ([(40, 0, 49, 49)], None),  # above it
        ([(50, 50, 50, 50)], 0),  # the center is on the border of the box
        ([(40, 40, 30, 30), (20, 20, 60, 60), (60, 60, 40, 40)], 1),  # the largest
    ],
)
def test_the_face_covers_the_center_and_a_quarter_of_the_width(boxes, expected):
    results = [face_result(*box) for box in boxes]
    assert center_face(results, 100, 100) is (None if expected is None else results[expected])


def test_the_width_of_the_image_counts_not_its_height():
    assert center_face([face_result(180, 30, 40, 40)], 400, 100) is None
    assert center_face([face_result(30, 180, 40, 40)], 100, 400) is not None


# --- invalid images -------------------------------------------------------------------------------------------------


def test_an_image_that_does_not_decode_is_named(analyzer, tmp_path):
    write_scenes(tmp_path, {"happy": [CLOSE_UP]})
    (tmp_path / "happy-0002.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"happy-0002\.png: cannot be decoded.*--skip-invalid$"):
        evaluate_scenes(analyzer, tmp_path, "m.tflite")


def test_an_image_of_too_many_pixels_is_named_or_skipped(analyzer, tmp_path):
    write_scenes(tmp_path, {"happy": [CLOSE_UP]})
    (tmp_path / "happy-0002.tif").write_bytes(tiff_header(40_000, 40_000))
    with pytest.raises(DataError, match=r"happy-0002\.tif: .*40000 x 40000 pixels; .*--skip-invalid$"):
        evaluate_scenes(analyzer, tmp_path, "m.tflite")
    assert evaluate_scenes(analyzer, tmp_path, "m.tflite", skip_invalid=True).dataset.skipped == 1


def test_a_gif_of_a_scene_is_evaluated(analyzer, tmp_path):
    (tmp_path / "happy-0001.gif").write_bytes(encode(CLOSE_UP, "GIF"))
    assert evaluate_scenes(analyzer, tmp_path, "m.tflite").model.metrics.n == 1


def test_images_of_unknown_classes_are_named_and_counted(analyzer, tmp_path):
    with pytest.raises(
        DataError, match=r"calm-0001\.png: .*angry, .*\(2 of 8 images\); expected CLASS/\* or .*--skip-invalid$"
    ):
        evaluate_scenes(analyzer, write_invalid(tmp_path), "m.tflite")


def test_a_name_without_a_number_has_no_class(analyzer, tmp_path):
    write_scenes(tmp_path, {"happy": [CLOSE_UP]})
    (tmp_path / "happy-0001.png").rename(tmp_path / "happy.png")
    with pytest.raises(DataError, match=r"happy\.png: its class"):
        evaluate_scenes(analyzer, tmp_path, "m.tflite")


def test_invalid_images_are_skipped_and_counted(known, analyzer, tmp_path):
    evaluation = evaluate_scenes(analyzer, write_invalid(tmp_path), "m.tflite", skip_invalid=True)
    assert evaluation.scenes
    assert evaluation.dataset.skipped == evaluation.scenes.skipped == 3
    assert evaluation.scenes.images.tolist() == known.scenes.images.tolist()


@pytest.mark.parametrize("content", ["nothing", "text", "file"])
def test_a_folder_without_images_is_refused(content, analyzer, tmp_path):
    if content == "text":
        (tmp_path / "happy-1.txt").write_text("no image")
    folder = faces.SHIPPED if content == "file" else tmp_path
    with pytest.raises(DataError, match="no images found"):
        evaluate_scenes(analyzer, folder, "m.tflite")


def test_no_face_in_any_image_is_an_error_with_their_number(analyzer, tmp_path):
    with pytest.raises(DataError, match="no face was found in 2 images"):
        evaluate_scenes(analyzer, write_scenes(tmp_path, {"happy": [DISTANT, ROOM]}), "m.tflite")
