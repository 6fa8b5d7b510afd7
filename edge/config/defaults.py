"""Defaults that both a setting and the part that it configures have; each stands here alone."""

DETECTOR = "haar"  # the only one whose file comes with OpenCV
MIN_FACE_SIZE = 30  # pixels; smaller faces carry little information: the model was trained on 48
SEARCH_WIDTH_PIXELS = 640  # in a wider image the smallest face grows along: detection costs the same at any resolution
MIN_CONFIDENCE = 0.5  # below it the shipped model is more often wrong than right (models/README.md)
HALF_LIFE_SECONDS = 0.6  # of an inference in the temporal average
IDLE_FPS = 5.0  # frames per second without a face; a full scan takes half a second, so a face is detected within 0.7 s
