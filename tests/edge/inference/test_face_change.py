"""Change of a face: seen in its expression, not in light, noise, or a box that moved a little."""

from __future__ import annotations

from unittest.mock import Mock

import cv2
import numpy as np
import pytest

from edge.capture.synthetic import SyntheticScene
from edge.inference.face_change import CHANGE_THRESHOLD, PATCH_PIXELS, extract_patch, face_change, has_changed
from edge.types import Box

SCENE = SyntheticScene()
FACE = Box(220, 140, 200, 200)


def patch(emotion="neutral", box=FACE, drawn=FACE, light=1.0, noise=4.0, seed=0):
    """Return the patch at `box` of a face drawn at `drawn`."""
    image = SCENE.draw((emotion, drawn)) * light + np.random.default_rng(seed).normal(0, noise, (480, 640))
    return extract_patch(np.clip(image, 0, 255).astype(np.uint8), box)


@pytest.mark.parametrize("side", [10, 31, 33, 57, 200, 470])
def test_patch_has_one_size_for_every_face(side):
    assert patch(box=Box(100, 5, side, side)).shape == (PATCH_PIXELS, PATCH_PIXELS)


@pytest.mark.parametrize(
    "later",
    [
        {"seed": 1},
        {"light": 0.5, "seed": 1},
        {"light": 1.3, "seed": 1},
        {"box": Box(226, 134, 200, 200), "seed": 1},
        {"box": Box(216, 136, 208, 208), "seed": 1},
        {"drawn": Box(222, 142, 200, 200), "seed": 1},
    ],
    ids=["noise", "darker", "brighter", "box off by 3 %", "box larger by 4 %", "moved"],
)
def test_light_noise_and_motion_are_no_change(later):
    assert face_change(patch(), patch(**later)) < CHANGE_THRESHOLD
    assert not has_changed(patch(), patch(**later))


@pytest.mark.parametrize("before", SCENE.emotions)
def test_every_other_emotion_is_a_change(before):
    for emotion in set(SCENE.emotions) - {before}:
        assert has_changed(patch(before), patch(emotion, seed=1)), emotion


def test_patches_are_aligned_only_where_they_differ(monkeypatch):
    align = Mock(side_effect=cv2.matchTemplate)
    monkeypatch.setattr(cv2, "matchTemplate", align)
    assert not has_changed(patch(), patch(seed=1))
    assert not align.called
    assert has_changed(patch(), patch("surprise", seed=1))
    assert align.called


def test_mouth_alone_is_a_change():
    neutral, surprised = patch(), patch("surprise")
    mixed = neutral.copy()
    mixed[22:] = surprised[22:]
    assert face_change(neutral, mixed) > CHANGE_THRESHOLD


def test_uniform_patches_are_compared_without_an_error():
    dark = np.zeros((PATCH_PIXELS, PATCH_PIXELS), np.uint8)
    assert face_change(dark, dark) == 0
    assert face_change(dark, patch()) > CHANGE_THRESHOLD
    assert face_change(patch(), dark) > CHANGE_THRESHOLD
