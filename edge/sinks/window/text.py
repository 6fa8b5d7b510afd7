"""Text as masks, in the font that pygame ships, or in a system font where that one lacks a character."""

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

Mask = NDArray[np.uint8]  # (height, width), coverage of each pixel, 0 to 255

DEFAULT_FONT = str(Path(pygame.__file__).with_name(pygame.font.get_default_font()))  # FreeSans Bold
UNASSIGNED_CHARACTER = "\uffff"  # in no font: it is drawn as every missing character is
MIN_SCALE = 0.7  # of the requested font size, to which text shrinks before it is cut
FC_MATCH_SECONDS = 5


@lru_cache(maxsize=512)
def render(text: str, font_size: int) -> Mask:
    """Return the mask of `text`; `font_size` is in pixels per em.

    Capitals are 0.7 em high. The height of the mask depends on font and size alone.
    """
    directions = (unicodedata.bidirectional(character) for character in text)
    direction = next((each for each in directions if each in {"L", "R", "AL"}), "L")  # of the first that has one
    return _render(_load_font(find_font(text), font_size, direction == "L"), text)


def render_to_width(text: str, font_size: int, width: int) -> Mask:
    """Return the mask of `text`, at most `width` pixels wide: shrunk down to MIN_SCALE, then cut with an ellipsis."""
    full_width = render(text, font_size).shape[1]
    estimate = font_size if full_width <= width else math.ceil(font_size * width / full_width)
    min_size = max(1, round(font_size * MIN_SCALE))
    for size in range(max(estimate, min_size), min_size - 1, -1):
        mask = render(text, size)
        if mask.shape[1] <= width:
            return mask
    for length in range(len(text) - 1, 0, -1):
        mask = render(f"{text[:length].rstrip()}…", min_size)
        if mask.shape[1] <= width:
            return mask
    return mask[:, : max(0, width)]


def wrap(text: str, font_size: int, width: int) -> list[str]:
    """Return `text` in lines at most `width` pixels wide; a longer word gets a line of its own."""
    lines: list[str] = []
    for word in text.split():
        extended = f"{lines[-1]} {word}" if lines else word
        if lines and render(extended, font_size).shape[1] <= width:
            lines[-1] = extended
        else:
            lines.append(word)
    return lines


@lru_cache(maxsize=64)
def find_font(text: str) -> str:
    """Return the file of a font with all characters of `text`; DEFAULT_FONT if it has them, or if no font has."""
    if _has_characters(DEFAULT_FONT, text):
        return DEFAULT_FONT
    characters = " ".join(sorted({f"{ord(character):x}" for character in text}))
    command = ["fc-match", "--format=%{file}", f"sans:bold:charset={characters}"]  # fontconfig's best match
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=FC_MATCH_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return DEFAULT_FONT
    return result.stdout if result.stdout and _has_characters(result.stdout, text) else DEFAULT_FONT


@lru_cache(maxsize=64)
def _load_font(path: str, font_size: int, left_to_right: bool = True) -> pygame.font.Font:
    if not pygame.font.get_init():
        pygame.font.init()
    font = pygame.font.Font(path, font_size)
    if not left_to_right and hasattr(font, "set_direction"):  # missing in older versions of pygame
        font.set_direction(pygame.DIRECTION_RTL)
    return font


def _render(font: pygame.font.Font, text: str) -> Mask:
    return np.ascontiguousarray(pygame.surfarray.array_alpha(font.render(text, True, (255, 255, 255))).T)


def _has_characters(path: str, text: str) -> bool:
    try:
        font = _load_font(path, 16)
        missing = _render(font, UNASSIGNED_CHARACTER)
        return not any(np.array_equal(_render(font, character), missing) for character in set(text))
    except (pygame.error, OSError):  # a font format that pygame does not read
        return False
