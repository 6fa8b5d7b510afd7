"""OpenCV writes and reads each image format."""

import cv2
import numpy as np
import pytest

from edge.config.image_formats import COLOR_IMAGE_SUFFIXES, IMAGE_SUFFIXES


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_each_format_is_written_and_read(tmp_path, suffix):
    image = np.full((8, 8, 3) if suffix in COLOR_IMAGE_SUFFIXES else (8, 8), 100, np.uint8)
    image[:, :4] = (200, 50, 50) if image.ndim == 3 else 50
    path = str(tmp_path / f"image{suffix}")
    assert cv2.imwrite(path, image)
    read = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    assert read is not None
    assert np.abs(read.astype(int) - image)[:, [0, 7]].max() < 40
