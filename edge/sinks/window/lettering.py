"""Letters as masks, in the font that pygame ships, or in one of the machine's where that one lacks a letter."""

from __future__ import annotations

import os
import subprocess
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"

import pygame

SHIPPED = ""  # stands for pygame's own font, FreeSans Bold
LEAST = 0.6  # of the wanted size, to which letters shrink before words are cut


@lru_cache(maxsize=512)
def mask(text: str, em: int) -> NDArray[np.uint8]:
    """Return how much of each pixel `text` covers, (height, width) 0 to 255; `em` is the letters' size in pixels.

    Capitals are 0.7 em high. The height depends on font and size alone.
    """
    surface = _font(font_for(text), em).render(text, True, (255, 255, 255))
    return np.ascontiguousarray(pygame.surfarray.array_alpha(surface).T)


def fitted(text: str, em: int, width: int) -> NDArray[np.uint8]:
    """Return the mask of `text` no wider than `width` pixels: in smaller letters, and cut where that is not enough."""
    whole = mask(text, em)
    if whole.shape[1] <= width:
        return whole
    small = max(1, round(em * max(LEAST, width / whole.shape[1])))
    for length in range(len(text), 0, -1):
        found = mask(text if length == len(text) else f"{text[:length].rstrip()}…", small)
        if found.shape[1] <= width:
            return found
    return whole[:, : max(0, width)]


@lru_cache(maxsize=64)
def font_for(text: str) -> str:
    """Return the file of a font that has all letters of `text`; SHIPPED if that one has, or if none has."""
    if _has(SHIPPED, text):
        return SHIPPED
    found = _matching(text)
    return found if found and _has(found, text) else SHIPPED


@lru_cache(maxsize=64)
def _font(path: str, em: int) -> pygame.font.Font:
    if not pygame.font.get_init():
        pygame.font.init()
    return pygame.font.Font(path or None, em)


def _has(path: str, text: str) -> bool:
    try:
        return None not in _font(path, 16).metrics(text)
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
