"""Every error that a user can cause or meet, and the exit status that the command ends with.

    EmotionEdgeError                              1
    |-- UsageError                                2   the command line asks for something that does not exist
    |   |-- UnknownNameError    (LookupError)         no camera, sink or other part has that name
    |   `-- SourceNotFoundError (FileNotFoundError)   the image, video or folder does not exist
    |-- SettingsError  (ValueError)              78   a setting is out of range: a service must not be restarted for it
    |-- ModelError     (ValueError)              78   not a model, no card, or a model that does not fit its card
    |-- ImageError     (ValueError)               1   an image is damaged, too large, or of no known format
    |-- WorkerError    (OSError)                  1   a child process ended, or exceeded its limits
    |-- CameraError    (OSError)                  1   missing, busy, disconnected, or cannot be decoded
    |-- SinkError      (OSError)                  1   a sink cannot be opened or written
    `-- FileError      (OSError)                  1   a file cannot be written: no space, or no permission

Each message has one line: what was found, where, and what to do. Exit status 78 is EX_CONFIG of sysexits.h.
"""


class EmotionEdgeError(Exception):
    """Base of all errors that are shown as one line; the command ends with `exit_status`."""

    exit_status = 1


class UsageError(EmotionEdgeError):
    """The command line asks for something that does not exist."""

    exit_status = 2


class UnknownNameError(UsageError, LookupError):
    """No camera, sink, model or detector has that name."""


class SourceNotFoundError(UsageError, FileNotFoundError):
    """The image, video or folder does not exist."""


class SettingsError(EmotionEdgeError, ValueError):
    """A setting is out of range, or its file cannot be read: a service must not be restarted for it."""

    exit_status = 78


class ModelError(EmotionEdgeError, ValueError):
    """The file is no model, has no card, or does not fit its card."""

    exit_status = 78


class ImageError(EmotionEdgeError, ValueError):
    """An image is damaged, too large, or of no known format."""


class WorkerError(EmotionEdgeError, OSError):
    """A child process ended, or exceeded its limits."""


class CameraError(EmotionEdgeError, OSError):
    """A camera is missing, busy or disconnected, or delivers what cannot be decoded."""


class SinkError(EmotionEdgeError, OSError):
    """A sink cannot be opened or written."""


class FileError(EmotionEdgeError, OSError):
    """A file cannot be written: no space, or no permission."""
