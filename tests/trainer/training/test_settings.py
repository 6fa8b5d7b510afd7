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
        ("input_size", 1025),
        ("seed", -1),
        ("seed", 2**32),
        ("alpha", 0.0),
        ("learning_rate", float("inf")),
        ("warmup_epochs", float("inf")),
        ("mixup", float("nan")),
        ("dropout", 1.5),
        ("learning_rate", 0.0),
        ("distill_weight", float("nan")),
        ("precision", "float16"),
        ("balance", "full"),
        ("ferplus_clean", "all"),
        ("optimizer", "lion"),
        ("color", "bgr"),
        ("head", "256,gap"),
        ("head", "mean"),
        ("head", "gap,0"),
        ("head", ""),
        ("head", "99999"),
        ("keep_epochs", -1),
        ("progressive_sizes", "64"),
        ("progressive_sizes", "64:2:3"),
        ("progressive_sizes", "a:2"),
        ("progressive_sizes", "8:2"),
        ("progressive_sizes", "9999:2"),
        ("progressive_sizes", "64:0"),
        ("progressive_sizes", "64:15"),  # none of the 15 epochs is left for the size of the model
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


def test_stages_are_the_head_and_each_input_size():
    settings = TrainingSettings(progressive_sizes=" 64:3, 80:2", input_size=128, head_epochs=1, epochs=10)
    stages = [(each.phase, each.input_size, each.first, each.end, each.phase_first) for each in settings.stages]
    assert stages == [
        ("head", 64, 0, 1, 0),
        ("fine-tune", 64, 1, 4, 1),
        ("fine-tune", 80, 4, 6, 1),
        ("fine-tune", 128, 6, 11, 1),
    ]


def test_run_of_one_size_has_two_stages():
    stages = TrainingSettings(head_epochs=0, epochs=4).stages
    assert [(each.phase, each.input_size, each.first, each.end) for each in stages] == [
        ("head", 96, 0, 0),
        ("fine-tune", 96, 0, 4),
    ]


@pytest.mark.parametrize(
    ("head", "flattens", "units"),
    [
        ("gap", False, ()),
        ("flatten", True, ()),
        ("256,128", False, (256, 128)),
        ("gap, 64", False, (64,)),
        ("flatten,256", True, (256,)),
    ],
)
def test_head_names_pooling_and_dense_layers(head, flattens, units):
    settings = TrainingSettings(head=head)
    assert (settings.flattens, settings.dense_units) == (flattens, units)


@pytest.mark.parametrize("head", ["gap,0", "8193", "256,", "flatten,gap", "1e3", "\u0663"])
def test_head_of_another_form_is_refused(head):
    with pytest.raises(TrainingError, match=r"^head is .*, expected gap or flatten, .* 1 to 8192"):
        TrainingSettings(head=head)


def test_flattened_head_has_one_input_size():
    with pytest.raises(TrainingError, match=r"^head is 'flatten', expected one without flatten.*progressive_sizes"):
        TrainingSettings(head="flatten", progressive_sizes="64:2")
