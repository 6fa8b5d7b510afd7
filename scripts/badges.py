"""Write the badges of the README, docs/badges/*.svg, from pyproject.toml: python scripts/badges.py

They are files of the repository: a page that shows them asks no other host. tests/docs/test_readme.py compares them.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "badges"
CHARACTER = 7  # pixels, about, of the font below
BADGE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{label}: {value}">
  <title>{label}: {value}</title>
  <rect width="{width}" height="20" rx="3" fill="#2f56d6"/>
  <path d="M3 0h{split}v20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z" fill="#444b5a"/>
  <g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">
    <text x="{label_x}" y="14">{label}</text>
    <text x="{value_x}" y="14">{value}</text>
  </g>
</svg>
"""


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, content in badges().items():
        (FOLDER / f"{name}.svg").write_text(content)


def badges() -> dict[str, str]:
    """Return name -> SVG of each badge: the license, and the versions of Python that are tested."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    values = {"license": project["license"], "python": " | ".join(versions)}
    return {label: badge(label, value) for label, value in values.items()}


def badge(label: str, value: str) -> str:
    """Return a badge as SVG: `label` on gray at the left, `value` on blue at the right."""
    left, right = (CHARACTER * len(text) + 10 for text in (label, value))
    return BADGE.format(
        label=label,
        value=value,
        width=left + right,
        split=left - 3,
        label_x=left / 2,
        value_x=left + right / 2,
    )


if __name__ == "__main__":
    main()
