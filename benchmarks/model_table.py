"""Train MobileNetV2 of several widths and input sizes alike, and write the accuracy of each to docs/model-costs.json.

Each width starts from the most important channels of --teacher (trainer.networks.narrowing) and is trained once at 64
pixels, --epochs long, by distillation from it. Each row of the table starts from the weights of its width, is trained
for --row-epochs at its own input size, and is quantized. Its accuracy is that of the int8 file on PublicTest.
Everything else is as `trainer train` has it by default. So the rows compare what a short training makes of one model,
not what each network can reach.

A run that was stopped goes on after its last complete step: give the command again. At the end the command fails if a
row is both cheaper and more accurate than a shipped model. Needs .venv-test, which scripts/test.sh makes; takes hours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.common import make_parser
from edge.errors import EmotionEdgeError
from edge.inference import model_file
from edge.system.atomic_file import atomic_write
from trainer import keras_backend
from trainer.data.dataset import PUBLIC_TEST, Dataset
from trainer.data.loader import load_dataset
from trainer.training.settings import TrainingSettings

ROOT = Path(__file__).resolve().parent.parent
COSTS, DOCUMENT = "model-costs.json", "runtime.md"  # files of docs/ that have the table
START_SIZE = 64  # pixels a side: the cheapest row's
# A row's few epochs have about 450 steps each: the trainer's 0.998 would leave 40 % of the weights that it starts from.
ROW_EMA_MOMENTUM = 0.99
SHIPPED_WIDTH = 1.0  # of each model in models/
PROCESSOR = "cortex-a72"  # whose instructions decide which of two models is cheaper

Row = dict[str, Any]  # of docs/model-costs.json, "models"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("model_table", __doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="fer2013.csv, or as of trainer train")
    parser.add_argument(
        "--teacher", type=Path, default=ROOT / "models/emotion.keras", metavar="FILE", help="a .keras file"
    )
    parser.add_argument("--epochs", type=int, default=8, metavar="INT", help="of each width (default: 8)")
    parser.add_argument("--row-epochs", type=int, default=1, metavar="INT", help="of each row (default: 1)")
    parser.add_argument("--backbone", default="mobilenet_v2", metavar="NAME", help="as of trainer train")
    parser.add_argument("--batch-size", type=int, default=TrainingSettings.batch_size, metavar="INT")
    parser.add_argument(
        "--run-dir", type=Path, default=Path("runs/model_table"), metavar="FOLDER", help="of runs and models"
    )
    parser.add_argument(
        "--docs", type=Path, default=ROOT / "docs", metavar="FOLDER", help=f"whose {COSTS} and {DOCUMENT} are written"
    )
    options = parser.parse_args(arguments)
    settings = TrainingSettings(
        data=options.data.name,
        backbone=options.backbone,
        weights=str(options.teacher),
        input_size=START_SIZE,
        head_epochs=0,
        epochs=options.epochs,
        batch_size=options.batch_size,
        teachers=(options.teacher,),
    )
    try:
        dataset = load_dataset(options.data)
        keras_backend.load()
        trainer = TableTrainer(settings, dataset, options.run_dir)
        rows = fill(options.docs, lambda row: trainer.train_row(row["width"], row["input_size"], options.row_epochs))
    except EmotionEdgeError as error:
        sys.exit(f"model_table: error: {error}; give the same command again to go on")
    if better := better_rows(rows, shipped_models(dataset.class_names)):
        sys.exit("model_table: error: cheaper and more accurate than a shipped model: " + "; ".join(better))


def fill(docs: Path, train_row: Callable[[Row], Row]) -> list[Row]:
    """Train each row of the table, write what it reached as soon as it is known, and print the table; return its rows.

    Args:
        docs: folder with the table.
        train_row: a row -> the values that it gets.
    """
    sys.path.append(str(ROOT / "scripts"))
    from pi_vm import tables

    content = json.loads((docs / COSTS).read_text())
    for number, row in enumerate(content["models"], start=1):
        row.update(train_row(row))
        print(
            f"row {number} of {len(content['models'])}: width {row['width']:g}, {row['input_size']} px: "
            f"{row['public_test_accuracy']:.1%}",
            flush=True,
        )
        atomic_write(docs / COSTS, (json.dumps(content, indent=1) + "\n").encode())
        document = docs / DOCUMENT
        atomic_write(document, tables.replace(document.read_text(), tables.models(content)).encode())
    print(tables.models(content))
    return list(content["models"])


class TableTrainer:
    """Trains and quantizes rows of the table; each step that is complete in `folder` is taken from there.

    Args:
        settings: of the training of a width; the width is set for each.
        dataset: with Training and PublicTest rows.
        folder: gets the predictions of the teacher, a run for each width and row, and a .tflite file for each row.
    """

    def __init__(self, settings: TrainingSettings, dataset: Dataset, folder: Path) -> None:
        self._settings, self._dataset, self._folder = settings, dataset, folder

    def train_row(self, width: float, size: int, epochs: int) -> Row:
        """Return what a row says of its training: `epochs` at `size` pixels, from the weights of its width."""
        start = replace(self._settings, alpha=width)
        weights = self._train(start, f"width-{width:g}")
        name = f"width-{width:g}-{size}px"
        row = replace(start, weights=str(weights), input_size=size, epochs=epochs, ema_momentum=ROW_EMA_MOMENTUM)
        best = self._train(row, name)
        start_text = f"{Path(start.weights).name}, {start.epochs} epochs at {start.input_size} px"
        return {
            "public_test_accuracy": self._int8_accuracy(best, self._folder / f"{name}.tflite"),
            "trained_from": f"{start_text}, {epochs} at {size}",
            "epochs": start.epochs + epochs,
        }

    def _train(self, settings: TrainingSettings, name: str) -> Path:
        """Return the best model of the run `name`, which is started, continued, or complete."""
        import keras

        from trainer.training import loop

        folder = self._folder / name
        print(f"{name}: {settings.epochs} epochs at {settings.input_size} px in {folder}", flush=True)
        keras.backend.clear_session()  # the graphs of the run before
        return loop.train(
            settings,
            self._dataset,
            folder,
            resume=(folder / "settings.json").exists(),
            teacher_cache=self._folder / "teacher",
        )

    def _int8_accuracy(self, model: Path, int8: Path) -> float:
        """Return the accuracy on PublicTest of `model`, quantized to the file `int8` if that does not exist."""
        from trainer.quantization.quantize import quantize

        if not int8.exists():
            quantize(model, self._dataset, int8, report_progress=lambda line: print(line, flush=True))
        return float(model_file.load(int8)[1].metrics[PUBLIC_TEST]["accuracy"])


@dataclass(frozen=True)
class ShippedModel:
    """A model in models/ whose labels are those of the table."""

    name: str
    input_size: int  # pixels a side; its width is SHIPPED_WIDTH
    accuracy: float  # int8, on PublicTest, 0 to 1, from its card


def shipped_models(labels: Sequence[str]) -> list[ShippedModel]:
    """Return the models in models/ that have these `labels` and an accuracy on PublicTest."""
    cards = {path.stem: model_file.load(path)[1] for path in sorted((ROOT / "models").glob("*.tflite"))}
    return [
        ShippedModel(name, card.input_size, card.metrics[PUBLIC_TEST]["accuracy"])
        for name, card in cards.items()
        if card.labels == tuple(labels) and PUBLIC_TEST in card.metrics
    ]


def better_rows(rows: Sequence[Mapping[str, Any]], shipped: Sequence[ShippedModel]) -> list[str]:
    """Return a description of each of `rows` that takes fewer instructions and is more accurate than a shipped model.

    A shipped model costs what the row of its width and input size costs. Rows without an accuracy are left out.
    """
    costs = {(row["width"], row["input_size"]): row["instructions"][PROCESSOR] for row in rows}
    return [
        f"width {row['width']:g} at {row['input_size']} px ({row['public_test_accuracy']:.1%}) than {model.name} "
        f"({model.accuracy:.1%})"
        for model in shipped
        for row in rows
        if row["public_test_accuracy"] is not None
        and row["public_test_accuracy"] > model.accuracy
        and row["instructions"][PROCESSOR] < costs[SHIPPED_WIDTH, model.input_size]
    ]


if __name__ == "__main__":
    main()
