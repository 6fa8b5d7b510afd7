"""Face detection in one frame."""
