"""The `trainer` command: every option has help, every refusal is one line, and the whole chain ends on the device."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import typer

from tests.support import faces
from trainer import cli
from trainer.data.dataset import FER2013_LABELS

COMMAND = Path(sys.executable).with_name("trainer")
COMMANDS = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
DATA = faces.tiny(training=1, public=2, private=1)


def process(*arguments, command=COMMAND, **options):
    """Run the installed command to its end, as a user does."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("OPENCV_", "TF_"))}
    run = [command, *map(str, arguments)]
    return subprocess.run(run, capture_output=True, text=True, check=False, env=plain, **options)


@pytest.fixture
def trainer(monkeypatch, capfd):
    """Run the command in this process, where Keras is loaded once; give exit status, stdout, stderr."""

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


def test_there_is_a_command_for_each_step():
    assert set(COMMANDS) == {"train", "evaluate", "quantize", "compare", "margin", "speed", "preview"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_every_option_has_help(name):
    command = COMMANDS[name]
    assert command.help
    assert [option.name for option in command.params if not option.help] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_every_option(name, trainer):
    status, out, _ = trainer(name, "--help")
    assert status == 0
    for option in COMMANDS[name].params:
        assert option.opts[0] in out or option.human_readable_name in out


def test_without_a_command_the_help_is_shown(trainer):
    _, out, err = trainer()
    assert "train" in out + err
    assert "quantize" in out + err


# --- evaluate -------------------------------------------------------------------------------------------------------


def test_evaluate_prints_the_tables_and_writes_the_json_file(trainer, table, tmp_path):
    status, out, err = trainer("evaluate", faces.SHIPPED, "--data", table, "--json", tmp_path / "out" / "result.json")
    assert (status, err) == (0, "")
    assert out.startswith("PublicTest: 14 faces, accuracy ")
    assert "true \\ predicted" in out
    found = json.loads((tmp_path / "out" / "result.json").read_text())
    assert {"split", "n", "accuracy", "macro_f1", "per_class", "confusion"} <= set(found)
    assert (found["n"], len(found["confusion"]), set(found["per_class"])) == (14, 7, set(FER2013_LABELS))


@pytest.mark.parametrize(("split", "n"), [("Training", 7), ("PrivateTest", 7)])
def test_evaluate_measures_the_split_that_is_named(split, n, trainer, table):
    assert trainer("evaluate", faces.SHIPPED, "--data", table, "--split", split)[1].startswith(f"{split}: {n} faces")


@pytest.mark.keras
def test_evaluate_draws_the_confusion_matrix(trainer, table, tmp_path):
    assert trainer("evaluate", faces.SHIPPED, "--data", table, "--plot", tmp_path / "confusion.png")[0] == 0
    assert cv2.imread(str(tmp_path / "confusion.png")) is not None


def test_skip_bad_says_how_many_rows_were_skipped(trainer, tmp_path):
    lines = faces.csv_lines(DATA)
    lines[1:3] = ["0,1 2 3,Training", "9,1 2 3,Training"]
    table = faces.write_lines(tmp_path / "fer2013.csv", lines)
    status, out, err = trainer("evaluate", faces.SHIPPED, "--data", table, "--skip-bad")
    assert (status, err) == (0, f"{table}: 2 bad rows or images skipped\n")
    assert "14 faces" in out


# --- images and pages ---------------------------------------------------------------------------------------------


@pytest.mark.keras
def test_evaluate_writes_a_report_with_robustness_and_a_model_beside(trainer, table, tmp_path):
    page, second = tmp_path / "report.html", tmp_path / "second.tflite"
    second.write_bytes(faces.SHIPPED.read_bytes())
    status, out, err = trainer("evaluate", faces.SHIPPED, "--data", table, "--beside", second, "--report", page)
    assert status == 0
    assert err.splitlines()[-1] == f"written: {page}"
    assert "both say the same of 100.0% of the faces" in out
    assert "noisy (sigma 15)" in out
    text = page.read_text()
    assert "second.tflite" in text
    assert "trainer evaluate" in text


@pytest.mark.keras
def test_preview_draws_what_training_will_see(trainer, table, tmp_path):
    assert trainer("preview", "--data", table, "--out", tmp_path / "seen.png")[0] == 0
    assert cv2.imread(str(tmp_path / "seen.png")) is not None


def test_evaluate_with_votes_holds_the_model_against_their_majority_too(trainer, table, tmp_path):
    votes = faces.write_lines(tmp_path / "fer2013new.csv", faces.ferplus_lines(DATA))
    status, out, _ = trainer("evaluate", faces.SHIPPED, "--data", table, "--ferplus", votes)
    assert status == 0
    assert "against the majority of FER+'s voters: " in out


def test_margin_lists_the_accuracy_for_each_margin(trainer, table):
    status, out, _ = trainer("margin", faces.SHIPPED, "--data", table)
    assert status == 0
    assert "of 14 faces have exactly one Haar box" in out
    assert "<- best" in out


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(table, tmp_path):
    """Good and bad files by name."""
    lines = faces.csv_lines(DATA)
    lines[2] = "9,1 2 3,Training"
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.tflite").write_text("not a model")
    return {
        "MODEL": faces.SHIPPED,
        "DATA": table,
        "BAD": faces.write_lines(tmp_path / "bad.csv", lines),
        "OTHERS": faces.write_folder(tmp_path / "others", faces.class_files(faces.tiny(class_names=("calm", "cross")))),
        "FOLDER": tmp_path / "folder",
        "TEXT": tmp_path / "text.tflite",
        "NONE": tmp_path / "none.keras",
        "TXT": tmp_path / "confusion.txt",
    }


REFUSALS = [
    ("evaluate MODEL --data NONE", 1, "none.keras: not found; name fer2013.csv, an archive with it, or a folder"),
    ("evaluate MODEL --data BAD", 1, "bad.csv line 3: unknown label '9', expected 0 to 6"),
    ("evaluate MODEL --data FOLDER", 1, "folder: neither fer2013.csv nor class folders with images"),
    ("evaluate MODEL --data OTHERS", 1, "others: the model's labels are angry, "),
    ("evaluate MODEL --data DATA --split Test", 1, "fer2013.csv: no rows of split Test; found: Training (7), "),
    ("evaluate MODEL --data DATA --json FOLDER", 1, "folder: cannot be written (Is a directory)"),
    ("evaluate TEXT --data DATA", 78, "text.tflite: not a TFLite model"),
    ("evaluate NONE --data DATA", 78, "none.keras: not found; name a .keras file"),
    ("evaluate DATA --data DATA", 78, "fer2013.csv: expected a .tflite or a .keras file"),
    ("quantize NONE --data DATA --out NONE", 78, "none.keras: not found; name a .keras file"),
    ("evaluate MODEL --data DATA --beside TEXT", 78, "text.tflite: not a TFLite model"),
    ("margin MODEL --data OTHERS", 1, "others: the model's labels are angry, "),
    ("margin NONE --data DATA", 78, "none.keras: cannot be read"),
    ("train --data DATA --label-set ferplus", 1, "fer2013.csv: no votes; name FER+'s fer2013new.csv by --ferplus"),
    ("train --data DATA --label-set eight", 2, "--label-set is 'eight', expected own or ferplus"),
    ("train --data DATA --classes happy,glad", 1, "fer2013.csv: no class glad; there are angry, disgust"),
    ("train --data DATA --unfreeze some", 2, "--unfreeze is 'some', expected a number of layers or all"),
    ("train --data DATA --devices two", 2, "--devices is 'two', expected one or all"),
    ("compare --data DATA", 2, "nothing to compare; name run folders, or networks by --backbones"),
    ("compare FOLDER --data DATA --out TXT", 2, "confusion.txt: expected .md, .csv or .png"),
]
WITH_KERAS = [
    ("evaluate MODEL --data DATA --plot TXT", 2, "confusion.txt: Format 'txt' is not supported"),
    ("train --data NONE --run FOLDER", 1, "none.keras: not found; name fer2013.csv"),
    ("train --data DATA --run FOLDER --devices all", 1, "several devices need Keras on JAX, found tensorflow"),
    ("train --data DATA --run FOLDER/4 --weights none --teacher MODEL --classes sad,fear", 1, "a teacher of angry, "),
    ("compare FOLDER --data DATA", 1, "folder: not a run with a finished epoch; name a folder of 'trainer train'"),
    ("train --data DATA --run FOLDER --epochs 0", 1, "epochs is 0, expected at least 1"),
    ("train --data DATA --run FOLDER --resume", 1, "folder: no run to resume (no settings.json); leave out --resume"),
    ("train --data DATA --run FOLDER/1 --weights NONE", 1, "none.keras': no such file; expected 'imagenet', 'none'"),
    ("train --data DATA --run FOLDER/2 --backbone vgg", 1, "unknown backbone 'vgg'; there are mobilenet_v2"),
    ("train --data DATA --run FOLDER/3 --weights none --ferplus DATA", 1, "fer2013.csv line 1: no column neutral"),
]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [*REFUSALS, *(pytest.param(*case, marks=pytest.mark.keras) for case in WITH_KERAS)],
)
def test_a_refusal_is_one_line_with_its_exit_status(arguments, status, said, files, trainer):
    for name, path in files.items():
        arguments = arguments.replace(name, str(path))
    found, out, err = trainer(*arguments.split())
    line = err.splitlines()[-1]
    assert found == status
    assert line.startswith("trainer: error: ")
    assert said in line
    assert err.count("error") == line.count("error")
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate", faces.SHIPPED], "Missing option '--data'"),
        (["train", "--data", "x", "--epoch", "3"], "No such option: --epoch"),
        (["train", "--data", "x", "--epochs", "many"], "Invalid value for '--epochs'"),
        (["quantize", "m", "--data", "x", "--out", "y", "--samples", "0"], "Invalid value for '--samples'"),
        (["learn"], "No such command 'learn'"),
    ],
)
def test_wrong_usage_is_said_with_status_2(arguments, said, trainer):
    status, _, err = trainer(*arguments)
    assert status == 2
    assert said in err


