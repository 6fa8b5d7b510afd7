"""What the screen shows at one moment, as an image of the screen's size. Knows nothing of windows.

Lengths are in units of a hundredth of the screen's shorter side, so that every screen looks alike however it hangs.
The smallest words to be read from afar have letters of 5.5 units, capitals of 4: on a screen 30 cm high these are
12 mm, which is legible from 3 m.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from edge.sinks.window import bar_chart as bars
from edge.sinks.window import palette
from edge.sinks.window import primitives as shapes
from edge.sinks.window import radial_chart as emblem
from edge.sinks.window import text as lettering
from edge.sinks.window.bar_chart import Area
from edge.sinks.window.messages import Look, View
from edge.sinks.window.primitives import Image
from edge.types import Box, FaceResult

WAITING = "Waiting for the camera"
GAP = 2.5  # units between things, and to the screen's border
TITLE_EM, SMALL_TITLE_EM = 7.0, 5.6  # units: one or two faces, more
CARD, WIDE_CARD = 38.0, 46.0  # units of a card's width, at least and at most
SPARE = 6.0  # units between cards and the next face, before cards go to a side
FPS_EM = 4.0  # units: for who stands near


class Scene:
    """Draws views as `look` says."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._side: str | None = "right"  # where the cards were last: they stay unless they would cover a face

    def draw(self, view: View | None, size: tuple[int, int]) -> Image:
        """Return `view` as (height, width, 3) uint8 RGB of `size` (width, height); None: no camera for a while."""
        width, height = size
        canvas = np.full((height, width, 3), palette.BACKGROUND, np.uint8)
        if view is None:
            whole = Area(0, 0, width, height)
            emblem.write_lines(canvas, whole, WAITING, round(9 * min(size) / 100), palette.DIM, left=False)
        elif view.image is None:
            emblem.draw(canvas, view.readings, self._look)
            _draw_fps(canvas, view.fps)
        else:
            stage = _Stage(canvas, view, self._look)
            self._side = stage.side_for_cards(self._side)
            stage.draw(self._side)
        return canvas


