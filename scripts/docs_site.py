"""Build the documentation site into build/docs-site: python scripts/docs_site.py

Needs the dependency group `docs` (pip install --group docs). The pages stay where GitHub shows them, with links such as
../models/README.md, and Zensical reads one folder: so the tracked pages and what they link to are copied into
build/docs-pages, laid out as in the repository. Exit status: Zensical's, 1 for a broken link or anchor.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES, SITE = ROOT / "build" / "docs-pages", ROOT / "build" / "docs-site"
PATTERNS = ("docs/*.md", "**/README.md", "*.md")
LINK = re.compile(r"(\]\()([^)#\s:]+)((?:#[^)\s]*)?\))")
COLOR = re.compile(r"\x1b\[[\d;]*m")
LIST_ITEM = re.compile(r"(?:\d+\.|[-*]) +")
MARKDOWN_INDENT = 4  # of the content of a list item, in Python-Markdown; GitHub accepts the width of its marker


def main() -> int:
    """Collect the pages and build the site; return the exit status."""
    for folder in (PAGES, SITE):
        shutil.rmtree(folder, ignore_errors=True)
    patterns = [f":(glob){each}" for each in PATTERNS]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],  # noqa: S607 (git of the user)
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        text = LINK.sub(partial(copy_linked, ROOT / name), (ROOT / name).read_text())
        (PAGES / name).parent.mkdir(parents=True, exist_ok=True)
        (PAGES / name).write_text(indent_lists(text))
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--clean"]
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(COLOR.sub("", result.stdout))  # Zensical colors each character of a warning, also in a log
    return result.returncode


def copy_linked(page: Path, link: re.Match[str]) -> str:
    """Copy the file that `page` links to, unless it is a page; return the link, for a folder to a list of its files."""
    linked = (page.parent / link[2]).resolve()
    if not linked.is_relative_to(ROOT) or linked.suffix == ".md" or not linked.exists():
        return link[0]
    target = PAGES / linked.relative_to(ROOT)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not linked.is_dir():
        shutil.copyfile(linked, target)
        return link[0]
    target.mkdir(exist_ok=True)
    files = sorted(path for path in linked.iterdir() if path.is_file())
    for file in files:
        shutil.copyfile(file, target / file.name)
    lines = [f"# {linked.relative_to(ROOT)}", "", *(f"- [{file.name}]({file.name})" for file in files)]
    (target / "files.md").write_text("\n".join(lines) + "\n")
    return f"{link[1]}{link[2].rstrip('/')}/files.md{link[3]}"


def indent_lists(text: str) -> str:
    """Indent the content of top-level list items by MARKDOWN_INDENT, which is what Python-Markdown expects."""
    lines, width = [], 0
    for line in text.splitlines():
        item = LIST_ITEM.match(line)
        if item:
            width = item.end()
        elif line and not line.startswith(" " * max(width, 1)):
            width = 0
        lines.append(" " * (MARKDOWN_INDENT - width) + line if width and line and not item else line)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
