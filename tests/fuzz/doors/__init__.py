"""One module for each door; see tests/fuzz/door.py."""
