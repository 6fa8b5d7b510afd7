"""Settings of a run, and the files and texts that they are read from."""
