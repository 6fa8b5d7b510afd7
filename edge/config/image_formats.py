"""File name suffixes of images and videos: the one list for cameras, sinks and the trainer.

OpenCV reads and writes all of IMAGE_SUFFIXES. A video that is named by its path may have any suffix.
"""

COLOR_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
IMAGE_SUFFIXES = (*COLOR_IMAGE_SUFFIXES, ".pgm")  # a PGM file holds gray levels only
# Of the images that are read in folders. HEIC is among them so that it is named, with what to do.
READ_IMAGE_SUFFIXES = (*IMAGE_SUFFIXES, ".jfif", ".jpe", ".gif", ".avif", ".heic", ".heif")
# Of the videos that are read in folders.
VIDEO_SUFFIXES = (
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"),
    *(".ogv", ".ts", ".webm", ".wmv"),
)
