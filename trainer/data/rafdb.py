"""Reader of RAF-DB (Li, Deng and Du 2017): its list of labels and its aligned faces, of the basic or compound set.

    EmoLabel/list_patition_label.txt       "train_00001.jpg 5": the name has the split, the number is the label
    Image/aligned/train_00001_aligned.jpg

The list belongs to the compound set if it has labels above 7 or lies in a folder `compound`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from trainer.data.dataset import PUBLIC_TEST, TRAINING
from trainer.data.image_decoding import ImageFile
from trainer.data.labeled_images import LabeledImage, Listing, by_name, parse_label, read_lines
from trainer.errors import DataError

LIST_NAME = "list_patition_label.txt"  # spelled so
EXPECTED = f"{LIST_NAME} and Image/aligned/*_aligned.jpg"
BASIC = {"1": "surprise", "2": "fear", "3": "disgust", "4": "happy", "5": "sad", "6": "angry", "7": "neutral"}
COMPOUND = {
    "1": "happily surprised",
    "2": "happily disgusted",
    "3": "sadly fearful",
    "4": "sadly angry",
    "5": "sadly surprised",
    "6": "sadly disgusted",
    "7": "fearfully angry",
    "8": "fearfully surprised",
    "9": "angrily surprised",
    "10": "angrily disgusted",
    "11": "disgustedly surprised",
}


def matches(files: Sequence[ImageFile]) -> bool:
    """Return whether RAF-DB's list is among `files`."""
    return any(file.parts[-1] == LIST_NAME for file in files)


def read(source: Path, files: Sequence[ImageFile]) -> Listing:
    """Return the faces of RAF-DB. Raises DataError when there are several lists."""
    lists = [file for file in files if file.parts[-1] == LIST_NAME]
    if len(lists) > 1:
        raise DataError(f"{source}: {lists[0].name} and {lists[1].name}; name the folder of the basic or compound set")
    images = by_name(files)
    lines = list(read_lines(source, lists[0]))
    folders = (*source.parts, *lists[0].folders)
    is_compound = "compound" in folders or any(words[-1] in COMPOUND.keys() - BASIC.keys() for _, words in lines)
    numbers = COMPOUND if is_compound else BASIC

    def read_row(place: str, words: list[str]) -> LabeledImage:
        if len(words) != 2 or not (name := re.fullmatch(r"((train|test)_\d+)\.jpg", words[0])):
            raise DataError(f"{place}: {' '.join(words)[:60]!a}, expected such as: train_00001.jpg 5")
        label = parse_label(words[1], numbers, place)
        aligned = f"{name[1]}_aligned.jpg"
        if aligned not in images:
            raise DataError(f"{place}: {aligned} is missing; unpack aligned.zip into the folder Image")
        return LabeledImage(images[aligned], label, TRAINING if name[2] == "train" else PUBLIC_TEST, place=place)

    listing = Listing(numbers)
    for place, words in lines:
        listing.add(lambda place=place, words=words: read_row(place, words))  # type: ignore[misc]
    return listing
