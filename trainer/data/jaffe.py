"""Reader of JAFFE (Lyons, Akamatsu, Kamachi and Gyoba 1998): person, expression and number are in the file name.

    KA.AN1.39.tiff     the first image of person KA, angry

The set has no splits; persons stay apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from trainer.data.image_decoding import ImageFile
from trainer.data.image_folder import is_image
from trainer.data.labeled_images import LabeledImage, Listing

EXPECTED = "images named as KA.AN1.39.tiff"
CODES = {
    "AN": "angry",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happy",
    "SA": "sad",
    "SU": "surprise",
    "NE": "neutral",
}
_NAME = re.compile(rf"([A-Z]{{2}})\.({'|'.join(CODES)})\d+\.\d+\.\w+")


def matches(files: Sequence[ImageFile]) -> bool:
    """Return whether most images in `files` are named as in JAFFE."""
    names = [file.parts[-1] for file in files if is_image(file.name)]
    return 2 * sum(map(bool, map(_NAME.fullmatch, names))) > len(names)


def read(source: Path, files: Sequence[ImageFile]) -> Listing:  # noqa: ARG001 (as of the other formats)
    """Return the faces of JAFFE."""
    listing = Listing(CODES, detect_faces=True)

    def read_name(file: ImageFile) -> LabeledImage | str:
        name = _NAME.fullmatch(file.parts[-1])
        return LabeledImage(file, CODES[name[2]], group=name[1]) if name else "images with other names"

    for file in files:
        if is_image(file.name):
            listing.add(lambda file=file: read_name(file))  # type: ignore[misc]
    return listing
