"""File name suffixes of images and videos: the one list for cameras, sinks and the trainer.

OpenCV reads and writes all of the images. A video that is named by its path may have any suffix.
"""

COLOR_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
IMAGE_SUFFIXES = (*COLOR_IMAGE_SUFFIXES, ".pgm")  # a PGM file holds gray levels only
# Of the videos that are read in folders.
VIDEO_SUFFIXES = (
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"),
    *(".ogv", ".ts", ".webm", ".wmv"),
)
