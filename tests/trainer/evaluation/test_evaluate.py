"""All that is measured of a model agrees with its parts, and the second model sees the same faces."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edge.inference import model_file as cards
from tests.support import faces
from trainer.data.dataset import PUBLIC_TEST
from trainer.errors import DataError
from trainer.evaluation import corruptions as robustness
from trainer.evaluation.evaluate import facts, judge
from trainer.evaluation.metrics import evaluate, measure
from trainer.reports import formatting as tables

DATA = faces.tiny()


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """The shipped model under another card: unsure below 90 %."""
    model, card = cards.load(faces.SHIPPED)
    path = tmp_path_factory.mktemp("second") / "second.tflite"
    cards.attach(model, replace(card, unsure=0.9), path)
    return path


def test_the_result_is_that_of_evaluate():
    found = judge(faces.SHIPPED, DATA, PUBLIC_TEST)
    assert found.result.as_json() == evaluate(faces.SHIPPED, DATA, PUBLIC_TEST).as_json()
    assert (found.robustness, found.ferplus, len(found.models)) == ({}, None, 1)


def test_the_threshold_is_the_cards_own(second):
    assert judge(second, DATA, PUBLIC_TEST).unsure == 0.9
    sure = judge(second, DATA, PUBLIC_TEST).models[0].scores.max(axis=1) >= 0.9
    assert judge(second, DATA, PUBLIC_TEST).answered[0] == pytest.approx(sure.mean())


def test_each_model_is_measured_under_each_condition(second):
    found = judge(faces.SHIPPED, DATA, PUBLIC_TEST, beside=second, robust=True)
    assert list(found.robustness) == ["emotion.tflite", "second.tflite"]
    assert list(found.robustness["emotion.tflite"]) == list(robustness.conditions())
    noisy = evaluate(faces.SHIPPED, robustness.under(DATA, robustness.dim), PUBLIC_TEST)
    dark = found.robustness["emotion.tflite"]["dark (1/4 light)"]
    assert abs(dark.accuracy - noisy.accuracy) < 0.08  # all splits were corrupted there, only PublicTest here
    assert np.array_equal(found.robustness["second.tflite"]["as it is"].confusion, found.result.confusion)


def test_two_files_of_the_same_name_are_told_apart_by_their_folders(tmp_path):
    other = tmp_path / faces.SHIPPED.name
    other.write_bytes(faces.SHIPPED.read_bytes())
    names = [model.name for model in judge(faces.SHIPPED, DATA, PUBLIC_TEST, beside=other).models]
    assert names == [str(faces.SHIPPED), str(other)]


def test_the_result_of_two_looks_is_of_the_mean_of_a_face_and_of_the_same_mirrored_and_tighter():
    found = judge(faces.SHIPPED, DATA, PUBLIC_TEST, two_looks=True)
    assert DATA.side == 48
    again = replace(DATA, faces=np.ascontiguousarray(DATA.faces[:, 2:47, 2:47][:, :, ::-1]))  # 3 % less on each side
    mean = (found.models[0].scores + judge(faces.SHIPPED, again, PUBLIC_TEST).models[0].scores) / 2
    assert found.two_looks is not None
    assert found.two_looks.as_json() == measure(mean.astype(np.float32), found.rows).as_json()
    assert found.two_looks.loss != found.result.loss
    assert found.as_json()["two_looks"]["accuracy"] == found.two_looks.accuracy
    assert f"two looks at each face: accuracy {found.two_looks.accuracy:.4f}" in tables.judged(found)
    assert judge(faces.SHIPPED, DATA, PUBLIC_TEST).two_looks is None


def test_votes_hold_the_model_against_their_majority():
    votes = np.zeros((len(DATA), 10), np.uint8)
    votes[:, 1] = 10  # happiness, all of them
    found = judge(faces.SHIPPED, replace(DATA, ferplus_votes=votes), PUBLIC_TEST)
    said = found.models[0].scores.argmax(axis=1) == DATA.class_names.index("happy")
    assert found.ferplus is not None
    assert found.ferplus.n == 14
    assert found.ferplus.accuracy == pytest.approx(said.mean())


def test_a_second_model_of_other_labels_is_refused(tmp_path):
    model, card = cards.load(faces.SHIPPED)
    cards.attach(model, replace(card, labels=tuple("abcdefg")), tmp_path / "other.tflite")
    with pytest.raises(DataError, match="the model's labels are a, b, c"):
        judge(faces.SHIPPED, DATA, PUBLIC_TEST, beside=tmp_path / "other.tflite")


def test_as_json_all_of_it_is_plain(second):
    votes = np.ones((len(DATA), 10), np.uint8)
    votes[:, 0] = 3
    found = judge(faces.SHIPPED, replace(DATA, ferplus_votes=votes), PUBLIC_TEST, beside=second, robust=True).as_json()
    again = json.loads(json.dumps(found))
    assert again["robustness"]["second.tflite"]["20 px faces"]["accuracy"] <= 1
    assert {"calibration_error", "unsure", "ferplus_majority", "beside", "accuracy", "confusion"} <= set(again)


def test_what_is_said_of_the_file_is_its_cards(second):
    about = facts(second)
    assert about["unsure"] == "below 90%"
    assert len(about["SHA-256"]) == 64
    assert about["bytes"] == f"{second.stat().st_size:,}"
