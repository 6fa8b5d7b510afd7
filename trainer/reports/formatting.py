"""Results as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.evaluation.crop_padding import CropPaddingResult
    from trainer.evaluation.evaluate import Evaluation
    from trainer.evaluation.metrics import Metrics, SceneMetrics
    from trainer.quantization.quantize import QuantizationResult
    from trainer.reports.comparison import ComparedFile
    from trainer.training.averaging import AverageResult
    from trainer.training.input_benchmark import InputSpeed


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """Return `rows` with aligned columns, the first one to the left and the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for first, *rest in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def format_selective(threshold: float, coverage: float, accuracy: float) -> str:
    """Return what a threshold on the confidence does; all three are fractions, 0 to 1."""
    return f"at threshold {threshold:g}: coverage {100 * coverage:.1f} %, selective accuracy {100 * accuracy:.1f} %"


def format_metrics(metrics: Metrics) -> str:
    """Return accuracy, the table of the classes and the confusion matrix."""
    low, high = metrics.accuracy_interval
    accuracy = f"accuracy {metrics.accuracy:.4f} (95 % CI {low:.4f} to {high:.4f}), macro-F1 {metrics.macro_f1:.4f}"
    per_class = [("class", "precision", "recall", "F1", "faces")]
    columns = zip(metrics.class_names, metrics.precision, metrics.recall, metrics.f1, metrics.support, strict=True)
    per_class += [(name, f"{p:.3f}", f"{r:.3f}", f"{f:.3f}", str(n)) for name, p, r, f, n in columns]
    confusion = [("true \\ predicted", *metrics.class_names)]
    counts = zip(metrics.class_names, metrics.confusion.tolist(), strict=True)
    confusion += [(name, *map(str, row)) for name, row in counts]
    head = f"{metrics.split}: {metrics.n} faces, {accuracy}"
    measured = [name for name, n in zip(metrics.class_names, metrics.support, strict=True) if n]
    if len(measured) < len(metrics.class_names):
        head += (
            f"\nmeasured on {len(measured)} of {len(metrics.class_names)} labels: {', '.join(measured)}; "
            "a prediction of another label is wrong"
        )
    return f"{head}\n\n{format_table(per_class)}\n\n{format_table(confusion)}"


def format_evaluation(evaluation: Evaluation) -> str:
    """Return all that was measured of a model; a part that was not measured is left out."""
    model = evaluation.model
    selective = format_selective(evaluation.min_confidence, *evaluation.coverage(model))
    calibration = (
        f"expected calibration error {evaluation.calibration_error(model):.4f} "
        f"({evaluation.cross_fitted_error(model):.4f} cross-fitted), temperature that would fit these faces "
        f"{evaluation.fitted_temperature:.2f}"
    )
    parts = [
        *([format_scenes(evaluation.scenes)] if evaluation.scenes else []),
        format_metrics(model.metrics),
        f"prior: {evaluation.prior}\n{calibration}; {selective}",
    ]
    if evaluation.unseen:
        parts.append(f"on the {evaluation.unseen.n} faces that are not in Training: {_summary(evaluation.unseen)}")
    if evaluation.compared:
        agreement = f"agreement {100 * evaluation.agreement:.1f} %"
        parts.append(f"{evaluation.compared.name}: {_summary(evaluation.compared.metrics)}; {agreement}")
    if evaluation.flip_tta:
        parts.append(f"flip TTA: {_summary(evaluation.flip_tta)}")
    if evaluation.ferplus:
        parts.append(f"FER+ majority: {evaluation.ferplus.n} faces, {_summary(evaluation.ferplus)}")
    if evaluation.corruptions:
        parts.append(format_corruptions(evaluation.corruptions))
    return "\n\n".join(parts)


def format_scenes(scenes: SceneMetrics) -> str:
    """Return what was found in the images, and the accuracy of all of them."""
    low, high = scenes.accuracy_interval
    skipped = f" ({scenes.skipped} invalid ones skipped)" if scenes.skipped else ""
    rows = [("class", "images", "found", "recall")]
    columns = zip(scenes.found.class_names, scenes.images, scenes.found.support, scenes.recall, strict=True)
    rows += [(name, str(images), str(found), f"{recall:.3f}") for name, images, found, recall in columns]
    return (
        f"{scenes.n} images{skipped}: {scenes.found.n} faces found ({100 * scenes.detection_rate:.1f} %), "
        f"{scenes.extra_faces} extra faces, {scenes.milliseconds:.1f} ms an image\n"
        f"all images, a missed face is wrong: accuracy {scenes.accuracy:.4f} (95 % CI {low:.4f} to {high:.4f}), "
        f"macro recall {scenes.macro_recall:.4f}\n\n{format_table(rows)}"
    )


