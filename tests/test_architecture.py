"""Imports point downwards, the device never needs the trainer, and a module loads only when a run uses it.

The layers are data: to add a module or a room, add its name to a layer. Imports inside functions and for types count,
too.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edge.capture import registry as cameras
from edge.capture import synthetic
from edge.config.models import shipped_model
from edge.inference import model_file
from edge.sinks import registry as sinks
from tests.support.paths import ROOT

# The highest layer first. A room, which is a folder or a module, imports rooms of lower layers, and nothing else of the
# package. The package itself, which has the version, is the lowest.
EDGE_LAYERS = (
    ("cli",),
    ("file_worker", "image_worker", "video_analyzer"),
    ("app",),
    ("diagnostics", "setting_checks"),
    ("sinks", "image_analyzer", "file_processor", "auto_model"),
    ("pipeline",),
    ("inference", "tracking"),
    ("detection",),
    ("capture",),
    ("config",),
    ("system",),
    ("types", "errors"),
)
TRAINER_LAYERS = (
    ("cli", "migrate"),
    ("reports",),
    ("quantization", "training"),
    ("evaluation",),
    ("networks", "data"),
    ("keras_file",),
    ("keras_backend",),
    ("errors",),
)
LAYERS = {"edge": EDGE_LAYERS, "trainer": TRAINER_LAYERS}
# Rooms that import fewer rooms than their layer allows.
ALLOWED_ROOMS: dict[str, set[str]] = {
    "capture": {"types", "errors", "config", "system"},
    "sinks": {"types", "errors", "config", "system"},
    "pipeline": {"types", "capture"},
    "types": set(),
    "errors": set(),
}
# A camera or a sink imports itself and these modules of its room, never another camera or sink.
SHARED_MODULES = {"capture": cameras.SUPPORT_MODULES, "sinks": sinks.SUPPORT_MODULES}
RUNTIMES = {"ai_edge_litert", "tflite_runtime"}
WORKSTATION = {"keras", "tensorflow", "matplotlib", "torch", "jax", "trainer", "jinja2"}


# --- the import graph ---------------------------------------------------------------------------------------------


@cache
def modules() -> dict[str, Path]:
    """Return the path of each module of edge and trainer by its name."""
    found = {}
    for package in LAYERS:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


@cache
def imports(module: str) -> frozenset[str]:
    """Return the modules that `module` imports anywhere in its file, those of edge and trainer by their full names."""
    found = set()
    for node in ast.walk(ast.parse(modules()[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            names = {f"{node.module}.{name.name}" for name in node.names}
            found |= {name if name in modules() else str(node.module) for name in names}
    return frozenset(found - {module})


def package_and_room(module: str) -> tuple[str, str]:
    """Return the package and the room of a module; the room of a package itself is empty."""
    package, _, rest = module.partition(".")
    return package, rest.partition(".")[0]


def imports_between_rooms(package: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield importing module, its room, imported module, its room, for each import between two rooms of `package`."""
    for module in modules():
        of, room = package_and_room(module)
        for imported in imports(module) if of == package else ():
            imported_of, imported_room = package_and_room(imported)
            if imported_of == package and imported_room not in {room, ""}:
                yield module, room, imported, imported_room


# --- the layers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", LAYERS)
def test_every_room_is_in_a_layer(package):
    layered = [room for layer in LAYERS[package] for room in layer]
    assert sorted({room for of, room in map(package_and_room, modules()) if of == package} - {""}) == sorted(layered)


@pytest.mark.parametrize("package", LAYERS)
def test_imports_point_downwards(package):
    level = {room: number for number, layer in enumerate(LAYERS[package]) for room in layer}
    upwards = [
        f"{module} -> {imported}"
        for module, room, imported, imported_room in imports_between_rooms(package)
        if level[room] >= level[imported_room]
    ]
    assert upwards == []


def test_rooms_import_only_what_they_may():
    forbidden = [
        f"{module} -> {imported}"
        for module, room, imported, imported_room in imports_between_rooms("edge")
        if room in ALLOWED_ROOMS and imported_room not in ALLOWED_ROOMS[room]
    ]
    assert forbidden == []


