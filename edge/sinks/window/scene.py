"""The content of the window as an image of the screen's size; independent of any window system.

Lengths are in vmin, hundredths of the screen's shorter side, so that the layout is the same on every screen, however
it is mounted. The smallest text that is to be read from a distance has a font size of 5.5 vmin, capitals of 4 vmin: on
a screen 30 cm high these are 12 mm, which is legible from 3 m.
"""

from __future__ import annotations

import cv2
import numpy as np

from edge.sinks.window import bar_chart, cards, palette, primitives, radial_chart, text
from edge.sinks.window.bar_chart import Area
from edge.sinks.window.cards import GAP_VMIN, MAX_CARD_VMIN, MIN_CARD_VMIN, SMALL_TITLE_VMIN, TITLE_VMIN
from edge.sinks.window.messages import DisplayFrame, DisplayOptions
from edge.sinks.window.primitives import Image
from edge.sinks.window.radial_chart import label_color, label_text
from edge.types import Box, FaceResult

WAITING_TEXT = "Waiting for the camera"
WAITING_VMIN = 9.0  # font size
CARD_CLEARANCE_VMIN = 6.0  # between the cards and the next face, before cards move to a side
FPS_VMIN = 4.0  # font size: read from nearby only
MIN_ROWS = 5  # of a bar chart below the image


class SceneRenderer:
    """Renders frames according to `options`."""

    def __init__(self, options: DisplayOptions) -> None:
        self._options = options
        self._card_side: str | None = "right"  # of the last frame; cards stay there unless they would cover a face

    def draw(self, frame: DisplayFrame | None, size: tuple[int, int]) -> Image:
        """Return the screen's content, (height, width, 3) uint8 RGB.

        Args:
            frame: None: the camera has given no frame for a while.
            size: of the screen, (width, height) in pixels.
        """
        width, height = size
        canvas = np.full((height, width, 3), palette.BACKGROUND, np.uint8)
        if frame is None:
            screen, font_size = Area(0, 0, width, height), round(WAITING_VMIN * min(size) / 100)
            radial_chart.draw_wrapped(canvas, screen, WAITING_TEXT, font_size, palette.DIM_TEXT, left_aligned=False)
        elif frame.image is None:
            radial_chart.draw(canvas, frame.faces, self._options)
            _draw_fps(canvas, frame.fps)
        else:
            scene = _ImageScene(canvas, frame, self._options)
            self._card_side = scene.choose_card_side(self._card_side)
            scene.draw(self._card_side)
        return canvas


