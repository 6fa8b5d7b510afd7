"""How this installation of emotion-edge gets the packages of an extra."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]  # of the checkout, if this is one


def is_checkout() -> bool:
    """Return whether the program runs from a checkout, not from an installed wheel."""
    return (ROOT / "scripts" / "run.sh").is_file()


def install_command(extra: str) -> str:
    """Return the command that installs the packages of `extra` of pyproject.toml into this environment."""
    return f"pip install -e '{ROOT}[{extra}]'" if is_checkout() else f"pip install 'emotion-edge[{extra}]'"
