"""Train one short recipe with each --balance of `trainer train`, and write a table of what each of them does.

The recipe is one head epoch and --epochs of fine-tuning of MobileNetV2 at 64 pixels, with the same seed. The table has
accuracy, macro-F1, macro recall and the recall of the rarest class on PublicTest, of the epoch with the best accuracy
there. A run that was stopped goes on after its last complete epoch: give the command again. Needs .venv-test, which
scripts/test.sh makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from benchmarks.common import make_parser
from edge.system.atomic_file import atomic_write
from trainer import keras_backend
from trainer.data.dataset import PUBLIC_TEST, TRAINING, Dataset
from trainer.data.loader import load_dataset
from trainer.evaluation.metrics import Metrics
from trainer.training.settings import Balance, TrainingSettings

INPUT_SIZE = 64  # pixels a side: 75 s an epoch of FER2013 on two processor cores


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser("class_balance", __doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="fer2013.csv, or as of trainer train")
    parser.add_argument("--weights", default="imagenet", metavar="NAME|FILE", help="as of trainer train")
    parser.add_argument("--backbone", default="mobilenet_v2", metavar="NAME", help="as of trainer train")
    parser.add_argument("--epochs", type=int, default=4, metavar="INT", help="epochs of fine-tuning (default: 4)")
    parser.add_argument("--folder", type=Path, default=Path("runs/class_balance"), metavar="FOLDER", help="of the runs")
    parser.add_argument("--out", type=Path, default=Path("class_balance.md"), metavar="FILE", help="table to write")
    options = parser.parse_args(arguments)
    dataset = load_dataset(options.data)
    keras_backend.load()
    from trainer.evaluation.evaluate import evaluate
    from trainer.training.loop import train

    results = {}
    for balance in get_args(Balance):
        settings = TrainingSettings(
            data=options.data.name,
            backbone=options.backbone,
            weights=options.weights,
            input_size=INPUT_SIZE,
            epochs=options.epochs,
            balance=balance,
        )
        run_dir = options.folder / balance
        best = train(settings, dataset, run_dir, resume=(run_dir / "settings.json").exists())
        results[balance] = evaluate(best, dataset, PUBLIC_TEST).model.metrics
    table = as_markdown(results, rarest_class(dataset))
    atomic_write(options.out, table.encode())
    print(table, end="")


def rarest_class(dataset: Dataset) -> str:
    """Return the class with the fewest Training faces."""
    counts = dataset.split(TRAINING).counts()
    return min(counts, key=lambda name: counts[name])


def as_markdown(results: dict[str, Metrics], rarest: str) -> str:
    """Return a row for each balance in `results`, with the recall of the class `rarest`."""
    lines = [
        f"| --balance | accuracy | macro-F1 | macro recall | recall of {rarest} |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for balance, metrics in results.items():
        recall = metrics.recall[metrics.class_names.index(rarest)]
        macro_recall = np.mean(metrics.recall[metrics.support > 0])
        lines.append(
            f"| `{balance}` | {metrics.accuracy:.3f} | {metrics.macro_f1:.3f} | {macro_recall:.3f} | {recall:.3f} |"
        )
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
