"""File name suffixes of images: the one list for cameras, sinks and the trainer. OpenCV reads and writes them all."""

COLOR_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
IMAGE_SUFFIXES = (*COLOR_IMAGE_SUFFIXES, ".pgm")  # a PGM file holds gray levels only
