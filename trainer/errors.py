"""Errors of the trainer, which its command shows as one line; see edge.errors for the ones that it shares.

EmotionEdgeError                    exit status 1
|-- DataError      (ValueError)     1   a data set is damaged or has another format: file, row, reason
|-- TrainingError  (RuntimeError)   1   a run cannot start or continue
`-- QuantizeError  (RuntimeError)   1   a model did not become full int8
"""

from edge.errors import EmotionEdgeError


class DataError(EmotionEdgeError, ValueError):
    """A data set is damaged or has another layout."""


class TrainingError(EmotionEdgeError, RuntimeError):
    """A run cannot start or continue."""


class QuantizeError(EmotionEdgeError, RuntimeError):
    """A model did not become full int8."""
