"""Every error that a user can cause or meet, and the exit status that it ends a command with.

    EmotionEdgeError                        1
    |-- UsageError                          2   the command line asks for something that does not exist
    |   |-- UnknownName  (LookupError)          no camera, sink or other part of that name
    |   `-- SourceNotFound (FileNotFoundError)  the image, video or folder is not there
    |-- SettingsError  (ValueError)        78   a setting is out of range: a service must not be restarted for it
    |-- ModelError     (ValueError)        78   not a model, no card, or a model that does not fit its card
    |-- CameraError    (OSError)            1   not there, taken, stopped delivering, or cannot be decoded
    |-- SinkError      (OSError)            1   an output cannot be opened or written
    `-- FileError      (OSError)            1   a result cannot be written, for want of room or permission

Each message says what was found, where, and what to do, in one line. Exit status 78 is EX_CONFIG of sysexits.h.
"""


class EmotionEdgeError(Exception):
    """Base of all errors that are shown as one line; `exit_status` is what the command ends with."""

    exit_status = 1


class UsageError(EmotionEdgeError):
    exit_status = 2


class UnknownName(UsageError, LookupError):
    pass


class SourceNotFound(UsageError, FileNotFoundError):
    pass


class SettingsError(EmotionEdgeError, ValueError):
    exit_status = 78


class ModelError(EmotionEdgeError, ValueError):
    exit_status = 78


class CameraError(EmotionEdgeError, OSError):
    pass


class SinkError(EmotionEdgeError, OSError):
    pass


class FileError(EmotionEdgeError, OSError):
    pass
