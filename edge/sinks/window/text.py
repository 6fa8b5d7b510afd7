"""Letters as masks, in the font that pygame ships, or in one of the machine's where that one lacks a letter."""

from __future__ import annotations

import math
import os
import subprocess
import unicodedata
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"

import pygame

SHIPPED = str(Path(pygame.__file__).with_name(pygame.font.get_default_font()))  # FreeSans Bold
NO_LETTER = "\uffff"  # no font has one for it: it looks as all letters do that a font lacks
LEAST = 0.7  # of the wanted size, to which letters shrink before words are cut


@lru_cache(maxsize=512)
def mask(text: str, em: int) -> NDArray[np.uint8]:
    """Return how much of each pixel `text` covers, (height, width) 0 to 255; `em` is the letters' size in pixels.

    Capitals are 0.7 em high. The height depends on font and size alone.
    """
    return _rendered(_font(font_for(text), em, _rightwards(text)), text)


def fitted(text: str, em: int, width: int) -> NDArray[np.uint8]:
    """Return the mask of `text` no wider than `width` pixels: in smaller letters, and cut where that is not enough."""
    whole = mask(text, em).shape[1]
    nearly = em if whole <= width else math.ceil(em * width / whole)
    small = max(1, round(em * LEAST))
    for size in range(max(nearly, small), small - 1, -1):
        found = mask(text, size)
        if found.shape[1] <= width:
            return found
    for length in range(len(text) - 1, 0, -1):
        found = mask(f"{text[:length].rstrip()}…", small)
        if found.shape[1] <= width:
            return found
    return found[:, : max(0, width)]


@lru_cache(maxsize=64)
def font_for(text: str) -> str:
    """Return the file of a font that has all letters of `text`; SHIPPED if that one has, or if none has."""
    if _has(SHIPPED, text):
        return SHIPPED
    found = _matching(text)
    return found if found and _has(found, text) else SHIPPED


@lru_cache(maxsize=64)
def _font(path: str, em: int, rightwards: bool = True) -> pygame.font.Font:
    if not pygame.font.get_init():
        pygame.font.init()
    font = pygame.font.Font(path, em)
    if not rightwards and hasattr(font, "set_direction"):  # older ones cannot
        font.set_direction(pygame.DIRECTION_RTL)
    return font


def _rendered(font: pygame.font.Font, text: str) -> NDArray[np.uint8]:
    return np.ascontiguousarray(pygame.surfarray.array_alpha(font.render(text, True, (255, 255, 255))).T)


def _rightwards(text: str) -> bool:
    """Return whether `text` runs from left to right, as its first letter does."""
    directions = (unicodedata.bidirectional(letter) for letter in text)
    return next((direction for direction in directions if direction in {"L", "R", "AL"}), "L") == "L"


def _has(path: str, text: str) -> bool:
    try:
        font = _font(path, 16)
        missing = _rendered(font, NO_LETTER)
        return not any(np.array_equal(_rendered(font, letter), missing) for letter in set(text))
    except (pygame.error, OSError):  # a font of a kind that is not known
        return False


def _matching(text: str) -> str | None:
    """Return the file of the font that fontconfig finds nearest to what `text` needs; None without fontconfig."""
    letters = " ".join(sorted({f"{ord(letter):x}" for letter in text}))
    command = ["fc-match", "--format=%{file}", f"sans:bold:charset={letters}"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout or None