def test_debug_shows_the_traceback(table):
    done = process("evaluate", "no.tflite", "--data", table, "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "edge.errors.ModelError: no.tflite: cannot be read" in done.stderr


def test_the_installed_command_refuses_in_one_line_and_says_nothing_else(tmp_path):
    bad = faces.encode(DATA.faces[0])[:300]  # OpenCV has a line of its own about that
    folder = faces.write_folder(tmp_path / "data", {"happy/1.png": bad, "sad/1.png": bad})
    done = process("evaluate", faces.SHIPPED, "--data", folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"trainer: error: {folder}/happy/1.png: does not decode as an image; mend or remove it, or use --skip-bad\n"
    )


def test_reading_shows_a_bar_on_a_terminal(table):
    terminal, stderr = pty.openpty()
    done = subprocess.run(
        [COMMAND, "evaluate", faces.SHIPPED, "--data", table],
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=os.environ | {"TERM": "xterm"},
        check=False,
    )
    os.close(stderr)
    shown = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert done.returncode == 0
    assert "reading fer2013.csv" in shown


# --- the whole chain ------------------------------------------------------------------------------------------------


@pytest.mark.keras
@pytest.mark.slow
def test_own_classes_go_from_folders_through_train_quantize_and_evaluate_to_a_reading(trainer, tmp_path, portrait_file):
    names = ("calm", "cross", "glad")
    data = faces.write_folder(tmp_path / "moods", faces.class_files(faces.tiny(training=10, public=0, class_names=names)))
    run, model, result = tmp_path / "run", tmp_path / "moods.tflite", tmp_path / "result.json"

    # The smallest MobileNetV2; most of the time is spent on building its graph, once a phase.
    options = ["--weights", "none", "--alpha", "0.35", "--input-size", "32", "--head-epochs", "0", "--epochs", "1"]
    trained = process("train", "--data", data, "--run", run, "--batch", "8", *options)
    assert (trained.returncode, trained.stderr) == (0, "")  # of all that TensorFlow has to say
    assert trained.stdout.endswith(
        f"best epoch: {run}/best.keras\nnext: trainer quantize {run}/best.keras --data {data} --out emotion.tflite\n"
    )

    status, out, err = trainer("quantize", run / "best.keras", "--data", data, "--out", model, "--samples", "9")
    assert status == 0
    assert "converting with 9 representative faces" in err
    assert out.endswith(f"written: {model}\n")

    assert trainer("evaluate", model, "--data", data, "--json", result)[0] == 0
    assert json.loads(result.read_text())["labels"] == list(names)

    options = ["--model", model, "--sink", "jsonl", "--min-confidence", "0"]
    read = process("run", portrait_file, *options, command=COMMAND.with_name("edge"))
    assert read.returncode == 0
    (face,) = json.loads(read.stdout.splitlines()[0])["faces"]
    assert set(face["scores"]) == set(names)
    assert sum(face["scores"].values()) == pytest.approx(1, abs=1e-3)
    assert face["label"] in names
