"""A drawing that is written as SVG, or as PNG without any drawing library but OpenCV."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

PNG_SCALE = 2  # pixels of a PNG for each one of the drawing
PNG_CAPITAL_HEIGHT = 0.72  # of a capital letter, for a font size of 1, as in common fonts
HERSHEY_CAPITAL_PIXELS = 21.0  # of OpenCV's font at scale 1, measured with cv2.getTextSize
JPEG_QUALITY = 85
SUB_PIXEL_BITS = 4  # of coordinates in OpenCV

Point = tuple[float, float]


class Polygon(NamedTuple):
    """A filled polygon."""

    points: Sequence[Point]
    color: str  # #rrggbb

    def to_svg(self) -> str:
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in self.points)
        return f'<polygon points="{points}" fill="{self.color}"/>'

    def draw(self, image: NDArray[np.uint8]) -> None:
        corners = np.round(np.array(self.points) * PNG_SCALE * 2**SUB_PIXEL_BITS).astype(np.int32)
        cv2.fillPoly(image, [corners], to_bgr(self.color), cv2.LINE_AA, SUB_PIXEL_BITS)


class Text(NamedTuple):
    """A line of text."""

    x: float
    y: float  # of the baseline
    content: str
    size: float
    color: str
    anchor: str = "start"  # or middle, end

    def to_svg(self) -> str:
        attributes = f'x="{self.x:.1f}" y="{self.y:.1f}" font-size="{self.size:g}" text-anchor="{self.anchor}"'
        return f'<text {attributes} fill="{self.color}">{escape(self.content)}</text>'

    def draw(self, image: NDArray[np.uint8]) -> None:
        content = to_ascii(self.content)
        scale = self.size * PNG_SCALE * PNG_CAPITAL_HEIGHT / HERSHEY_CAPITAL_PIXELS
        (width, _), _ = cv2.getTextSize(content, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        x = self.x * PNG_SCALE - {"start": 0.0, "middle": 0.5, "end": 1.0}[self.anchor] * width
        place = (round(x), round(self.y * PNG_SCALE))
        cv2.putText(image, content, place, cv2.FONT_HERSHEY_SIMPLEX, scale, to_bgr(self.color), 1, cv2.LINE_AA)


class Image(NamedTuple):
    """An image, scaled to a rectangle."""

    x: float
    y: float
    width: float
    height: float
    pixels: NDArray[np.uint8]  # (height, width, 3) BGR

    def to_svg(self) -> str:
        jpeg = cv2.imencode(".jpg", self._scaled(), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
        data = base64.b64encode(jpeg.tobytes()).decode()
        place = f'x="{self.x:.1f}" y="{self.y:.1f}" width="{self.width:.1f}" height="{self.height:.1f}"'
        return f'<image {place} href="data:image/jpeg;base64,{data}"/>'

    def draw(self, image: NDArray[np.uint8]) -> None:
        pixels = self._scaled()
        x, y = round(self.x * PNG_SCALE), round(self.y * PNG_SCALE)
        image[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels

    def _scaled(self) -> NDArray[np.uint8]:
        size = round(self.width * PNG_SCALE), round(self.height * PNG_SCALE)
        return np.asarray(cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


Shape = Polygon | Text | Image


def rectangle(x: float, y: float, width: float, height: float, color: str) -> Polygon:
    """Return a rectangle; (x, y) is the top left corner."""
    return Polygon([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], color)


def to_svg(width: float, height: float, title: str, shapes: Sequence[Shape]) -> str:
    """Return an SVG file with white background."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" font-family="sans-serif">',
            f"<title>{escape(title)}</title>",
            rectangle(0, 0, width, height, "#ffffff").to_svg(),
            *(shape.to_svg() for shape in shapes),
            "</svg>\n",
        ]
    )


def to_png(width: float, height: float, shapes: Sequence[Shape]) -> bytes:
    """Return a PNG file with white background, PNG_SCALE times as large. Letters that OpenCV lacks are replaced."""
    image = np.full((round(height * PNG_SCALE), round(width * PNG_SCALE), 3), 255, np.uint8)
    for shape in shapes:
        shape.draw(image)
    return cv2.imencode(".png", image)[1].tobytes()


def to_bgr(color: str) -> tuple[int, int, int]:
    """Return the color of #rrggbb, 0 to 255 each."""
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return blue, green, red


def to_ascii(text: str) -> str:
    """Return `text` without accents, and with ? for letters of other alphabets: OpenCV's font has only ASCII."""
    letters = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    return letters.encode("ascii", "replace").decode()
