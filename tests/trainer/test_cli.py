"""The `trainer` command: help, errors in one line with their exit status, and the way from images to the device."""

import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import typer

from edge.inference import model_file
from tests.support import faces
from tests.support.scenes import CLOSE_UP, KNOWN, write_scenes
from tests.support.small import add_tiny_backbone
from trainer import cli, keras_backend
from trainer.data.dataset import FER2013_LABELS
from trainer.training.settings import setting_specs

COMMAND = Path(sys.executable).with_name("trainer")
COMMANDS = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
DATA = faces.tiny(training=1, public=2, private=1)


def run_process(*arguments, command=COMMAND, **options):
    """Run the installed command to its end, without what the tests' own imports set for OpenCV and TensorFlow."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OPENCV_", "TF_"))}
    line = [command, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False, env=environment, **options)


@pytest.fixture
def trainer(monkeypatch, capfd):
    """Return a function that runs the command in this process: exit status, stdout, stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["trainer", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capfd.readouterr()

    return run


@pytest.fixture
def table(tmp_path):
    return faces.write_csv(tmp_path / "fer2013.csv", DATA)


# --- help -----------------------------------------------------------------------------------------------------------


def test_commands_are_the_documented_ones():
    expected = {"train", "sweep", "average", "evaluate", "quantize", "compare", "crop-padding", "benchmark-input"}
    assert set(COMMANDS) == expected | {"launch", "preview"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name):
    command = COMMANDS[name]
    assert command.help
    assert [option.name for option in command.params if not option.help] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_every_option(name, trainer):
    status, out, _ = trainer(name, "--help")
    assert status == 0
    for option in COMMANDS[name].params:
        assert option.opts[0] in out or (option.metavar or option.name.upper()) in out


def test_train_has_an_option_for_every_setting():
    options = {option.name: option for option in COMMANDS["train"].params}
    for name, spec in setting_specs().items():
        assert options[name].help == spec.help
        assert options[name].opts[0].startswith("--" + name.replace("_", "-").rstrip("s"))


@pytest.mark.parametrize("name", ["train", "sweep", "average", "evaluate", "quantize", "compare", "crop-padding"])
def test_every_command_with_labels_takes_ferplus_votes(name):
    assert "ferplus" in {option.name for option in COMMANDS[name].params}


def test_no_arguments_shows_the_help(trainer):
    _, out, err = trainer()
    assert "train" in out + err
    assert "quantize" in out + err


# --- evaluate -------------------------------------------------------------------------------------------------------


def test_evaluate_prints_metrics_and_writes_json(trainer, table, tmp_path):
    path = tmp_path / "out" / "result.json"
    status, out, err = trainer("evaluate", faces.SHIPPED, "--data", table, "--json", path)
    assert (status, err) == (0, "")
    assert out.startswith("PublicTest: 14 faces, accuracy ")
    values = json.loads(path.read_text())
    assert {"split", "n", "accuracy", "macro_f1", "per_class", "confusion"} <= set(values)
    assert (values["n"], len(values["confusion"]), set(values["per_class"])) == (14, 7, set(FER2013_LABELS))


def test_faces_in_two_splits_are_told(trainer, tmp_path):
    names = ("train/CLASS/1.png", "train/CLASS/2.png", "test/CLASS/1.png")
    images = {name.replace("CLASS", label): faces.encode(DATA.faces[0]) for name in names for label in ("happy", "sad")}
    folder = faces.write_folder(tmp_path / "faces", images)
    status, _, err = trainer("evaluate", faces.SHIPPED, "--data", folder)
    assert (status, "2 of 2 PublicTest faces are Training faces, too, pixel for pixel" in err) == (0, True)


@pytest.mark.parametrize(("split", "n"), [("Training", 7), ("PrivateTest", 7), ("all", 28)])
def test_evaluate_uses_the_given_split(split, n, trainer, table):
    assert trainer("evaluate", faces.SHIPPED, "--data", table, "--split", split)[1].startswith(f"{split}: {n} faces")


@pytest.mark.keras
def test_own_test_set_with_some_of_the_labels_is_evaluated(trainer, tmp_path):
    names = ("happy", "neutral", "sad")
    files = {name: data for name, data in faces.class_files(DATA).items() if name.startswith(names)}
    folder, report = faces.write_folder(tmp_path / "mine", files), tmp_path / "report.html"
    status, out, _ = trainer("evaluate", faces.SHIPPED, "--data", folder, "--split", "all", "--report", report)
    assert status == 0
    assert out.startswith("all: 12 faces")
    assert "measured on 3 of 7 labels: happy, sad, neutral; a prediction of another label is wrong" in out
    assert "12 faces" in report.read_text()


@pytest.mark.keras
def test_model_of_others_is_converted_by_its_labels(trainer, table, tmp_path):
    keras_backend.load()
    import keras

    source, out = tmp_path / "foreign.keras", tmp_path / "foreign.tflite"
    pixels = keras.Input((48, 48, 1))
    scores = keras.layers.Dense(7)(keras.layers.Flatten()(keras.layers.AveragePooling2D(8)(pixels)))
    keras.Model(pixels, scores).save(source)
    quantize = ("quantize", source, "--data", table, "--out", out)
    status, _, err = trainer(*quantize)
    assert (status, out.exists()) == (78, False)
    assert "--logits" in err.splitlines()[-1]
    names = ",".join(FER2013_LABELS[::-1])
    status, _, err = trainer(*quantize, "--logits", "--labels", names)
    assert status == 0
    assert model_file.load(out)[1].labels == FER2013_LABELS[::-1]


@pytest.mark.keras  # which brings the plots
def test_evaluate_writes_each_plot_that_is_named(trainer, table, tmp_path):
    files = {option: tmp_path / f"{option}.png" for option in ("plot", "reliability", "coverage")}
    options = [text for option, file in files.items() for text in (f"--{option}", file)]
    assert trainer("evaluate", faces.SHIPPED, "--data", table, *options)[0] == 0
    assert len({file.read_bytes() for file in files.values()}) == 3
    assert all(cv2.imread(str(file)) is not None for file in files.values())


def test_skip_invalid_reports_how_many_rows_were_skipped(trainer, tmp_path):
    lines = faces.csv_lines(DATA)
    lines[1:3] = ["0,1 2 3,Training", "9,1 2 3,Training"]
    table = faces.write_lines(tmp_path / "fer2013.csv", lines)
    status, out, err = trainer("evaluate", faces.SHIPPED, "--data", table, "--skip-invalid")
    assert status == 0
    assert err.startswith(f"{table}: 2 invalid")
    assert "14 faces" in out


@pytest.mark.keras
def test_evaluate_writes_a_report_of_two_models_with_corruptions(trainer, table, tmp_path):
    page, second = tmp_path / "report.html", tmp_path / "second.tflite"
    second.write_bytes(faces.SHIPPED.read_bytes())
    status, out, err = trainer("evaluate", faces.SHIPPED, "--data", table, "--compare-to", second, "--report", page)
    assert status == 0
    assert str(page) in err.splitlines()[-1]
    assert "100.0" in out
    assert "noise" in out
    text = page.read_text()
    assert "second.tflite" in text
    assert "trainer evaluate" in text


def test_evaluate_with_tta_prints_a_second_accuracy(trainer, table):
    status, out, _ = trainer("evaluate", faces.SHIPPED, "--data", table, "--tta")
    assert status == 0
    assert "TTA" in out


def test_evaluate_with_votes_uses_the_ferplus_majority_too(trainer, table, tmp_path):
    votes = faces.write_lines(tmp_path / "fer2013new.csv", faces.ferplus_lines(DATA))
    status, out, _ = trainer("evaluate", faces.SHIPPED, "--data", table, "--ferplus", votes)
    assert status == 0
    assert "FER+" in out


def test_evaluate_with_detection_reports_all_images(trainer, tmp_path):
    path, folder = tmp_path / "result.json", write_scenes(tmp_path / "scenes", KNOWN)
    status, out, err = trainer("evaluate", faces.SHIPPED, "--data", folder, "--detect", "--json", path)
    assert status == 0
    assert err.count("\n") == 1
    assert out.startswith("5 images: 3 faces found (60.0 %), 2 extra faces, ")
    assert "detected faces: 3 faces" in out
    assert json.loads(path.read_text())["scenes"]["accuracy"] == pytest.approx(2 / 5)


@pytest.mark.keras  # which brings the plots
def test_prior_of_an_evaluation_is_reported(trainer, table, tmp_path):
    folder, model = write_scenes(tmp_path / "scenes", KNOWN), tmp_path / "known.tflite"
    content, card = model_file.load(faces.SHIPPED)
    frequencies = dict.fromkeys(card.labels, round(1 / len(card.labels), 6))
    model_file.attach(content, replace(card, class_frequencies=frequencies), model)
    path, plot = tmp_path / "result.json", tmp_path / "reliability.png"

    def priors(*options):
        status, out, _ = trainer("evaluate", model, *options, "--json", path)
        assert status == 0
        return next(line for line in out.splitlines() if line.startswith("prior: ")), json.loads(path.read_text())

    assert priors("--data", table)[0] == "prior: training"
    line, everyday = priors("--data", folder, "--detect", "--reliability", plot)
    assert (line, everyday["prior"]) == ("prior: everyday", "everyday")
    assert plot.read_bytes().startswith(b"\x89PNG")
    line, training = priors("--data", folder, "--detect", "--prior", "training")
    assert (line, training["prior"]) == ("prior: training", "training")
    assert training["loss"] != everyday["loss"]


def test_detection_counts_the_invalid_images_it_skips(trainer, tmp_path):
    folder = write_scenes(tmp_path / "scenes", KNOWN | {"calm": [CLOSE_UP]})
    (folder / "sad-0007.png").write_bytes(b"broken")
    status, out, err = trainer("evaluate", faces.SHIPPED, "--data", folder, "--detect", "--skip-invalid")
    assert status == 0
    assert err.splitlines()[-1] == f"{folder}: 2 invalid images skipped"
    assert out.startswith("5 images (2 invalid")


@pytest.mark.keras
def test_evaluate_with_detection_writes_a_report(trainer, tmp_path):
    page, folder = tmp_path / "report.html", write_scenes(tmp_path / "scenes", KNOWN)
    assert trainer("evaluate", faces.SHIPPED, "--data", folder, "--detect", "--report", page)[0] == 0
    text = page.read_text()
    assert 'id="detection"' in text
    assert "Corruptions" not in text


# --- other commands -------------------------------------------------------------------------------------------------


@pytest.mark.keras
def test_preview_writes_an_image(trainer, table, tmp_path):
    assert trainer("preview", "--data", table, "--out", tmp_path / "preview.png")[0] == 0
    assert cv2.imread(str(tmp_path / "preview.png")) is not None


@pytest.mark.keras
def test_classes_and_splits_are_told_before_anything_starts(trainer, tmp_path):
    folder = faces.write_folder(tmp_path / "data", faces.class_files(faces.tiny(training=11, public=0, private=0)))
    others = {f"train_set/{name}": content for name, content in faces.class_files(DATA).items()}
    others |= {"test_set/happy/1.png": faces.encode(DATA.faces[0]), "test_set/sad/1.txt": b"x"}
    for path, expected in (
        (folder, ["every tenth face of a class is held out as PublicTest", "77 faces: 11 angry, 11 disgust, "]),
        (faces.write_zip(tmp_path / "a.zip", others), ["test_set/sad: no image that can be read, but 1 .txt"]),
    ):
        err = trainer("preview", "--data", path, "--out", tmp_path / "p.png")[2]
        for text, line in zip(expected, err.splitlines(), strict=False):
            assert text in line


@pytest.mark.keras
def test_preview_prints_what_augment_takes(trainer, table, tmp_path):
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    text = trainer("preview", "--data", table, "--out", first)[1]
    assert "shear = 0.0 " in text
    changed = tmp_path / "augment.toml"
    changed.write_text(text.replace("shear = 0.0 ", "shear = 30.0"))
    assert trainer("preview", "--data", table, "--out", second, "--augment", changed)[1] == changed.read_text()
    assert first.read_bytes() != second.read_bytes()


def test_crop_padding_prints_the_accuracy_per_padding(trainer, table):
    status, out, _ = trainer("crop-padding", faces.SHIPPED, "--data", table)
    assert status == 0
    assert "14 faces" in out
    assert "best" in out


@pytest.fixture
def ferplus_models(tmp_path):
    """Two networks of FER+'s eight classes with random weights, and the file of the votes."""
    backbone = add_tiny_backbone()
    from trainer import keras_file
    from trainer.data.label_mapping import FERPLUS_CLASSES
    from trainer.networks import model as network

    paths = [tmp_path / "a.keras", tmp_path / "b.keras"]
    for path in paths:
        model = network.build(backbone, 32, 8, alpha=1, weights="none", momentum=0.9, dropout=0)
        keras_file.save(model, path, keras_file.KerasMetadata(FERPLUS_CLASSES, 48))
    return *paths, faces.write_lines(tmp_path / "fer2013new.csv", faces.ferplus_lines(DATA))


@pytest.mark.keras
def test_models_of_ferplus_are_averaged_and_compared(ferplus_models, trainer, table, tmp_path):
    first, second, votes = ferplus_models
    mean, with_votes = tmp_path / "mean.keras", ("--data", table, "--ferplus", votes)
    status, out, _ = trainer("average", first, second, *with_votes, "--out", mean)
    assert (status, out.splitlines()[0].split()[0]) == (0, "PublicTest")
    status, out, _ = trainer("compare", first, mean, *with_votes)
    assert status == 0
    assert "\n10 faces; " in out  # of 14: four have a majority of "unknown" or "no face"
    status, _, err = trainer("compare", first, mean, "--data", table)
    assert (status, "--ferplus" in err) == (0, False)  # by FER2013's own labels


@pytest.mark.keras
def test_training_tells_how_its_data_is_read_for_conversion(trainer, table, tmp_path, monkeypatch):
    keras_backend.load()
    votes = faces.write_lines(tmp_path / "fer2013new.csv", faces.ferplus_lines(DATA))
    monkeypatch.setattr("trainer.training.loop.train", lambda *_, **__: Path("run") / "best.keras")
    data = ("--data", table, "--ferplus", votes)
    out = trainer("train", *data)[1]
    assert out.endswith(f"next: trainer quantize run/best.keras --data {table} --out emotion.tflite\n")
    out = trainer("train", *data, "--label-set", "ferplus", "--format", "fer2013", "--skip-invalid")[1]
    options = f"--data {table} --ferplus {votes} --format fer2013 --skip-invalid --out emotion.tflite"
    assert out.endswith(f"next: trainer quantize run/best.keras {options}\n")


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(table, tmp_path):
    """Valid and invalid files by name."""
    lines = faces.csv_lines(DATA)
    lines[2] = "9,1 2 3,Training"
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "text.tflite").write_text("not a model")
    return {
        "MODEL": faces.SHIPPED,
        "DATA": table,
        "BAD": faces.write_lines(tmp_path / "bad.csv", lines),
        "SCENES": write_scenes(tmp_path / "scenes", {"happy": [CLOSE_UP], "calm": [CLOSE_UP]}),
        "OTHERS": faces.write_folder(tmp_path / "others", faces.class_files(faces.tiny(class_names=("calm", "cross")))),
        "FOLDER": tmp_path / "folder",
        "TEXT": tmp_path / "text.tflite",
        "NONE": tmp_path / "none.keras",
        "H5": tmp_path / "old.h5",
        "TXT": tmp_path / "confusion.txt",
        "NEW": tmp_path / "new",
        "PHOTO": next((tmp_path / "scenes").rglob("*.png")),
        "INSIDE": table / "inside",
    }


