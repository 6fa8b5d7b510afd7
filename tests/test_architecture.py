"""What may import what: the device never needs the trainer, and a part loads only when a run names it."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edge
from edge.capture import registry as cameras
from edge.capture import synthetic
from edge.config.models import shipped_model
from edge.inference import model_file
from edge.sinks import registry as sinks

FOLDER = Path(edge.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
WORKSTATION = {"keras", "tensorflow", "matplotlib", "torch", "jax", "trainer"}


def modules_after(program: str, *arguments: object) -> set[str]:
    """Return the names of all modules that are loaded when `program` is done in a fresh Python."""
    program = f"import json, sys\n{program}\nprint(json.dumps(list(sys.modules)), file=sys.stderr)"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(result.stderr.splitlines()[-1]))


def modules_of_a_run(*arguments: object) -> set[str]:
    program = "from edge.cli import main\ntry: main()\nexcept SystemExit as end: assert not end.code"
    return modules_after(program, *arguments)


def roots(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def inside(modules: set[str], package: str) -> set[str]:
    return {name.removeprefix(f"{package}.") for name in modules if name.startswith(f"{package}.")}


def imports(path: Path) -> set[str]:
    """Return the modules that the file at `path` imports anywhere, `from edge import x` as edge.x."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = str(node.module)
            found |= {f"edge.{name.name}" for name in node.names} if module == "edge" else {module}
    return found


def test_a_run_on_a_image_loads_its_own_parts_and_nothing_of_the_workstation(portrait_file):
    modules = modules_of_a_run("run", portrait_file)
    assert not roots(modules) & WORKSTATION
    assert inside(modules, "edge.capture.registry") == {"file"}
    assert inside(modules, "edge.sinks.registry") == {"console"}


def test_info_loads_neither_a_runtime_nor_a_camera_nor_a_sink():
    modules = modules_of_a_run("info")
    assert not roots(modules) & {*WORKSTATION, "ai_edge_litert", "tflite_runtime"}
    assert not inside(modules, "edge.capture.registry") | inside(modules, "edge.sinks.registry")


def test_the_command_itself_loads_no_image_library_until_it_is_needed():
    assert not roots(modules_after("import edge.cli")) & {*WORKSTATION, "cv2", "ai_edge_litert", "tflite_runtime"}


def test_the_pipeline_its_pace_and_its_threads_need_neither_opencv_nor_a_runtime():
    loaded = modules_after(
        "import edge.capture.latest_frame, edge.capture.frame_rate, edge.pipeline, edge.inference.smoothing"
    )
    assert not roots(loaded) & {"cv2", "ai_edge_litert", "tflite_runtime"}


def test_values_import_nothing_of_ours():
    assert inside(modules_after("import edge.types"), "edge") == {"values"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_no_file_of_the_edge_imports_the_trainer_or_its_libraries(path):
    assert not roots(imports(path)) & WORKSTATION


@pytest.mark.parametrize(
    "path",
    [path for package in (cameras, sinks) for path in sorted(Path(str(package.__file__)).parent.rglob("*.py"))],
    ids=lambda path: str(path.relative_to(FOLDER)),
)
def test_a_camera_or_a_sink_knows_only_the_values_and_what_several_of_them_share(path):
    own = f"edge.sinks.registry.{path.parent.name}."  # of a sink that is a folder
    ours = {name for name in imports(path) if name.partition(".")[0] == "edge" and not f"{name}.".startswith(own)}
    shared = {
        "errors",
        "files",
        "drawing",
        "suppress_native_output",
        "outbox",
        "options",
        "machine",
        "journal",
        "daylog",
        "plain",
    }
    shared |= {"presence", "secret"}
    assert ours <= {"edge.types", *(f"edge.{name}" for name in shared)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_no_emotion_is_spelled_out_in_the_code(path):
    with np.load(Path(synthetic.__file__).with_name("faces.npz")) as faces:
        labels = {*faces.files, *model_file.load(shipped_model())[1].labels}
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    words = {word for text in texts - docstrings for word in re.findall(r"[a-z]+", text.lower())}
    assert not words & labels
