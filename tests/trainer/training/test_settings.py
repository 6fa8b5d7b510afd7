"""Each setting is declared once with help and range, and saved in a form that stays valid when files move."""

from dataclasses import fields
from pathlib import Path

import pytest

from tests.support import faces
from trainer.errors import TrainingError
from trainer.training.settings import TrainingSettings, setting_specs


def test_every_setting_is_specified_but_data_and_augmentation():
    without = {field.name for field in fields(TrainingSettings)} - set(setting_specs())
    assert without == {"data", "augmentation"}
    assert all(spec.help for spec in setting_specs().values())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("head_epochs", -1),
        ("batch_size", 0),
        ("input_size", 8),
        ("seed", -1),
        ("dropout", 1.5),
        ("learning_rate", 0.0),
        ("distill_weight", float("nan")),
        ("precision", "float16"),
        ("balance", "full"),
    ],
)
def test_value_out_of_range_is_named(name, value):
    with pytest.raises(TrainingError, match=f"^{name} is '?{value}'?, expected "):
        TrainingSettings(**{name: value})


def test_files_are_saved_by_name():
    settings = TrainingSettings(weights="/home/me/runs/first/best.keras", teachers=(Path("/home/me/runs/first"),))
    values = settings.as_json()
    assert values["weights"] == "best.keras"
    assert values["teachers"] == ["first"]


def test_ferplus_weight_is_0_for_data_without_votes():
    assert TrainingSettings().ferplus_weight > 0
    assert TrainingSettings().for_dataset(faces.tiny()).ferplus_weight == 0