# Arguments, exit status, and texts in the message, in their order.
ERRORS = [
    ("evaluate MODEL --data NONE", 1, ["none.keras: not found", "fer2013.csv"]),
    ("evaluate MODEL --data BAD", 1, ["bad.csv line 3: ", "'9'"]),
    ("evaluate MODEL --data FOLDER", 1, ["folder: ", "fer2013.csv"]),
    ("evaluate MODEL --data OTHERS", 1, ["others: ", "angry, ", "calm"]),
    ("evaluate MODEL --data DATA --split Test", 1, ["fer2013.csv: ", "split Test", "Training (7)"]),
    ("evaluate MODEL --data DATA --json FOLDER", 2, ["--json ", "folder: expected .json"]),
    ("evaluate MODEL --data DATA --json MODEL", 2, ["--json ", "emotion.tflite: expected .json"]),
    ("evaluate MODEL --data DATA --json INSIDE.json", 1, ["inside.json: cannot be written (Not a directory)"]),
    ("evaluate MODEL --data DATA --json NEW.json --report NEW.json", 2, ["--report ", "new.json: expected .html"]),
    ("evaluate MODEL --data DATA --plot NEW.png --coverage NEW.png", 2, ["--coverage ", "--plot, too"]),
    ("evaluate MODEL --data SCENES --detect --plot PHOTO", 2, ["--plot ", "-0001.png: is read by this command"]),
    ("evaluate MODEL --data DATA --plot TXT", 2, ["confusion.txt: expected .png, .svg, .pdf or .jpg"]),
    ("preview --data DATA --out DATA", 2, ["--out ", "fer2013.csv: expected .png"]),
    ("preview --data SCENES --out PHOTO", 2, ["--out ", "-0001.png: is read by this command"]),
    ("preview --data DATA --out FOLDER.png", 1, ["folder.png: cannot be written (not a regular file"]),
    ("average NONE NONE --data DATA --out TEXT", 2, ["text.tflite: expected .keras"]),
    ("compare --backbones small_cnn --data DATA --out DATA", 2, ["fer2013.csv: is read by this command"]),
    ("evaluate TEXT --data DATA", 78, ["text.tflite: not a TFLite model"]),
    ("evaluate NONE --data DATA", 78, ["none.keras: no such file"]),
    ("evaluate DATA --data DATA", 78, ["fer2013.csv: ", ".tflite", ".keras"]),
    ("evaluate MODEL --data DATA --detect", 1, ["fer2013.csv: no images found"]),
    ("evaluate MODEL --data SCENES --detect", 1, ["calm-0001.png: ", "angry, ", "1 of 2", "--skip-invalid"]),
    ("evaluate NONE --data SCENES --detect", 2, ["none.keras: ", ".tflite", "trainer quantize"]),
    ("evaluate TEXT --data SCENES --detect", 78, ["text.tflite: not a TFLite model"]),
    ("evaluate MODEL --data SCENES --detect --tta --compare-to MODEL", 2, ["--compare-to, --tta"]),
    ("evaluate MODEL --data SCENES --detect --split Training", 2, ["--split"]),
    ("evaluate MODEL --data SCENES --detect --prior joy=0.5", 78, ["'joy'"]),
    ("evaluate MODEL --data DATA --prior everyday", 2, ["--prior is for --detect"]),
    ("quantize NONE --data DATA --out NEW.tflite", 78, ["none.keras: no such file"]),
    ("quantize H5 --data DATA --out NEW.tflite", 78, ["old.h5: .h5 is Keras' older format"]),
    ("quantize NONE --data DATA --out NONE", 2, ["--out ", "none.keras: expected .tflite"]),
    ("quantize MODEL --data DATA --out NEW.tflite", 78, ["emotion.tflite: is converted already", ".keras"]),
    ("quantize MODEL --data DATA --out MODEL", 2, ["emotion.tflite: is read by this command"]),
    ("evaluate H5 --data DATA", 78, ["old.h5: .h5 is Keras' older format"]),
    ("evaluate H5 --data SCENES --detect", 2, ["old.h5: ", "trainer quantize"]),
    ("evaluate MODEL --data DATA --compare-to TEXT", 78, ["text.tflite: not a TFLite model"]),
    ("crop-padding MODEL --data OTHERS", 1, ["others: ", "angry, "]),
    ("crop-padding NONE --data DATA", 78, ["none.keras: cannot be read"]),
    ("train --data DATA --label-set ferplus", 1, ["fer2013.csv: ", "--ferplus"]),
    ("train --data DATA --label-set eight", 2, ["--label-set", "own", "ferplus"]),
    ("train --data DATA --classes happy,glad", 1, ["fer2013.csv: no class glad", "angry, disgust"]),
    ("train --data DATA --classes happy,", 1, ["classes happy: expected at least two"]),
    ("train --data DATA --unfreeze some", 2, ["--unfreeze", "'some'", "all"]),
    (f"train --data DATA --unfreeze {'9' * 5000}", 2, ["--unfreeze", "'9999", "all"]),
    ("train --data DATA --seed 4294967296", 2, ["--seed"]),
    ("train --data DATA --devices two", 2, ["--devices", "one", "all"]),
    ("train --data DATA --precision float16", 2, ["--precision", "mixed_bfloat16"]),
    ("train --data DATA --augment DATA", 78, ["fer2013.csv: cannot be read (more than 65,536 bytes)"]),
    ("train --data DATA --augment NONE", 78, ["none.keras: cannot be read", "trainer preview"]),
    ("train --data DATA --balance full", 2, ["--balance", "oversample", "weights", "logit-adjusted"]),
    ("train --data DATA --dropout 2", 2, ["--dropout"]),
    ("train --data DATA --distill-weight 2", 2, ["--distill-weight"]),
    ("train --data DATA --ferplus-weight -1", 2, ["--ferplus-weight"]),
    ("compare --data DATA", 2, ["--backbones"]),
    ("compare FOLDER --data DATA --out TXT", 2, ["confusion.txt", ".md, .csv or .png"]),
]
ERRORS_WITH_KERAS = [
    ("train --data NONE --run-dir FOLDER", 1, ["none.keras: not found"]),
    ("train --data DATA --run-dir FOLDER --devices all", 1, ["JAX", "tensorflow"]),
    (
        "train --data DATA --run-dir FOLDER/4 --weights none --teacher MODEL --classes sad,fear",
        1,
        ["emotion.tflite: ", "angry, ", "sad, fear"],
    ),
    ("compare FOLDER --data DATA", 1, ["folder: "]),
    ("train --data DATA --run-dir FOLDER --epochs 0", 1, ["epochs is 0", "1 or more"]),
    ("train --data DATA --run-dir FOLDER --resume", 1, ["folder: no run to resume", "settings.json"]),
    ("train --data DATA --run-dir FOLDER/1 --weights NONE", 1, ["none.keras': no such file", "'imagenet'"]),
    ("train --data DATA --run-dir FOLDER/2 --backbone vgg", 1, ["'vgg'", "mobilenet_v2"]),
    ("train --data DATA --run-dir FOLDER/3 --weights none --ferplus DATA", 1, ["fer2013.csv line 1: ", "neutral"]),
]


