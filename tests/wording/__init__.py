"""The project's words: which identifiers and which prose words do not exist, and what to use instead."""
