"""Check that a tag, the version and the changelog say the same: python scripts/check_release.py v1.2.3."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def find_problems(tag: str, root: Path = ROOT) -> list[str]:
    """Return what keeps the checkout at `root` from being released as `tag`, one line each; empty: nothing."""
    source = (root / "edge/__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(.+?)"', source, re.MULTILINE)
    found = version[1] if version else "none"
    problems = [] if tag == f"v{found}" else [f"the tag is {tag}, but the version in edge/__init__.py {found}"]
    sections = re.split(r"^## ", (root / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    if not any(re.match(rf"{re.escape(found)} - \d{{4}}-\d{{2}}-\d{{2}}\n", section) for section in sections):
        problems.append(f"CHANGELOG.md has no heading '## {found} - YYYY-MM-DD'")
    if any(section.startswith("Unreleased\n") and "\n- " in section for section in sections):
        problems.append(f"CHANGELOG.md has entries under Unreleased; move them under {found}")
    return problems


def main() -> None:
    """Print the problems, and exit with status 1 if there are any."""
    if len(sys.argv) != 2:
        sys.exit("usage: check_release.py vVERSION")
    if problems := find_problems(sys.argv[1]):
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