@pytest.mark.parametrize(
    ("arguments", "status", "texts"),
    [*ERRORS, *(pytest.param(*case, marks=pytest.mark.keras) for case in ERRORS_WITH_KERAS)],
)
def test_error_is_one_line_with_its_exit_status(arguments, status, texts, files, trainer):
    for name, path in files.items():
        arguments = arguments.replace(name, str(path))
    found_status, out, err = trainer(*arguments.split())
    line = err.splitlines()[-1]
    assert found_status == status
    assert line.startswith("trainer: error: ")
    for text in texts:
        assert text in line
        line = line.partition(text)[2]
    assert err.count("error: ") == 1
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["evaluate", faces.SHIPPED], "--data"),
        (["train", "--data", "x", "--epoch", "3"], "--epoch"),
        (["train", "--data", "x", "--epochs", "many"], "--epochs"),
        (["quantize", "m", "--data", "x", "--out", "y", "--samples", "0"], "--samples"),
        (["learn"], "learn"),
    ],
)
def test_wrong_usage_has_exit_status_2(arguments, text, trainer):
    status, _, err = trainer(*arguments)
    assert status == 2
    assert text in err


def test_debug_shows_the_traceback(table):
    done = run_process("evaluate", "no.tflite", "--data", table, "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "edge.errors.ModelError: no.tflite: " in done.stderr


def test_installed_command_prints_one_line_for_a_damaged_image(tmp_path):
    damaged = faces.encode(DATA.faces[0])[:300]  # OpenCV prints a warning of its own
    folder = faces.write_folder(tmp_path / "data", {"happy/1.png": damaged, "sad/1.png": damaged})
    done = run_process("evaluate", faces.SHIPPED, "--data", folder)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"trainer: error: {folder}/happy/1.png: ")
    assert "--skip-invalid" in line


