"""Data sets: one reader per format."""
