"""Every public name has a docstring: modules, classes and functions; of the documented API also each method."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.support.paths import ROOT

REFERENCES = re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
MODULES = [path for package in ("edge", "trainer", "benchmarks") for path in sorted((ROOT / package).rglob("*.py"))]


def public_definitions(tree: ast.Module) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the public classes and functions of a module.

    Left out are a class Sink, which its module describes, and the callback of a command, whose docstring would be its
    help.
    """
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        is_callback = any(".callback" in ast.unparse(each) for each in node.decorator_list)
        if not is_callback and node.name != "Sink":
            yield node


def undocumented(path: Path) -> list[str]:
    tree = ast.parse(path.read_text())
    found = [] if ast.get_docstring(tree) or not tree.body else ["the module"]
    return found + [
        f"line {node.lineno}: {node.name}" for node in public_definitions(tree) if not ast.get_docstring(node)
    ]


@pytest.mark.parametrize("package", ["edge", "trainer"])
def test_each_public_class_and_function_has_a_docstring(package):
    found = {str(path.relative_to(ROOT)): undocumented(path) for path in MODULES if path.is_relative_to(ROOT / package)}
    assert {name: names for name, names in found.items() if names} == {}


def test_each_benchmark_module_has_a_docstring():
    modules = [path for path in MODULES if path.is_relative_to(ROOT / "benchmarks") and path.read_text().strip()]
    assert [path.name for path in modules if not ast.get_docstring(ast.parse(path.read_text()))] == []


@pytest.mark.parametrize("reference", REFERENCES)
def test_each_name_of_the_api_page_has_docstrings(reference):
    module, _, name = reference.rpartition(".")
    try:
        documented = import_module(reference)
    except ModuleNotFoundError:
        documented = getattr(import_module(module), name)
    assert inspect.getdoc(documented)
    for member, value in vars(documented).items():
        if not member.startswith("_") and (inspect.isfunction(value) or inspect.isclass(value)):
            assert inspect.getdoc(value), f"{reference}.{member}"


def test_a_missing_docstring_is_found(tmp_path):
    path = tmp_path / "part.py"
    path.write_text("def read():\n    pass\n\n\ndef _hidden():\n    pass\n\n\nclass Box:\n    '''A box.'''\n")
    assert undocumented(path) == ["the module", "line 1: read"]
