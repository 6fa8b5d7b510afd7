"""Errors of the trainer, shown as one line by its command; see edge.errors for the ones that it shares.

EmotionEdgeError                    1
|-- DataError      (ValueError)     1   a data set that is damaged or not what it should be: file, row, reason
|-- TrainingError  (RuntimeError)   1   a run that cannot start or go on
`-- QuantizeError  (RuntimeError)   1   a model that did not become full int8
"""

from edge.errors import EmotionEdgeError


class DataError(EmotionEdgeError, ValueError):
    pass


class TrainingError(EmotionEdgeError, RuntimeError):
    pass


class QuantizeError(EmotionEdgeError, RuntimeError):
    pass
