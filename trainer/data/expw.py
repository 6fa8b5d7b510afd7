"""Reader of ExpW (Zhang, Luo, Loy and Tang 2018): label.lst, with the boxes of faces in photographs.

A line has image name, number of the face in the image, its box as top, left, right, bottom, the detector's confidence
in it, and the label: "angry_actor_104.jpg 0 28 113 226 141 22.9362 5". The set has no splits; all faces of a photograph
stay in one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainer.data.dataset import FER2013_LABELS
from trainer.data.image_decoding import ImageFile
from trainer.data.labeled_images import LabeledImage, Listing, by_name, parse_box, parse_label, parse_number, read_lines
from trainer.errors import DataError

LIST_NAME = "label.lst"
EXPECTED = f"{LIST_NAME} and the photographs that it names"
NUMBERS = {str(number): label for number, label in enumerate(FER2013_LABELS)}  # the same order


def matches(files: Sequence[ImageFile]) -> bool:
    """Return whether ExpW's list is among `files`."""
    return any(file.parts[-1] == LIST_NAME for file in files)


def read(source: Path, files: Sequence[ImageFile]) -> Listing:
    """Return the faces of ExpW. Raises DataError when there are several lists."""
    lists = [file for file in files if file.parts[-1] == LIST_NAME]
    if len(lists) > 1:
        raise DataError(f"{source}: {lists[0].name} and {lists[1].name}; remove one")
    images = by_name(files)

    def read_row(place: str, words: list[str]) -> LabeledImage:
        if len(words) != 8:
            raise DataError(
                f"{place}: {len(words)} words, expected 8: image, number, top, left, right, bottom, confidence, label"
            )
        name, _, *edges, confidence, label = words
        top, left, right, bottom = (parse_number(word, place) for word in edges)
        parse_number(confidence, place)
        box = parse_box(left, top, right - left, bottom - top, place)
        if name not in images:
            raise DataError(f"{place}: {name[:80]!a} is missing; unpack the photographs beside the list")
        return LabeledImage(images[name], parse_label(label, NUMBERS, place), group=name, box=box, place=place)

    listing = Listing(NUMBERS)
    for place, words in read_lines(source, lists[0]):
        listing.add(lambda place=place, words=words: read_row(place, words))  # type: ignore[misc]
    return listing