class _ImageScene:
    """The camera's image at the left or at the top, and cards with bar charts in the free space or over the image."""

    def __init__(self, canvas: Image, frame: DisplayFrame, options: DisplayOptions) -> None:
        self._canvas, self._frame, self._options = canvas, frame, options
        self._height, self._width = canvas.shape[:2]
        self._vmin = min(self._width, self._height) / 100
        self._scale = min(self._width / frame.size[0], self._height / frame.size[1])
        self._portrait = self._height > self._width
        # Uncropped, and at the border, so that the free space is in one piece.
        width, height = (round(side * self._scale) for side in frame.size)
        left, top = ((self._width - width) // 2, 0) if self._portrait else (0, (self._height - height) // 2)
        self._image_area = Area(left, top, width, height)

    def draw(self, card_side: str | None) -> None:
        """Draw everything, the cards on `card_side`; None: no cards."""
        assert self._frame.image is not None
        left, top, width, height = self._image_area
        region = self._canvas[top : top + height, left : left + width]
        image = cv2.resize(self._frame.image, (width, height), interpolation=cv2.INTER_LINEAR)
        cv2.cvtColor(cv2.flip(image, 1) if self._options.mirror else image, cv2.COLOR_BGR2RGB, region)
        card_area = None if card_side is None else self._card_area(card_side)
        for face in self._frame.faces:
            box, thickness = self._to_screen(face.box), max(2, round(0.8 * self._vmin))
            primitives.draw_rectangle(self._canvas, *box, label_color(face), thickness, radius=2.5 * self._vmin)
        for face in self._frame.faces:
            self._draw_title(face, card_area)
        if card_area and self._frame.faces:
            faces = sorted(self._frame.faces, key=lambda face: self._to_screen(face.box).left)
            cards.draw(self._canvas, faces, card_area, self._options, self._vmin)
        if not self._frame.faces:
            self._draw_hint()
        _draw_fps(self._canvas, self._frame.fps)

    def choose_card_side(self, previous: str | None) -> str | None:
        """Return a side where cards cover no face: `previous` if that is one; None if there is none."""
        if self._portrait:
            return "below"
        faces = [self._to_screen(face.box) for face in self._frame.faces]
        for side in filter(None, dict.fromkeys([previous, "right", "left"])):
            # Boxes jitter: a new side needs some clearance, otherwise cards would come and go.
            clearance = 0 if side == previous else CARD_CLEARANCE_VMIN * self._vmin
            area = self._card_area(side)
            left, right = area.left - clearance, area.left + area.width + clearance
            if not any(face.left < right and left < face.left + face.width for face in faces):
                return side
        return None

    def _card_area(self, side: str) -> Area:
        """Return the area of all cards: the free space; where that is small, part of the image, too."""
        gap, footer = round(GAP_VMIN * self._vmin), round((FPS_VMIN * 1.6 + 1) * self._vmin)
        if self._portrait:
            rows = min(len(self._options.labels), MIN_ROWS)
            min_height = round(bar_chart.MIN_ROW_VMIN * self._vmin * rows)
            top = min(self._image_area.height + gap, self._height - footer - min_height)
            return Area(gap, top, self._width - 2 * gap, self._height - footer - top)
        free_width = self._width - self._image_area.width - 2 * gap
        width = round(min(max(free_width, MIN_CARD_VMIN * self._vmin), MAX_CARD_VMIN * self._vmin))
        left = gap if side == "left" else self._width - gap - width
        return Area(left, gap, width, self._height - gap - footer)

    def _to_screen(self, box: Box) -> Area:
        """Return the area of the screen that shows `box` of the frame."""
        x = self._frame.size[0] - box.x - box.width if self._options.mirror else box.x
        left, top = self._image_area.left + x * self._scale, self._image_area.top + box.y * self._scale
        return Area(round(left), round(top), round(box.width * self._scale), round(box.height * self._scale))

    def _draw_title(self, face: FaceResult, card_area: Area | None) -> None:
        """Write label and confidence on a plate above the face, inside the image and clear of the cards."""
        few = len(self._frame.faces) <= 2
        font_size = round((TITLE_VMIN if few else SMALL_TITLE_VMIN) * self._vmin)
        percent_text = "" if face.label is None else f" {bar_chart.format_percent(face.confidence)}"
        percent = text.render(percent_text, font_size)
        padding, box = round(font_size * 0.4), self._to_screen(face.box)
        first, last = 0, self._width
        if card_area and not self._portrait:
            if card_area.left < self._width / 2:
                first = card_area.left + card_area.width
            else:
                last = card_area.left
        room = last - first - percent.shape[1] - 2 * padding
        label = text.render_to_width(label_text(face, self._options), font_size, room)
        width, height = label.shape[1] + percent.shape[1] + 2 * padding, label.shape[0] + padding // 2
        left = max(first, min(box.left, last - width))
        top = max(0, box.top - height - round(0.8 * self._vmin))
        primitives.fill_rectangle(self._canvas, left, top, width, height, label_color(face), radius=1.5 * self._vmin)
        column = left + padding
        for mask in (label, percent):
            mask_top = top + (height - mask.shape[0]) / 2
            primitives.draw_mask(self._canvas, mask, column, mask_top, palette.DARK_TEXT)
            column += mask.shape[1]

    def _draw_hint(self) -> None:
        """Write a hint for passers-by at the bottom of the image."""
        font_size = round(TITLE_VMIN * self._vmin)
        hint = text.render_to_width(self._options.nobody, font_size, self._image_area.width - 2 * font_size)
        width, height = hint.shape[1] + font_size, round(hint.shape[0] * 1.25)
        left = self._image_area.left + (self._image_area.width - width) // 2
        top = self._image_area.top + self._image_area.height - height - round(2 * GAP_VMIN * self._vmin)
        primitives.blend_rectangle(
            self._canvas, left, top, width, height, palette.PANEL, opacity=0.75, radius=height / 2
        )
        mask_top = top + (height - hint.shape[0]) / 2
        primitives.draw_mask(self._canvas, hint, left + font_size / 2, mask_top, palette.LIGHT_TEXT)


def _draw_fps(canvas: Image, fps: float) -> None:
    height, width = canvas.shape[:2]
    vmin = min(width, height) / 100
    mask = text.render(f"{fps:.0f} fps", round(FPS_VMIN * vmin))
    left, top = width - mask.shape[1] - 2 * vmin, height - mask.shape[0] - vmin
    primitives.draw_mask(canvas, mask, left, top, palette.DIM_TEXT)
