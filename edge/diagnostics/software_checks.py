"""Checks of Python, OpenCV, the TFLite runtime and the model.

What may be missing or broken, NumPy and OpenCV among it, is imported by the check that needs it.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge.config.defaults import DETECTOR
from edge.detection import registry as detectors
from edge.diagnostics.check import Check, describe_error
from edge.diagnostics.environment import IMPORT_ERRORS, installed_version
from edge.errors import EmotionEdgeError
from edge.inference import model_file

FIRST_PYTHON, LAST_TESTED_PYTHON = (3, 11), (3, 13)
OPENCV_PACKAGES = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)
DELEGATE = "DELEGATE"  # the runtime's name for an operation that a delegate computes

# The environment that scripts/run.sh makes has no pip.
_NEW_ENVIRONMENT = ", or delete .venv and run scripts/run.sh again"
_INSTALL_OPENCV = f"pip install --force-reinstall 'opencv-python-headless<5'{_NEW_ENVIRONMENT}"
_INSTALL_RUNTIME = f"pip install --force-reinstall ai-edge-litert{_NEW_ENVIRONMENT}"


def check_python(
    version: tuple[int, int] = sys.version_info[:2], bits: int = 64 if sys.maxsize > 2**32 else 32
) -> Check:
    """Check the version of Python, (major, minor), and the size of its pointers."""
    message = f"{version[0]}.{version[1]}, {bits} bit"
    if version < FIRST_PYTHON:
        return Check("python", "error", message, "create the environment with Python 3.11, 3.12 or 3.13")
    if version > LAST_TESTED_PYTHON:
        message += ", newer than the tests are run with"
    if bits == 32:
        advice = "install the 64-bit Raspberry Pi OS: 32 bit has an old, slower runtime, and only for Python 3.11"
        return Check("python", "warning", message, advice)
    return Check("python", "ok", message)


def check_opencv() -> Check:
    """Check that OpenCV can be imported, has Haar cascades, and comes from one package."""
    packages = [name for name in OPENCV_PACKAGES if installed_version(name)]
    try:
        import cv2

        version = cv2.__version__
    except IMPORT_ERRORS as error:
        return Check("opencv", "error", f"cannot be imported: {error}", _INSTALL_OPENCV)
    message = f"{version} ({', '.join(packages) or 'from no package'})"
    if int(version.split(".")[0]) >= 5:
        return Check("opencv", "error", f"{message}: version 5 has no Haar cascades", _INSTALL_OPENCV)
    if len(packages) > 1:
        advice = f"pip uninstall -y {' '.join(packages)}; {_INSTALL_OPENCV}"
        return Check("opencv", "warning", f"{message}: these packages overwrite each other's files", advice)
    return Check("opencv", "ok", message)


def check_face_detector(spec: str = DETECTOR) -> Check:
    """Load the detector of `spec`, see edge.detection.registry."""
    try:
        from edge.detection.haar import DEFAULT_CASCADE

        detectors.make_detector(spec)
    except EmotionEdgeError as error:
        advice = _INSTALL_OPENCV if spec == DETECTOR else "name another file with --detector; see docs/detectors.md"
        return Check("face detector", "error", describe_error(error), advice)
    except IMPORT_ERRORS:
        return Check("face detector", "unavailable", "needs OpenCV")
    loaded = DEFAULT_CASCADE if spec == DETECTOR else spec
    return Check("face detector", "ok", f"{loaded} can be loaded")


def check_runtime(versions: Mapping[str, str | None]) -> Check:
    """Check the TFLite runtime; `versions` are those of edge.diagnostics.environment."""
    if versions["opencv"] is None:  # the classifier needs it to prepare its input
        return Check("runtime", "unavailable", "needs OpenCV")
    try:
        from edge.system.native_output import suppress_native_output
        from edge.system.tflite import runtime

        with suppress_native_output(2):
            runtime()
    except (EmotionEdgeError, *IMPORT_ERRORS) as error:
        return Check("runtime", "error", f"none can be imported: {error}", _INSTALL_RUNTIME)
    message = f"{versions['runtime']} {versions['runtime_version']} with NumPy {versions['numpy']}"
    if versions["runtime"] == "tflite-runtime" and int((versions["numpy"] or "1").split(".")[0]) >= 2:
        advice = f"pip install 'numpy<2' 'opencv-python-headless<4.12'{_NEW_ENVIRONMENT}"
        return Check("runtime", "error", f"{message}: it was built for NumPy 1 and runs no model with NumPy 2", advice)
    return Check("runtime", "ok", message)


def check_model(path: Path, runtime: str | None, runtime_works: bool) -> list[Check]:
    """Load the model at `path`, run it, and check how it is computed.

    Args:
        runtime: name of the runtime's package.
        runtime_works: whether it can be imported.
    """
    try:
        _, card = model_file.load(path)
    except EmotionEdgeError as error:
        return [Check("model", "error", describe_error(error), "copy the file again, or name another with --model")]
    message = f"{path.name} ({card.name}), {len(card.labels)} labels"
    if not runtime_works:
        return [Check("model", "unavailable", f"{message}; not run: it needs the runtime")]
    import numpy as np

    from edge.inference.classifier import Classifier
    from edge.types import Box

    try:
        classifier = Classifier(path)
        face = classifier.prepare(np.full((480, 640), 128, np.uint8), Box(200, 120, 240, 240))
        classifier.classify(face)  # the first inference allocates buffers
        start = time.perf_counter()
        classifier.classify(face)
        seconds = time.perf_counter() - start
    except (EmotionEdgeError, *IMPORT_ERRORS) as error:
        advice = "create it again with 'trainer quantize'"
        return [Check("model", "error", f"{message}: {describe_error(error)}", advice)]
    interpreter = classifier._interpreter  # noqa: SLF001 (only the interpreter knows its kernels)
    return [
        Check("model", "ok", f"{message}; one inference takes {1000 * seconds:.1f} ms"),
        check_kernels(interpreter, runtime),
    ]


def check_kernels(interpreter: Any, runtime: str | None) -> Check:
    """Check which kernels compute the model. No delegate is passed in, so one that is there is the built-in XNNPACK."""
    list_operations: Callable[[], list[dict[str, Any]]] = getattr(interpreter, "_get_ops_details", list)  # not public
    operations = list_operations()
    if not operations:
        return Check("kernels", "unavailable", "this runtime does not report its kernels")
    total = sum(each["op_name"] != DELEGATE for each in operations)
    others = executed_by_runtime(operations, [int(each["index"]) for each in interpreter.get_output_details()])
    if any(each["op_name"] == DELEGATE for each in operations):
        names = ", ".join(f"{count} {name}" for name, count in sorted(Counter(others).items()))
        rest = f", the runtime {names}" if others else ""
        return Check("kernels", "ok", f"XNNPACK computes {total - len(others)} of {total} operations{rest}")
    message = f"built-in reference kernels of {runtime}, no XNNPACK"
    if runtime == "tflite-runtime":  # it does not use XNNPACK for int8
        return Check("kernels", "ok", message)
    return Check("kernels", "warning", f"{message}: slower", _INSTALL_RUNTIME)


def executed_by_runtime(operations: Sequence[Mapping[str, Any]], outputs: Iterable[int]) -> list[str]:
    """Return the names of the operations that no delegate computes, those of a result that nobody uses left out.

    The runtime's list keeps the operations that a delegate replaced. Those that are executed are found backwards from
    the tensors `outputs`, through the delegate wherever it produces a tensor.
    """
    original = [each for each in operations if each["op_name"] != DELEGATE]
    delegates = [each for each in operations if each["op_name"] == DELEGATE]
    producers = {int(tensor): each for each in [*original, *delegates] for tensor in each["outputs"]}
    executed, visited, pending = list[str](), set(), list(outputs)
    while pending:
        operation = producers.get(pending.pop())
        if operation is not None and operation["index"] not in visited:
            visited.add(operation["index"])
            executed += [operation["op_name"]] * (operation["op_name"] != DELEGATE)
            pending += [int(tensor) for tensor in operation["inputs"]]
    return executed
