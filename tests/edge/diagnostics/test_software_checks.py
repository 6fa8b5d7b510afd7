"""Each problem of Python, OpenCV, the runtime or the model has a status and advice."""

import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import cv2
import pytest

from edge.config.models import shipped_model
from edge.diagnostics import software_checks
from edge.inference import model_file
from edge.system import tflite
from tests.support.checks import assert_check
from tests.support.fake_machine import write_files
from tests.support.runtime import OLD_RUNTIME

MODEL = shipped_model()
RUNTIME = "tflite-runtime" if OLD_RUNTIME else "ai-edge-litert"
VERSIONS = {"runtime": "ai-edge-litert", "runtime_version": "2.3.0", "numpy": "2.4.6", "opencv": "4.14.0"}


@pytest.mark.parametrize(
    ("version", "bits", "status", "word"),
    [
        ((3, 11), 64, "ok", "3.11, 64 bit"),
        ((3, 13), 64, "ok", "3.13"),
        ((3, 10), 64, "error", "3.11, 3.12 or 3.13"),
        ((3, 14), 64, "ok", "newer than the tests are run with"),
        ((3, 11), 32, "warning", "64-bit Raspberry Pi OS"),
    ],
)
def test_python_must_be_a_version_that_has_wheels(version, bits, status, word):
    assert_check(software_checks.check_python(version, bits), status, word)


def test_opencv_5_is_an_error_because_it_has_no_cascades(monkeypatch):
    monkeypatch.setattr(cv2, "__version__", "5.0.0")
    monkeypatch.delattr(cv2, "CascadeClassifier")
    assert_check(software_checks.check_opencv(), "error", "5.0.0", "Haar", "'opencv-python-headless<5'")
    assert_check(software_checks.check_face_detector(), "error", "Haar", "'opencv-python-headless<5'")


def test_two_opencv_packages_are_a_warning_that_names_both(tmp_path, monkeypatch):
    for name in ("opencv-python", "opencv-python-headless"):
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 4.14.0\n"
        write_files(tmp_path, {f"{name.replace('-', '_')}-4.14.0.dist-info/METADATA": text})
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    advice = "pip uninstall -y opencv-python-headless opencv-python; pip install --force-reinstall"
    assert_check(software_checks.check_opencv(), "warning", "opencv-python-headless, opencv-python", advice)


@pytest.mark.parametrize(
    ("runtime", "numpy", "status"),
    [("tflite-runtime", "2.0.1", "error"), ("tflite-runtime", "1.26.4", "ok"), ("ai-edge-litert", "2.4.6", "ok")],
)
def test_the_old_runtime_needs_numpy_1(runtime, numpy, status):
    check = software_checks.check_runtime({**VERSIONS, "runtime": runtime, "numpy": numpy})
    assert_check(check, status, runtime, numpy, *(["pip install 'numpy<2'"] if status == "error" else []))


def test_a_model_is_run_and_its_kernels_are_reported():
    model, kernels = software_checks.check_model(MODEL, RUNTIME, runtime_works=True)
    assert_check(model, "ok", "emotion.tflite", " labels", " ms")
    words = ["tflite-runtime"] if OLD_RUNTIME else ["XNNPACK computes ", " of "]
    assert_check(kernels, "ok", *words)


def test_a_model_that_cannot_be_loaded_or_run_is_an_error(tmp_path):
    path = tmp_path / "cut.tflite"
    path.write_bytes(MODEL.read_bytes()[:1000])
    assert_check(software_checks.check_model(path, None, runtime_works=True)[0], "error", "cut.tflite: ", "--model")
    content, card = model_file.load(MODEL)
    model_file.attach(content, replace(card, labels=("calm",), class_frequencies={}), path)
    assert_check(
        software_checks.check_model(path, None, runtime_works=True)[0], "error", "1 labels", "trainer quantize"
    )
    model_file.attach(content[:8], card, path)
    (check,) = software_checks.check_model(path, None, runtime_works=True)
    assert_check(check, "error", "cut.tflite", "trainer quantize")


def test_file_of_a_detector_that_does_not_load_is_an_error(tmp_path):
    (tmp_path / "net.onnx").write_text("text")
    check = software_checks.check_face_detector(f"yunet:{tmp_path / 'net.onnx'}")
    assert_check(check, "error", "net.onnx: not a YuNet network", "docs/detectors.md")


def test_without_xnnpack_only_the_new_runtime_is_slow():
    module = tflite.runtime()
    resolver = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = module.Interpreter(model_content=model_file.load(MODEL)[0], experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    assert_check(software_checks.check_kernels(interpreter, "ai-edge-litert"), "warning", "no XNNPACK", "slower")
    assert_check(software_checks.check_kernels(interpreter, "tflite-runtime"), "ok", "no XNNPACK")
    assert_check(software_checks.check_kernels(SimpleNamespace(), "other"), "unavailable")


def operation(index: int, name: str, inputs: list[int], outputs: list[int]) -> dict[str, Any]:
    return {"index": index, "op_name": name, "inputs": inputs, "outputs": outputs}


def test_the_operations_that_no_delegate_computes_are_found():
    def executed(*operations):
        return len(software_checks.executed_by_runtime(operations, [5]))

    chain = [operation(number, "ADD", [number, number], [number + 1]) for number in range(5)]
    assert executed(*chain) == 5
    assert executed(*chain, operation(5, "ADD", [0, 0], [99])) == 5  # nobody uses its result
    middle = operation(5, "DELEGATE", [1, 90], [4])  # the second, third and fourth
    assert executed(*chain, middle) == 2
    two = [operation(5, "DELEGATE", [0, 90], [2]), operation(6, "DELEGATE", [3, 90], [5])]
    assert executed(*chain, *two) == 1
    assert executed(*chain, operation(5, "DELEGATE", [0, 90], [5])) == 0


def test_the_operations_of_the_runtime_are_named():
    first, last = operation(0, "QUANTIZE", [0], [1]), operation(3, "SOFTMAX", [3], [4])
    taken = [operation(1, "CONV_2D", [1], [2]), operation(2, "ADD", [2], [3]), operation(4, "DELEGATE", [1], [3])]
    interpreter = SimpleNamespace(
        _get_ops_details=lambda: [first, taken[0], taken[1], last, taken[2]], get_output_details=lambda: [{"index": 4}]
    )
    check = software_checks.check_kernels(interpreter, "ai-edge-litert")
    assert check.message == "XNNPACK computes 2 of 4 operations, the runtime 1 QUANTIZE, 1 SOFTMAX"
    interpreter._get_ops_details = lambda: [operation(0, "ADD", [0], [4]), operation(1, "DELEGATE", [0], [4])]
    assert software_checks.check_kernels(interpreter, "x").message == "XNNPACK computes 1 of 1 operations"
