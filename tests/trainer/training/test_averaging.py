"""The mean of the weights of models of one network, with batch statistics of its own."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support import faces
from tests.support.small import DATA
from trainer.data.dataset import PUBLIC_TEST
from trainer.errors import TrainingError

pytestmark = pytest.mark.keras
pytest_plugins = ["tests.support.trained"]


@pytest.fixture(scope="module")
def averaging(settings):
    """The module, imported after Keras was loaded by `settings`."""
    from trainer.training import averaging

    return averaging


@pytest.fixture(scope="module")
def other(run, averaging, tmp_path_factory):
    """The model of `run` with other weights, all of them."""
    from trainer import keras_file

    path = tmp_path_factory.mktemp("other") / "other.keras"
    model = keras_file.load(run / "best.keras")
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.normal(0, 0.01, w.shape).astype(np.float32) for w in model.get_weights()])
    metadata = keras_file.load_metadata(run / "best.keras")
    assert metadata
    keras_file.save(model, path, metadata)
    return path


def weights(path):
    from trainer import keras_file

    model = keras_file.load(path)
    return {variable.path: np.asarray(variable) for variable in model.weights}


def test_mean_has_the_mean_weights_and_its_own_statistics(averaging, run, other, tmp_path):
    averaging.average([run, other], DATA, tmp_path / "mean.keras")
    first, second, mean = (weights(path) for path in (run / "best.keras", other, tmp_path / "mean.keras"))
    for name, value in mean.items():
        expected = (first[name] + second[name]) / 2
        if "moving_" in name:
            assert not np.allclose(value, expected, rtol=1e-3)
        else:
            assert value == pytest.approx(expected, abs=1e-7)


def test_result_has_each_member_and_the_mean(averaging, run, other, tmp_path):
    from trainer.evaluation.evaluate import evaluate

    result = averaging.average([run, other], DATA, tmp_path / "mean.keras")
    for path, metrics in (*result.members.items(), (tmp_path / "mean.keras", result.mean)):
        assert metrics.loss == pytest.approx(evaluate(path, DATA, PUBLIC_TEST).model.metrics.loss, abs=1e-5)
    assert list(result.members) == [run / "best.keras", other]


def test_mean_of_equal_models_predicts_as_they_do(averaging, run, tmp_path):
    copy = tmp_path / "copy.keras"
    copy.write_bytes((run / "best.keras").read_bytes())
    result = averaging.average([run, copy], DATA, tmp_path / "mean.keras")
    assert result.mean.loss == pytest.approx(result.members[copy].loss, abs=1e-4)


@pytest.mark.parametrize("broken", ["one", "itself", "network", "labels"])
def test_models_without_a_mean_write_nothing(broken, averaging, run, settings, tmp_path):
    from trainer import keras_file
    from trainer.training.loop import build_model

    out, member = tmp_path / "mean.keras", tmp_path / "member.keras"
    metadata = keras_file.load_metadata(run / "best.keras")
    assert metadata
    if broken == "network":
        keras_file.save(build_model(replace(settings, input_size=40), 7), member, metadata)
    elif broken == "labels":
        labels = metadata.labels[::-1]
        keras_file.save(build_model(settings, 7), member, replace(metadata, labels=labels))
    members = {"one": [run, run / "best.keras"], "itself": [run, out.parent / ".." / out.parent.name / out.name]}.get(
        broken, [run, member]
    )
    message = {
        "one": "at least two",
        "itself": "name another file",
        "network": "same network",
        "labels": "other labels",
    }
    with pytest.raises(TrainingError, match=message[broken]):
        averaging.average(members, DATA, out)
    assert not out.exists()


def test_failed_write_keeps_the_earlier_file(averaging, run, other, tmp_path, monkeypatch):
    from edge.errors import FileError

    out = tmp_path / "mean.keras"
    out.write_bytes(b"earlier")

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("keras.Model.save", fail)
    with pytest.raises(FileError, match=r"mean\.keras: .*No space left"):
        averaging.average([run, other], DATA, out)
    assert out.read_bytes() == b"earlier"


def test_command_prints_members_and_mean(averaging, run, other, tmp_path, monkeypatch, capsys):
    import sys

    from trainer import cli

    table = faces.write_csv(tmp_path / "tiny.csv", DATA)
    arguments = ["average", run, other, "--data", table, "--out", tmp_path / "mean.keras"]
    monkeypatch.setattr(sys, "argv", ["trainer", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    out = capsys.readouterr().out
    assert "PublicTest" in out
    assert [line.split()[0] for line in out.splitlines()[1:4]] == [str(run / "best.keras"), str(other), "mean"]
