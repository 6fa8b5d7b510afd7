"""What a program gets that imports the package: names loaded when used, images and videos in a few lines."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge
from edge import EmotionEdgeError, FrameResult, ImageAnalyzer, analyze_video
from edge.config.models import packaged_models
from edge.config.settings import RunSettings
from edge.errors import ImageError, SettingsError, SourceNotFoundError, UnknownNameError, UsageError
from edge.image_analyzer import load_image
from edge.inference.classifier import Classifier
from edge.types import Frame
from tests.support.commands import open_descriptors
from tests.support.kiosk import wait_until, write_video

NAMES = {"Box", "EmotionEdgeError", "FaceResult", "Frame", "FrameResult", "ImageAnalyzer", "analyze_video"}


@pytest.fixture(scope="module")
def analyzer():
    return ImageAnalyzer()


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "film.avi", 6)


# --- names --------------------------------------------------------------------------------------------------------


def test_importing_edge_loads_nothing_else():
    program = "import sys, edge; print(*(name for name in sys.modules if name.startswith(('edge.', 'cv2', 'numpy'))))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []


def test_every_name_has_a_docstring_and_is_listed():
    for name in NAMES:
        assert getattr(edge, name).__doc__, name
    assert set(dir(edge)) >= NAMES


def test_type_checkers_know_the_same_names():
    stub = ast.parse(Path(edge.__file__).with_suffix(".pyi").read_text())
    imported = {
        (alias.asname, node.module) for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == {(name, getattr(edge, name).__module__) for name in NAMES}


def test_an_unknown_name_lists_those_that_there_are():
    with pytest.raises(AttributeError, match=r"no attribute 'Analyzer'; it has .*ImageAnalyzer"):
        _ = edge.Analyzer  # type: ignore[attr-defined]


# --- images -------------------------------------------------------------------------------------------------------


def test_an_image_is_a_path_its_content_or_an_array(portrait, portrait_file):
    content = portrait_file.read_bytes()
    for image in (portrait_file, str(portrait_file), content, bytearray(content), memoryview(content), portrait):
        assert np.array_equal(load_image(image), portrait)
    flipped_twice = np.ascontiguousarray(portrait[:, ::-1])[:, ::-1]  # with negative strides, as RGB turned to BGR
    assert np.array_equal(load_image(flipped_twice), portrait)
    assert load_image(portrait[..., 0]).shape == portrait.shape[:2]


def test_the_faces_of_a_file_are_those_of_its_pixels(analyzer, portrait, portrait_file):
    (expected,), (face,) = analyzer.analyze(portrait), analyzer.analyze(portrait_file)
    assert (face.box, face.probabilities) == (expected.box, expected.probabilities)


def test_an_image_that_does_not_exist_is_named(analyzer, tmp_path):
    for path, problem in ((tmp_path / "none.jpg", "no such file"), (tmp_path, "not a regular file")):
        with pytest.raises(SourceNotFoundError, match=rf"{path}: {problem}, expected an image"):
            analyzer.analyze(path)


def test_a_damaged_file_is_named(analyzer, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff" + bytes(100))
    with pytest.raises(ImageError, match=r"bad\.jpg: "):
        analyzer.analyze(tmp_path / "bad.jpg")


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (None, "type NoneType"),
        ([[0, 1], [2, 3]], "type list"),
        (np.zeros((40, 40)), r"shape \(40, 40\) and type float64; expected uint8"),
        (np.zeros((40, 40, 4), np.uint8), r"shape \(40, 40, 4\)"),
        (np.zeros((0, 40), np.uint8), r"shape \(0, 40\)"),
        (np.zeros(40, np.uint8), r"shape \(40,\)"),
        (b"", "not a JPEG"),
    ],
)
def test_what_is_no_image_is_refused(image, words):
    with pytest.raises(ImageError, match=words):
        load_image(image)


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (2, 3000), (3000, 2, 3), (31, 31), (1, 70_000)])
def test_an_image_of_any_size_is_searched(shape, analyzer):
    assert analyzer.analyze(np.zeros(shape, np.uint8)) == ()


def test_model_and_prior_are_chosen_by_name(portrait):
    by_parts = ImageAnalyzer(classifier=Classifier(packaged_models()["emotion"], prior="training"), crops=True)
    by_name = ImageAnalyzer(model="emotion", prior="training", crops=True)
    crop = portrait[66:163, 177:274]
    assert by_name.analyze(crop)[0].probabilities == by_parts.analyze(crop)[0].probabilities
    assert by_name.analyze(crop)[0].probabilities != ImageAnalyzer(crops=True).analyze(crop)[0].probabilities


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"model": "fats"}, UnknownNameError),
        ({"detector": "harr"}, UnknownNameError),
        ({"prior": "calm=2"}, EmotionEdgeError),
        ({"min_confidence": 1.5}, SettingsError),
        ({"min_face_size": 4}, SettingsError),
        ({"min_face_size": True}, SettingsError),
        ({"min_confidence": "x"}, SettingsError),
        ({"prior": {"happy": 0.5}}, SettingsError),
    ],
)
def test_an_invalid_argument_is_an_error_of_the_package(arguments, error):
    with pytest.raises(error):
        ImageAnalyzer(**arguments)
    with pytest.raises(error):
        analyze_video("synthetic:fast", **arguments)


def test_a_classifier_excludes_model_and_prior(classifier):
    with pytest.raises(UsageError, match="leave out classifier"):
        ImageAnalyzer(classifier=classifier, prior="training")


# --- videos and cameras -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [str, Path])
def test_a_video_gives_a_result_for_each_frame(kind, video):
    results = list(analyze_video(kind(video)))
    assert all(isinstance(result, FrameResult) for result in results)
    assert [result.frame.index for result in results] == list(range(6))
    assert [result.stats.frames for result in results] == list(range(1, 7))


def test_a_path_is_a_file_even_with_the_name_of_a_camera(video, monkeypatch, tmp_path):
    (tmp_path / "synthetic").symlink_to(video)
    monkeypatch.chdir(tmp_path)
    assert len(list(analyze_video(Path("synthetic")))) == 6


def test_a_face_keeps_its_identity_from_frame_to_frame():
    results = [result for result, _ in zip(analyze_video("synthetic:fast"), range(30), strict=False)]
    assert {face.track_id for result in results for face in result.faces} == {1}
    assert results[-1].faces[0].label in results[-1].faces[0].probabilities


def test_a_missing_file_is_an_error_before_the_first_frame(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"none\.mp4: no such file"):
        analyze_video(tmp_path / "none.mp4")


@pytest.mark.parametrize("source", [0, 1, "", " ", ["a.mp4"], np.zeros((4, 4), np.uint8), b"a.mp4", False])
def test_a_source_that_is_no_name_is_refused(source):
    with pytest.raises(UsageError, match=r"^source is .*; a USB camera is 'usb:0'$"):
        analyze_video(source)


def test_a_number_of_numpy_is_a_number():
    values: dict[str, Any] = {"min_face_size": np.int32(32), "min_confidence": np.float32(0.5), "half_life": 1}
    RunSettings(**values)


def test_a_flag_is_no_text():
    with pytest.raises(SettingsError, match=r"^calibrate_neutral is 'yes', expected True or False$"):
        analyze_video("synthetic:fast", calibrate_neutral="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("image", "remedy"),
    [
        (np.zeros((4, 4, 1), np.uint8), r"pass image\[..., 0\]"),
        (np.zeros((4, 4, 4), np.uint8), r"pass image\[..., :3\]"),
        (object(), "of a PIL image it is"),
        ("", "the path of the image is empty; name an image file"),
    ],
)
def test_an_image_of_another_form_is_refused_with_the_remedy(image, remedy):
    with pytest.raises(EmotionEdgeError, match=remedy):
        load_image(image)


def test_closing_the_generator_closes_the_video(video):
    before = open_descriptors()
    results = analyze_video(video)
    next(results)
    results.close()
    assert open_descriptors() == before


@pytest.fixture
def camera(monkeypatch):
    """A live camera without end that notes when it was closed."""
    closed: list[bool] = []

    def frames(_):
        try:
            index = 0
            while True:
                yield Frame(np.zeros((48, 64), np.uint8), lambda: np.zeros((48, 64, 3), np.uint8), index / 30, index)
                index += 1
        finally:
            closed.append(True)

    monkeypatch.setattr("edge.capture.synthetic.frames", frames)
    return closed


@pytest.mark.parametrize("ending", ["close", "an error", "no reference"])
def test_a_camera_is_closed_with_the_generator(ending, camera):
    results = analyze_video("synthetic")
    next(results)
    if ending == "close":
        results.close()
    elif ending == "an error":
        with pytest.raises(KeyboardInterrupt):
            results.throw(KeyboardInterrupt())
    else:
        del results
    wait_until(lambda: camera == [True])


def test_a_generator_that_was_never_used_opened_nothing(camera):
    analyze_video("synthetic").close()
    assert camera == []


def test_without_a_source_the_camera_is_detected(camera, monkeypatch):
    monkeypatch.setattr("edge.capture.registry.detect_source", lambda: ("synthetic", "a test"))
    assert next(analyze_video()).frame.gray.shape == (48, 64)
