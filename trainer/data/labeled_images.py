"""Images whose labels stand in lists or file names, as the published data sets have them: what their readers share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.config.defaults import DETECTOR
from edge.detection import registry as detectors
from edge.detection.detector import ImageDetector
from edge.inference.preprocess import center_square, crop, resample
from edge.types import Box
from trainer.data.dataset import TRAINING, Dataset, DatasetBuilder, ReadOptions, progress_bar
from trainer.data.image_decoding import ImageFile, decode_gray, decode_rgb
from trainer.data.image_folder import build_dataset
from trainer.errors import DataError

MAX_LINE_BYTES = 4096  # of a list; a line has about 100
MAX_ROWS = 2_000_000  # of a data set; AffectNet has a million


@dataclass(frozen=True)
class LabeledImage:
    """A face that is to be read."""

    file: ImageFile
    label: str
    split: str = TRAINING
    group: str = ""  # the person or the photograph; all its faces stay in one split
    box: Box | None = None  # of the face; None: the image is a face crop, or the face is to be found
    place: str = ""  # file and line of the list, for messages


@dataclass
class Listing:
    """What the lists of a data set say."""

    numbers: dict[str, str]  # how the lists or file names write a label -> label, for people
    rows: list[LabeledImage | DataError] = field(default_factory=list)  # an error: an invalid row
    left_out: dict[str, int] = field(default_factory=dict)  # reason -> number of faces that are not for training
    detect_faces: bool = False  # the images show more than the face

    def add(self, read_row: Callable[[], LabeledImage | str]) -> None:
        """Add the face that `read_row` returns, or count it under the reason that it returns to leave the face out."""
        if len(self.rows) >= MAX_ROWS:
            raise DataError(f"more than {MAX_ROWS} faces; expected the lists of one data set")
        try:
            row = read_row()
        except DataError as error:
            self.rows.append(error)
            return
        if isinstance(row, str):
            self.left_out[row] = self.left_out.get(row, 0) + 1
        else:
            self.rows.append(row)


def read_lines(source: Path, list_file: ImageFile) -> Iterator[tuple[str, list[str]]]:
    """Yield place and words of each line of `list_file`, without blank lines.

    Raises DataError for a line longer than MAX_LINE_BYTES.
    """
    with list_file.open() as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            place = f"{source / list_file.name} line {number}"
            if len(line) > MAX_LINE_BYTES:
                raise DataError(f"{place}: longer than {MAX_LINE_BYTES} bytes; expected a list of images")
            if words := line.decode("utf-8-sig", errors="replace").split():
                yield place, words


def parse_label(text: str, numbers: Mapping[str, str], place: str) -> str:
    """Return the label in `numbers` that the list writes as `text`. Raises DataError with `place`."""
    if text not in numbers:
        raise DataError(f"{place}: unknown label {text[:20]!a}, expected {', '.join(numbers)}")
    return numbers[text]


def parse_number(text: str, place: str) -> int:
    """Return the number `text`, of a list, rounded. Raises DataError with `place`."""
    try:
        return round(float(text))
    except (ValueError, OverflowError):  # OverflowError: infinity
        raise DataError(f"{place}: {text[:20]!a}, expected a number") from None


def parse_box(x: int, y: int, width: int, height: int, place: str) -> Box:
    """Return the box of a face. Raises DataError with `place` when it is empty."""
    if width < 1 or height < 1:
        raise DataError(f"{place}: the face box is {width} x {height} pixels, expected at least 1 x 1")
    return Box(x, y, width, height)


def by_name(files: Iterable[ImageFile], levels: int = 1) -> dict[str, ImageFile]:
    """Return the files by the last `levels` parts of their paths, joined with /."""
    return {"/".join(file.parts[-levels:]): file for file in files}


def read_listing(source: Path, listing: Listing, options: ReadOptions) -> Dataset:
    """Return the data set of the faces in `listing`, whose lists and images come from `source`.

    A face is cropped to its box, or without one to the central square of its image, or where faces are to be detected
    to the largest one that the device finds. Faces are gray unless `options.color` is set, and get one size, the median
    of their sides, at most `options.max_size` pixels. Where all are for training, every tenth group is held out, or
    without groups every tenth face of a class.

    Raises DataError for an invalid row, or an image that cannot be read or shows no face.
    """
    builder = DatasetBuilder(options.skip_invalid)
    detector = detectors.make_image_detector(DETECTOR) if listing.detect_faces else None
    with progress_bar(f"reading {source.name}", len(listing.rows)) as progress:
        for row in progress(listing.rows):
            builder.add(lambda row=row: _read_row(source, row, detector, options))  # type: ignore[misc]
    builder.notes.append(f"labels: {', '.join(f'{number} is {name}' for number, name in listing.numbers.items())}")
    builder.notes += [f"left out, {reason}: {n}" for reason, n in sorted(listing.left_out.items())]
    rows = [row for row in listing.rows if isinstance(row, LabeledImage)]
    valid = [listing.rows[number] for number in builder.row_numbers]
    groups = [row.group for row in valid if isinstance(row, LabeledImage)]
    return build_dataset(source, builder, {row.label for row in rows}, groups)


def _read_row(
    source: Path, row: LabeledImage | DataError, detector: ImageDetector | None, options: ReadOptions
) -> tuple[NDArray[np.uint8], str, str]:
    """Return face, class and split of `row`. Raises DataError."""
    if isinstance(row, DataError):
        raise row
    place = f"{row.place}: " if row.place else ""
    name = f"{place}{source / row.file.name}"
    try:
        pixels = decode_rgb(row.file.read()) if options.color else decode_gray(row.file.read())
    except DataError as error:
        raise DataError(f"{name}: {error}, or use --skip-invalid") from error
    height, width = pixels.shape[:2]
    box = center_square(pixels)
    if row.box:  # lists also have boxes that reach beyond the image
        box = row.box.clipped(width, height)
        if not box.width or not box.height:
            raise DataError(f"{name}: the face box lies outside the image of {width} x {height} pixels")
    elif detector:
        gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False) if options.color else pixels
        faces = detector.detect(gray)
        if not faces:
            raise DataError(f"{name}: no face was found in it; remove it, or use --skip-invalid")
        box = faces[0].box
    square = crop(pixels, box, 0.0)
    size = min(square.shape[0], options.max_size)
    return resample(square, effective_resolution=size, size=size), row.label, row.split
