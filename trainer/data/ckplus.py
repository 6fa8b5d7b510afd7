"""Reader of CK+ (Lucey et al. 2010): image sequences of posed expressions, from neutral to the peak.

    cohn-kanade-images/S005/001/S005_001_00000011.png
    Emotion/S005/001/S005_001_00000011_emotion.txt       "   3.0000000e+00"; only of sequences with an emotion

Of a sequence with an emotion the last PEAK_FRAMES images get its label and the first one is neutral. The set has no
splits; persons stay apart.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from trainer.data.image_decoding import ImageFile
from trainer.data.image_folder import is_image
from trainer.data.labeled_images import LabeledImage, Listing, parse_label, read_lines
from trainer.errors import DataError

EXPECTED = "Emotion/S005/001/*_emotion.txt and cohn-kanade-images/S005/001/*.png"
NUMBERS = {
    "0": "neutral",
    "1": "angry",
    "2": "contempt",
    "3": "disgust",
    "4": "fear",
    "5": "happy",
    "6": "sad",
    "7": "surprise",
}
PEAK_FRAMES = 3  # as most publications on CK+ have it
_LABEL_FILE = re.compile(r"((S\d+)_(\d+))_\d+_emotion\.txt")
_IMAGE_FILE = re.compile(r"((S\d+)_(\d+))_\d+\.\w+")


def matches(files: Sequence[ImageFile]) -> bool:
    """Return whether a label file of CK+ is among `files`."""
    return any(_LABEL_FILE.fullmatch(file.parts[-1]) for file in files)


def read(source: Path, files: Sequence[ImageFile]) -> Listing:
    """Return the faces of CK+."""
    sequences: dict[str, list[ImageFile]] = defaultdict(list)
    for file in files:
        if is_image(file.name) and (name := _IMAGE_FILE.fullmatch(file.parts[-1])):
            sequences[name[1]].append(file)
    labels = {name[1]: file for file in files if (name := _LABEL_FILE.fullmatch(file.parts[-1]))}
    listing = Listing(NUMBERS, detect_faces=True)
    for sequence, label_file in sorted(labels.items()):
        images = sorted(sequences[sequence], key=lambda file: file.parts[-1])
        person = sequence.partition("_")[0]
        try:
            if not images:
                raise DataError(f"{source / label_file.name}: the images {sequence}_* are missing")
            label = _read_label(source, label_file)
        except DataError as error:
            listing.rows.append(error)
            continue
        peaks = images[-PEAK_FRAMES:]
        neutral = images[:1] if len(images) > len(peaks) else []
        listing.rows += [LabeledImage(file, NUMBERS["0"], group=person) for file in neutral]
        listing.rows += [LabeledImage(file, label, group=person) for file in peaks]
    if unlabeled := sum(bool(images) for name, images in sequences.items() if name not in labels):
        listing.left_out["sequences without an emotion"] = unlabeled
    return listing


def _read_label(source: Path, file: ImageFile) -> str:
    """Return the emotion in a label file. Raises DataError."""
    lines = list(read_lines(source, file))
    place = str(source / file.name)
    if len(lines) != 1 or len(lines[0][1]) != 1:
        raise DataError(f"{place}: expected one number, 0 to {len(NUMBERS) - 1}")
    word = lines[0][1][0]
    number = re.fullmatch(r"(\d)(\.0*)?(e\+0+)?", word)
    return parse_label(number[1] if number else word, NUMBERS, place)
