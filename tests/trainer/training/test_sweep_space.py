"""The file of a sweep: options with their types and ranges; every mistake is one line that names file and key."""

from pathlib import Path

import pytest

from edge.errors import SettingsError
from tests.support.paths import ROOT
from trainer.data.augmentation import Augmentation
from trainer.training import sweep_space
from trainer.training.sweep_space import Parameter

VALID = """
[fixed]
epochs = 4
backbone = "small_cnn"
unfreeze = "all"
teacher = ["runs/a", "runs/b"]
augment.flip = false
[search]
learning-rate = { low = 1e-4, high = 1e-2, log = true }
batch-size = { low = 32, high = 128, step = 32 }
mixup = { choices = [0, 0.2] }
augment.rotate = { low = 0, high = 20.0 }
[study]
metric = "macro_f1"
warmup-epochs = 2
"""


def read(tmp_path, text):
    path = tmp_path / "space.toml"
    path.write_text(text)
    return sweep_space.read(path)


def test_options_become_settings(tmp_path):
    space = read(tmp_path, VALID)
    settings = space.settings({"learning-rate": 2e-3, "batch-size": 64, "mixup": 0.2, "augment.rotate": 5.0})
    assert (settings.epochs, settings.backbone, settings.unfreeze) == (4, "small_cnn", None)
    assert (settings.learning_rate, settings.batch_size, settings.mixup) == (2e-3, 64, 0.2)
    assert settings.teachers == (Path("runs/a"), Path("runs/b"))
    assert settings.augmentation == Augmentation(flip=False, rotate=5.0)
    assert space.search["batch-size"] == Parameter(low=32, high=128, step=32, is_integer=True)
    assert space.search["mixup"].choices == (0.0, 0.2)
    assert (space.study.metric, space.study.warmup_epochs, space.study.pruner) == ("macro_f1", 2, "median")


def test_teacher_may_be_a_choice(tmp_path):
    space = read(tmp_path, '[search]\nteacher = { choices = ["a.keras", "b.keras"] }')
    assert space.settings({"teacher": "a.keras"}).teachers == (Path("a.keras"),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[search", "not valid TOML"),
        ("", "the table search is empty"),
        ("search = 1", "search is not a table; expected a line [search]"),
        ("[searc]\nx = 1", "unknown table 'searc'; the tables are fixed, search, study"),
        ("[search]\nlearning_rate = 1", "search: unknown option 'learning_rate'; the options are backbone, weights, "),
        ("[search]\ndata = 1", "unknown option 'data'"),
        ("[fixed]\naugment.spin = 1", "fixed: unknown option 'augment.spin'"),
        ("[fixed]\naugment = 1", "fixed: augment is not a table"),
        ("[fixed]\nepochs = 2.5\n", "epochs is of type float, expected int"),
        ("[fixed]\nepochs = true\n", "epochs is of type bool, expected int"),
        ("[fixed]\nbackbone = 3\n", "backbone is of type int, expected str"),
        ("[fixed]\nteacher = [3]\n", "teacher is of type list, expected a string or a list of strings"),
        ("[search]\nmixup = 0.2", "search: mixup is '0.2', expected { low, high } or { choices }"),
        ("[search]\nmixup = { choices = [0.2] }", "choices of mixup are not a list of 2 to 100 values"),
        ("[search]\nmixup = { choices = [0.2, 0.2] }", "choices of mixup are not different single values"),
        ('[search]\nteacher = { choices = [["a", "b"], "a"] }', "not different single values"),
        ("[search]\nmixup = { choices = [0.2, 'x'] }", "mixup is of type str, expected int or float"),
        ("[search]\nmixup = { low = 0.2 }", "mixup has low; expected choices, or low and high"),
        ("[search]\nmixup = { low = 0.2, high = 0.4, lgo = true }", "mixup has low, high, lgo; expected"),
        ("[search]\nmixup = { low = 0.4, high = 0.2 }", "mixup from 0.4 to 0.2; expected low below high"),
        ("[search]\nmixup = { low = 0.0, high = 0.2, log = true }", "with log a low above 0"),
        ("[search]\nmixup = { low = 0.1, high = 0.2, log = 1 }", "log of mixup is 1, expected true or false"),
        ("[search]\nmixup = { low = 0.1, high = 0.2, step = 0.5 }", "from 0.1 to 0.2 in steps of 0.5; expected"),
        ("[search]\nmixup = { low = 0.1, high = 0.4, step = 0.1, log = true }", "mixup has log and step"),
        ("[search]\nmixup = { low = 0.1, high = inf }", "mixup is inf, expected a finite number"),
        ("[search]\nmixup = { low = 0.1, high = nan }", "mixup is nan, expected a finite number"),
        (f"[search]\nmixup = {{ low = 0.1, high = 1{'0' * 400} }}", "mixup is too large"),
        ("[search]\nbackbone = { low = 1, high = 2 }", "search: backbone is no number; expected choices"),
        ('[search]\nunfreeze = { low = 1, high = "all" }', "unfreeze 'all' is no number; expected choices"),
        ("[search]\ndropout = { low = 0.1, high = 1.5 }", "dropout is 1.5, expected 0 to 1"),
        ("[search]\naugment.zoom = { low = 0.1, high = 1.5 }", "augmentation: zoom is 1.5, expected 0 to 0.9"),
        ('[search]\nbalance = { choices = ["none", "some"] }', "balance is 'some', expected none or oversample"),
        (
            '[search]\ncolor = { choices = ["gray", "rgb"] }',
            "search: color is how the data is read, once for all trials",
        ),
        ("[fixed]\nmixup = 0.1\n[search]\nmixup = { low = 0.1, high = 0.4 }", "mixup is in fixed and in search"),
        ("[search]\nmixup = { low = 0.1, high = 0.4 }\n[study]\nmetrc = 1", "study: unknown key 'metrc'; the keys are"),
        (
            "[search]\nmixup = { low = 0.1, high = 0.4 }\n[study]\nmetric = 1",
            "study: metric is of type int, expected str",
        ),
        (
            '[search]\nmixup = { low = 0.1, high = 0.4 }\n[study]\nmetric = "f1"',
            "metric is 'f1', expected accuracy or ",
        ),
        ("[search]\nmixup = { low = 0.1, high = 0.4 }\n[study]\nseed = -1", "seed is -1, expected 0 to"),
    ],
)
def test_mistake_is_one_line_that_names_file_and_key(text, reason, tmp_path):
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'space.toml'}: ")
    assert reason in message
    assert "\n" not in message


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        sweep_space.read(tmp_path / "none.toml")


def test_example_is_a_space():
    space = sweep_space.read(ROOT / "examples" / "sweep.toml")
    assert len(space.search) >= 4