@pytest.mark.parametrize("package", LAYERS)
def test_no_modules_import_each_other_in_a_circle(package):
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in done:
            for imported in sorted(imports(module) & modules().keys()):
                visit(imported, (*path, module))
            done.add(module)

    for module in modules():
        if package_and_room(module)[0] == package:
            visit(module, ())


@pytest.mark.parametrize("room", SHARED_MODULES)
def test_no_camera_or_sink_imports_another(room):
    found = []
    for module in modules():
        parts = module.split(".")
        if parts[:2] == ["edge", room] and len(parts) > 2:
            own = {*SHARED_MODULES[room], parts[2]}
            of_room = (name.split(".") for name in imports(module) if name.startswith(f"edge.{room}."))
            found += [f"{module} -> {'.'.join(names)}" for names in of_room if names[2] not in own]
    assert found == []


def test_edge_imports_neither_the_trainer_nor_its_libraries():
    found = [
        f"{module} -> {imported}"
        for module in modules()
        for imported in imports(module)
        if package_and_room(module)[0] == "edge" and imported.partition(".")[0] in WORKSTATION
    ]
    assert found == []


def test_pipeline_imports_neither_opencv_nor_a_runtime():
    assert not roots(set(imports("edge.pipeline"))) & {"cv2", *RUNTIMES}
    loaded = modules_after("import edge.pipeline, edge.capture.latest_frame, edge.inference.smoothing")
    assert not roots(loaded) & {"cv2", *RUNTIMES}


# --- what a command loads -----------------------------------------------------------------------------------------


def modules_after(program: str, *arguments: object) -> set[str]:
    """Return the names of all modules that are loaded after `program` has run in a new process."""
    program = f"import json, sys\n{program}\nprint(json.dumps(list(sys.modules)), file=sys.stderr)"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(result.stderr.splitlines()[-1]))


def modules_after_command(*arguments: object) -> set[str]:
    program = "from edge.cli import main\ntry: main()\nexcept SystemExit as end: assert not end.code"
    return modules_after(program, *arguments)


def roots(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def loaded_of(names: set[str], room: str, candidates: list[str]) -> set[str]:
    """Return which of `candidates`, the cameras or sinks of `room`, are loaded."""
    return {name for name in candidates if f"edge.{room}.{name}" in names}


def test_run_on_an_image_loads_only_its_own_camera_and_sink(portrait_file):
    loaded = modules_after_command("run", portrait_file)
    assert not roots(loaded) & WORKSTATION
    assert loaded_of(loaded, "capture", cameras.names()) == {"file"}
    assert loaded_of(loaded, "sinks", sinks.names()) == {"console"}


def test_info_loads_no_runtime_no_camera_and_no_sink():
    loaded = modules_after_command("info")
    assert not roots(loaded) & (WORKSTATION | RUNTIMES)
    assert not loaded_of(loaded, "capture", cameras.names()) | loaded_of(loaded, "sinks", sinks.names())


def test_command_line_loads_no_image_library():
    assert not roots(modules_after("import edge.cli")) & (WORKSTATION | RUNTIMES | {"cv2"})


def test_types_load_nothing_else_of_the_package():
    assert {name for name in modules_after("import edge.types") if name.startswith("edge.")} == {"edge.types"}


# --- labels are data ----------------------------------------------------------------------------------------------


# The option has its name from what it does for a person; which label that is, models/everyday.toml says.
OPTION_WITH_EMOTION = re.compile(r"calibrate[-_]neutral|docs/neutral\.md|neutral_calibration")


def test_no_emotion_is_spelled_out_in_the_code_of_edge():
    with np.load(Path(synthetic.__file__).with_name("faces.npz")) as faces:
        labels = {*faces.files, *model_file.load(shipped_model())[1].labels}
    found = []
    for module, path in modules().items():
        tree = ast.parse(path.read_text()) if module.startswith("edge.") else ast.Module([], [])
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
        texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        words = {
            word
            for text in texts - docstrings
            if isinstance(text, str)
            for word in re.findall("[a-z]+", OPTION_WITH_EMOTION.sub("", text).lower())
        }
        found += [f"{module}: {word}" for word in words & labels]
    assert found == []