def _summary(metrics: Metrics) -> str:
    return f"accuracy {metrics.accuracy:.4f}, macro-F1 {metrics.macro_f1:.4f}"


def format_corruptions(by_model: Mapping[str, Mapping[str, Metrics]]) -> str:
    """Return accuracy and macro-F1 of each model (columns) under each corruption (rows)."""
    rows = [("accuracy (macro-F1)", *by_model)]
    for name in next(iter(by_model.values())):
        cells = [f"{m[name].accuracy:.4f} ({m[name].macro_f1:.3f})" for m in by_model.values()]
        rows.append((name, *cells))
    return format_table(rows)


def format_crop_paddings(result: CropPaddingResult) -> str:
    """Return the accuracy for each crop padding, the best one marked."""
    rows = [("crop padding", "accuracy", "")]
    for padding, accuracy in result.accuracy.items():
        rows.append((f"{padding:+.2f}", f"{accuracy:.4f}", "<- best" if padding == result.best else ""))
    return (
        f"{result.detected} of {result.faces} faces have exactly one Haar box; median width of the boxes: "
        f"{result.box_width:.2f} of the face\n"
        f"accuracy on these faces without detection: {result.baseline_accuracy:.4f}\n\n{format_table(rows)}"
    )


def format_quantization(result: QuantizationResult) -> str:
    """Return float and int8 in two columns, then agreement and calibration."""
    before, after = result.float_metrics, result.int8_metrics
    rows = [
        ("", "float", "int8"),
        ("file, bytes", f"{result.float_bytes:,}", f"{result.int8_bytes:,}"),
        (f"{after.split} accuracy", f"{before.accuracy:.4f}", f"{after.accuracy:.4f}"),
        (f"{after.split} macro-F1", f"{before.macro_f1:.4f}", f"{after.macro_f1:.4f}"),
    ]
    for name, float_f1, int8_f1 in zip(before.class_names, before.f1, after.f1, strict=True):
        rows.append((f"F1 {name}", f"{float_f1:.3f}", f"{int8_f1:.3f}"))
    name, f1_loss = result.largest_f1_loss
    errors = f"{result.uncalibrated_error:.3f} -> {result.calibrated_error:.3f}"
    selective = format_selective(result.min_confidence, result.coverage, result.selective_accuracy)
    return (
        f"{format_table(rows)}\n"
        f"agreement {100 * result.agreement:.1f} % of {after.n} faces; largest change: {name}, F1 {-f1_loss:+.3f}\n"
        f"temperature {result.temperature:.3f}: expected calibration error {errors}; {selective}"
        " (both cross-fitted)"
    )


def format_pairs(compared: Sequence[ComparedFile]) -> str:
    """Return accuracy and macro-F1 of each file, and its paired difference from the first one with p."""
    first = compared[0]
    rows = [(first.metrics.split, "accuracy", "macro-F1", "difference", "95 % CI", "only it", "only first", "p")]
    for each in compared:
        cells = (str(each.path), f"{each.metrics.accuracy:.4f}", f"{each.metrics.macro_f1:.4f}")
        if each is first:
            rows.append((*cells, "", "", "", "", ""))
            continue
        pair, (low, high) = each.difference, each.difference.interval
        measured = (f"{pair.difference:+.4f}", f"{low:+.4f} to {high:+.4f}", str(pair.better), str(pair.worse))
        rows.append((*cells, *measured, f"{pair.p_value:.2g}"))
    return (
        f"{format_table(rows)}\n{first.difference.n} faces; only it, only first: faces that one of the two gets right; "
        "p by McNemar's exact test"
    )


def format_average(result: AverageResult) -> str:
    """Return accuracy, macro-F1 and log loss of each member and of the mean of the weights."""
    rows = [(result.mean.split, "accuracy", "macro-F1", "loss")]
    measured = [*((str(path), metrics) for path, metrics in result.members.items()), ("mean", result.mean)]
    rows += [(name, f"{m.accuracy:.4f}", f"{m.macro_f1:.4f}", f"{m.loss:.4f}") for name, m in measured]
    return format_table(rows)


def format_input_benchmark(result: InputSpeed) -> str:
    """Return the two pairs of the input benchmark and their ratios."""
    rows = [
        ("", "ours", "baseline", "ratio"),
        (
            "augmented faces per second; baseline: ImageDataGenerator",
            f"{result.images:,.0f}",
            f"{result.keras_images:,.0f}",
            f"{result.image_ratio:.2f}",
        ),
        (
            "training steps per second; baseline: a constant batch",
            f"{result.steps:,.2f}",
            f"{result.constant_steps:,.2f}",
            f"{result.step_ratio:.2f}",
        ),
    ]
    return format_table(rows)
