"""Print figures on the structure of the code: modules per room, functions, one-use private helpers, words in README.

Several CHECKOUTs are printed side by side, such as one before a change and one after it. A one-use private helper is
a function whose name begins with one underscore and occurs only twice in all of the code: at its definition and at
one use.
"""

from __future__ import annotations

import argparse
import ast
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("edge", "trainer")
ROOM_FOLDERS = (*PACKAGES, "benchmarks", "scripts", "tests")  # whose folders are counted as rooms


@dataclass(frozen=True)
class Function:
    path: Path
    name: str
    lines: int

    @property
    def is_private(self) -> bool:
        return self.name.startswith("_") and not self.name.startswith("__")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.structure",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkouts", nargs="*", type=Path, metavar="CHECKOUT", default=[Path()], help="default: .")
    parser.add_argument("--list", action="store_true", help="also list the one-use private helpers of the last one")
    options = parser.parse_args(arguments)
    columns = [figures(checkout) for checkout in options.checkouts]
    names = dict.fromkeys(name for column in columns for name in column)
    print(f"{'':44}" + "".join(f"{checkout.resolve().name[-12:]:>14}" for checkout in options.checkouts))
    for name in names:
        print(f"{name:44}" + "".join(f"{column.get(name, '-'):>14}" for column in columns))
    if options.list:
        for function in one_use_helpers(source_files(options.checkouts[-1], PACKAGES)):
            print(f"{function.path}: {function.name}, {function.lines} lines")


def figures(checkout: Path) -> dict[str, str]:
    """Return the figures of a checkout by their names."""
    files = source_files(checkout, PACKAGES)
    all_functions = functions(files)
    lengths = sorted(function.lines for function in all_functions)
    helpers = one_use_helpers(files)
    readme = checkout / "README.md"
    rooms = Counter(str(path.parent.relative_to(checkout)) for path in source_files(checkout, ROOM_FOLDERS))
    return {
        "functions in edge and trainer": str(len(lengths)),
        "  lines, median": f"{statistics.median(lengths):g}",
        "  lines, 90th percentile": str(lengths[len(lengths) * 90 // 100]),
        "  lines, longest": str(lengths[-1]),
        "  one-use private helpers": str(len(helpers)),
        "  fraction of them": f"{len(helpers) / len(lengths):.1%}",
        "words in README.md": str(len(readme.read_text().split())) if readme.exists() else "-",
        **{f"modules in {room}": str(count) for room, count in sorted(rooms.items())},
    }


def source_files(checkout: Path, folders: Sequence[str]) -> list[Path]:
    """Return the Python files below `folders` of a checkout, without `__init__.py`."""
    paths = (path for folder in folders for path in sorted((checkout / folder).rglob("*.py")))
    return [path for path in paths if path.name != "__init__.py"]


def functions(files: Sequence[Path]) -> list[Function]:
    """Return all functions and methods in `files`, with nested ones."""
    return [
        Function(path, node.name, (node.end_lineno or node.lineno) - node.lineno + 1)
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def one_use_helpers(files: Sequence[Path]) -> list[Function]:
    """Return the private functions whose name occurs at most twice in `files`."""
    uses = Counter(name for path in files for name in re.findall(r"\b_[a-z]\w*", path.read_text()))
    return [function for function in functions(files) if function.is_private and uses[function.name] <= 2]


if __name__ == "__main__":
    main()