class _Stage:
    """The camera's image, on the left or at the top; cards of bars in the room beside it, or where no face is."""

    def __init__(self, canvas: Image, view: View, look: Look) -> None:
        self._canvas, self._view, self._look = canvas, view, look
        self._height, self._width = canvas.shape[:2]
        self._unit = min(self._width, self._height) / 100
        self._scale = min(self._width / view.size[0], self._height / view.size[1])
        self._upright = self._height > self._width
        self._shown = self._placed()

    def draw(self, side: str | None) -> None:
        """Draw everything, the cards on `side`."""
        self._draw_image()
        cards = None if side is None else self._cards(side)
        for reading in self._view.readings:
            self._draw_frame(reading)
        for reading in self._view.readings:
            self._draw_title(reading, cards)
        if cards and self._view.readings:
            self._draw_cards(cards)
        if not self._view.readings:
            self._draw_hint()
        _draw_fps(self._canvas, self._view.fps)

    def side_for_cards(self, before: str | None) -> str | None:
        """Return the side where cards cover no face: `before`, where they were last, if that is one; None: nowhere."""
        if self._upright:
            return "below"
        for side in filter(None, dict.fromkeys([before, "right", "left"])):
            # Faces tremble: a new side must be free with something to spare, or cards would come and go.
            spare = 0 if side == before else SPARE * self._unit
            cards = self._cards(side)
            places = [self._on_screen(reading.box) for reading in self._view.readings]
            if not any(
                place.left < cards.left + cards.width + spare and cards.left - spare < place.left + place.width
                for place in places
            ):
                return side
        return None

    def _placed(self) -> Area:
        """Return where the image is shown: whole, and at the border, so that the room for cards is in one piece."""
        wide, high = (round(side * self._scale) for side in self._view.size)
        if self._upright:
            return Area((self._width - wide) // 2, 0, wide, high)
        return Area(0, (self._height - high) // 2, wide, high)

    def _cards(self, side: str) -> Area:
        """Return where cards are: in the room beside the image; where that is small, also over the image."""
        gap, foot = round(GAP * self._unit), round((FPS_EM * 1.6 + 1) * self._unit)
        if self._upright:
            least = round(bars.PITCH * self._unit * min(len(self._look.labels), 5))
            top = min(self._shown.height + gap, self._height - foot - least)
            return Area(gap, top, self._width - 2 * gap, self._height - foot - top)
        free = self._width - self._shown.width - 2 * gap
        wide = round(min(max(free, CARD * self._unit), WIDE_CARD * self._unit))
        left = gap if side == "left" else self._width - gap - wide
        return Area(left, gap, wide, self._height - gap - foot)

    def _draw_image(self) -> None:
        assert self._view.image is not None
        left, top, wide, high = self._shown
        part = self._canvas[top : top + high, left : left + wide]
        image = cv2.resize(self._view.image, (wide, high), interpolation=cv2.INTER_LINEAR)
        cv2.cvtColor(cv2.flip(image, 1) if self._look.mirror else image, cv2.COLOR_BGR2RGB, part)

    def _on_screen(self, box: Box) -> Area:
        """Return where `box` of the frame is on the screen."""
        x = self._view.size[0] - box.x - box.width if self._look.mirror else box.x
        left, top = self._shown.left + x * self._scale, self._shown.top + box.y * self._scale
        return Area(round(left), round(top), round(box.width * self._scale), round(box.height * self._scale))

    def _draw_frame(self, reading: FaceResult) -> None:
        place, thick = self._on_screen(reading.box), max(2, round(0.8 * self._unit))
        shapes.frame(self._canvas, *place, emblem.color_of(reading), thick, round_by=2.5 * self._unit)

    def _draw_title(self, reading: FaceResult, cards: Area | None) -> None:
        """Write what was read on a plate above the face, within the image and beside the cards."""
        few = len(self._view.readings) <= 2
        em = round((TITLE_EM if few else SMALL_TITLE_EM) * self._unit)
        number = lettering.mask("" if reading.label is None else f" {bars.percent(reading.confidence)}", em)
        pad, place = round(em * 0.4), self._on_screen(reading.box)
        first, last = self._free(cards)
        room = last - first - number.shape[1] - 2 * pad
        word = lettering.fitted(emblem.words_of(reading, self._look), em, room)
        wide, high = word.shape[1] + number.shape[1] + 2 * pad, word.shape[0] + pad // 2
        left = max(first, min(place.left, last - wide))
        top = max(0, place.top - high - round(0.8 * self._unit))
        shapes.plate(self._canvas, left, top, wide, high, emblem.color_of(reading), round_by=1.5 * self._unit)
        shapes.stamp(self._canvas, word, left + pad, top + (high - word.shape[0]) / 2, palette.INK)
        after = left + pad + word.shape[1]
        shapes.stamp(self._canvas, number, after, top + (high - number.shape[0]) / 2, palette.INK)

    def _free(self, cards: Area | None) -> tuple[int, int]:
        """Return the columns between which titles may stand."""
        if cards is None or self._upright:
            return 0, self._width
        return (cards.left + cards.width, self._width) if cards.left < self._width / 2 else (0, cards.left)

    def _draw_cards(self, area: Area) -> None:
        """Draw a card a face, in the order in which they stand."""
        readings = sorted(self._view.readings, key=lambda reading: self._on_screen(reading.box).left)
        gap = round(GAP * self._unit)
        columns = max(1, min(len(readings), int(area.width / (CARD * 1.2 * self._unit))))
        rows = math.ceil(len(readings) / columns)
        wide, high = (area.width + gap) // columns - gap, (area.height + gap) // rows - gap
        for number, reading in enumerate(readings):
            left = area.left + number % columns * (wide + gap)
            top = area.top + number // columns * (high + gap)
            self._draw_card(reading, Area(left, top, wide, high), titled=len(readings) > 1)

    def _draw_card(self, reading: FaceResult, room: Area, *, titled: bool) -> None:
        """Draw the bars of `reading` in the middle of `room`, under its label where there are several faces."""
        pad = round(1.6 * self._unit)
        title = round(TITLE_EM * self._unit) if titled else 0
        free, count = room.height - 2 * pad - title, len(reading.probabilities)
        pitch = max(bars.PITCH * self._unit, min(bars.WIDE_PITCH * self._unit, free / count))
        rows = min(count, max(0, int(free / pitch)))
        high = round(title + rows * pitch) + 2 * pad
        top = room.top + (room.height - high) // 2
        shapes.glass(
            self._canvas, room.left, top, room.width, high, palette.PANEL, share=0.86, round_by=2.2 * self._unit
        )
        inner = room.width - 2 * pad
        if titled:
            self._draw_card_title(reading, room.left + pad, top + pad, inner)
        place = Area(room.left + pad, top + pad + title, inner, math.ceil(rows * pitch))
        bars.draw(self._canvas, reading, place, pitch)

    def _draw_card_title(self, reading: FaceResult, left: int, top: int, width: int) -> None:
        em, color = round(SMALL_TITLE_EM * self._unit), emblem.color_of(reading)
        number = lettering.mask(bars.percent(reading.confidence), em)
        word = lettering.fitted(emblem.words_of(reading, self._look), em, width - number.shape[1] - em // 2)
        shapes.stamp(self._canvas, word, left, top, color)
        shapes.stamp(self._canvas, number, left + width - number.shape[1], top, palette.DIM)

    def _draw_hint(self) -> None:
        """Write a line for who comes by at the foot of the image."""
        em = round(TITLE_EM * self._unit)
        word = lettering.fitted(self._look.nobody, em, self._shown.width - 2 * em)
        wide, high = word.shape[1] + em, round(word.shape[0] * 1.25)
        left = self._shown.left + (self._shown.width - wide) // 2
        top = self._shown.top + self._shown.height - high - round(2 * GAP * self._unit)
        shapes.glass(self._canvas, left, top, wide, high, palette.PANEL, share=0.75, round_by=high / 2)
        shapes.stamp(self._canvas, word, left + em / 2, top + (high - word.shape[0]) / 2, palette.PALE)


def _draw_fps(canvas: Image, fps: float) -> None:
    height, width = canvas.shape[:2]
    unit = min(width, height) / 100
    word = lettering.mask(f"{fps:.0f} fps", round(FPS_EM * unit))
    left, top = width - word.shape[1] - 2 * unit, height - word.shape[0] - unit
    shapes.stamp(canvas, word, left, top, palette.DIM)
