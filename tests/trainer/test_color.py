"""A model for color learns what only color tells, and the device gives it the same pixels."""

import json
import sys

import cv2
import numpy as np
import pytest

from edge.diagnostics.single_stream import StoppingRule, measure_single_stream
from edge.image_analyzer import ImageAnalyzer
from edge.inference import model_file
from edge.inference.classifier import Classifier
from tests.support import faces
from tests.support.small import DATA, add_tiny_backbone
from trainer import cli
from trainer.data.dataset import PUBLIC_TEST
from trainer.data.loader import load_dataset
from trainer.errors import DataError, TrainingError
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.prediction import open_model, uses_color

pytestmark = pytest.mark.keras

# Red and blue of the same luma, 94: without color nothing tells them apart.
COLORS = {"calm": (40, 60, 180), "cross": (180, 118, 12)}  # BGR


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of noisy images of two classes that differ in color alone, of several sizes."""
    folder, rng = tmp_path_factory.mktemp("color"), np.random.default_rng(0)
    for split, each in (("train", 24), ("test", 6)):
        for name, color in COLORS.items():
            (folder / split / name).mkdir(parents=True)
            for number in range(each):
                side = int(rng.integers(40, 60))
                pixels = np.clip(np.array(color) + rng.normal(0, 12, (side, side, 3)), 0, 255).astype(np.uint8)
                cv2.imwrite(str(folder / split / name / f"{number}.png"), pixels)
    return folder


@pytest.fixture
def trainer(monkeypatch, capsys):
    """Return a function that runs the command in this process, successfully, and returns its output."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["trainer", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        assert not ended.value.code, captured.err
        return captured.out

    return run


def test_data_is_read_in_red_green_and_blue(images):
    color, gray = load_dataset(images, color=True), load_dataset(images)
    assert (color.channels, gray.channels) == (3, 1)
    assert color.faces.shape == (*gray.faces.shape, 3)
    calm = color.faces[color.labels == color.class_names.index("calm")].mean(axis=(0, 1, 2))
    assert calm == pytest.approx((180, 60, 40), abs=6)


def test_gray_data_has_three_equal_channels(tmp_path):
    table = faces.write_csv(tmp_path / "fer2013.csv", DATA)
    dataset = load_dataset(table, color=True)
    assert dataset.channels == 3
    assert np.array_equal(dataset.faces[..., 0], DATA.faces)
    assert np.array_equal(dataset.faces[..., 2], DATA.faces)
    assert "gray" in dataset.notes[-1]


@pytest.mark.slow
def test_color_goes_from_images_to_the_device(images, trainer, tmp_path):
    add_tiny_backbone()
    run, model, report = tmp_path / "run", tmp_path / "color.tflite", tmp_path / "report.html"
    options = ("--backbone", "tiny", "--weights", "none", "--input-size", 32, "--batch-size", 8, "--epochs", 3)
    augment = tmp_path / "augment.toml"
    augment.write_text("contrast = 0.1\nbrightness = 10.0\n")
    trainer("train", "--data", images, "--run-dir", run, "--color", "rgb", "--augment", augment, *options)
    trainer("quantize", run / "best.keras", "--data", images, "--out", model, "--samples", 12)
    trainer("evaluate", model, "--data", images, "--compare-to", run / "best.keras", "--report", report)
    card = model_file.load(model)[1]
    assert (card.color, card.metrics["PublicTest"]["accuracy"]) == ("rgb", 1.0)
    assert json.loads((run / "settings.json").read_text())["settings"]["color"] == "rgb"
    assert uses_color(model)
    assert uses_color(run / "best.keras")
    analyzer = ImageAnalyzer(classifier=Classifier(model), crops=True)
    for name, color in COLORS.items():
        (face,) = analyzer.analyze(np.full((50, 50, 3), color, np.uint8))
        assert max(face.probabilities, key=lambda label: face.probabilities[label]) == name
    gray = np.full((50, 50), 100, np.uint8)
    assert len(analyzer.analyze(gray)) == 1  # a gray camera: three equal channels
    assert measure_single_stream(Classifier(model), StoppingRule(2, 0.0))


def test_gray_data_and_a_model_for_color_are_an_error(images, tmp_path):
    from trainer import keras_file
    from trainer.networks import model as network

    built = network.build(add_tiny_backbone(), 32, 2, alpha=1.0, weights="none", momentum=0.9, dropout=0.0, channels=3)
    path, color = tmp_path / "color.keras", load_dataset(images, color=True)
    keras_file.save(built, path, keras_file.KerasMetadata(color.class_names, color.side, color="rgb"))
    with pytest.raises(DataError, match=r"faces were read gray, but the input of .*color\.keras is in color"):
        open_model(path, load_dataset(images))
    assert evaluate(path, color, PUBLIC_TEST).model.metrics.n == 12


def test_run_in_color_needs_data_in_color(images, tmp_path):
    from trainer.training.loop import train
    from trainer.training.settings import TrainingSettings

    settings = TrainingSettings(backbone=add_tiny_backbone(), weights="none", color="rgb")
    with pytest.raises(TrainingError, match="was not read in rgb"):
        train(settings, load_dataset(images), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("backbone", "size"), [("tiny", 32), ("caffe", 32)])
def test_backbone_gets_the_channels_in_its_order(backbone, size, monkeypatch):
    import dataclasses

    import keras

    add_tiny_backbone()
    from trainer.networks import backbones
    from trainer.networks import model as network

    tiny, offset = backbones.BACKBONES["tiny"], (-103.939, -116.779, -123.68)
    monkeypatch.setitem(backbones.BACKBONES, "caffe", dataclasses.replace(tiny, scale=1.0, offset=offset))
    built = network.build(backbone, size, 2, alpha=1.0, weights="none", momentum=0.9, dropout=0.0, channels=3)
    inner = keras.Model(built.input, network.backbone_input(built))
    pixel = np.asarray(inner(np.tile(np.array([10, 20, 30], np.float32), (1, size, size, 1))))[0, 0, 0]
    expected = [30 - 103.939, 20 - 116.779, 10 - 123.68] if backbone == "caffe" else np.array([10, 20, 30]) / 127.5 - 1
    assert pixel == pytest.approx(expected, abs=1e-4)
