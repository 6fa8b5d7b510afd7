"""Facts and services of the operating system."""
