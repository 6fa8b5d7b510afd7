"""Data sets: one reader a format."""