@pytest.mark.parametrize(
    ("option", "text"), [([], "reading fer2013.csv"), (["--detect"], "analyzing scenes")], ids=["read", "detect"]
)
def test_work_shows_a_progress_bar_on_a_terminal(option, text, table, tmp_path):
    data = write_scenes(tmp_path / "scenes", KNOWN) if option else table
    terminal, stderr = pty.openpty()
    done = subprocess.run(
        [COMMAND, "evaluate", faces.SHIPPED, "--data", data, *option],
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=os.environ | {"TERM": "xterm"},
        check=False,
    )
    os.close(stderr)
    output = os.read(terminal, 65536).decode(errors="replace")  # the end may be in the middle of a character
    os.close(terminal)
    assert done.returncode == 0
    assert text in output


# --- end to end -----------------------------------------------------------------------------------------------------


@pytest.mark.keras
@pytest.mark.slow
def test_own_classes_from_folders_to_results_on_the_device(trainer, tmp_path, portrait_file):
    names = ("calm", "cross", "glad")
    data = faces.tiny(training=10, public=0, class_names=names)
    folder = faces.write_folder(tmp_path / "moods", faces.class_files(data))
    run_dir, model, result = tmp_path / "run", tmp_path / "moods.tflite", tmp_path / "result.json"

    # The smallest MobileNetV2; most of the time goes into building its graph, once per phase.
    options = ["--weights", "none", "--alpha", "0.35", "--input-size", "32", "--head-epochs", "0", "--epochs", "1"]
    trained = run_process("train", "--data", folder, "--run-dir", run_dir, "--batch-size", "8", *options)
    assert trained.returncode == 0
    assert trained.stderr.splitlines() == [  # no messages of TensorFlow
        f"{folder}: no data for validation: every tenth face of a class is held out as PublicTest",
        f"{folder}: 33 faces: 11 calm, 11 cross, 11 glad (30 Training, 3 PublicTest)",
    ]
    assert f"{run_dir}/best.keras" in trained.stdout.splitlines()[-2]
    assert f"trainer quantize {run_dir}/best.keras --data {folder}" in trained.stdout.splitlines()[-1]

    status, out, err = trainer("quantize", run_dir / "best.keras", "--data", folder, "--out", model, "--samples", "9")
    assert status == 0
    assert "9 representative faces" in err
    assert str(model) in out.splitlines()[-1]

    assert trainer("evaluate", model, "--data", folder, "--json", result)[0] == 0
    assert json.loads(result.read_text())["labels"] == list(names)

    options = ["--model", model, "--sink", "jsonl", "--min-confidence", "0"]
    done = run_process("run", portrait_file, *options, command=COMMAND.with_name("edge"))
    assert done.returncode == 0
    (face,) = json.loads(done.stdout.splitlines()[0])["faces"]
    assert set(face["probabilities"]) == set(names)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert face["label"] in names
