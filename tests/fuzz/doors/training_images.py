"""Images of a data set in the formats that Pillow decodes, besides those of the door `images`."""

from __future__ import annotations

import numpy as np
from PIL import features

from tests.fuzz.door import Door
from tests.support import faces
from tests.support.image_files import encode
from trainer.data.image_decoding import decode_gray


def seeds() -> list[bytes]:
    face = faces.tiny(training=1, public=0, private=0).faces[0]
    image = np.stack([face] * 3, axis=-1)
    kinds = ["GIF", *(["AVIF"] if features.check("avif") else [])]
    return [*(encode(image, kind) for kind in kinds), faces.encode(face), faces.encode(face, ".jpg")]


def receive(content: bytes) -> None:
    assert decode_gray(content).ndim == 2


DOOR = Door(
    seeds,
    receive,
    tokens=(
        *(
            b"GIF89a",
            b",\0\0\0\0",
            b"!\xf9\4",
            b"!\xfe",
            b"\xff\xff\xff\xff",
            b"ftypavif",
            b"ftypheic",
            b"ispe",
            b"iloc",
        ),
        *(b"Exif\0\0", b"meta", b"mdat", b"av01", b"\0\0\0\1", b"irot"),
    ),
    test_inputs=600,
    campaign_inputs=200_000,
)
