"""Fixtures of the readers' tests."""

import pytest

from trainer.data.loader import load_dataset
from trainer.errors import DataError


@pytest.fixture
def load_error():
    """Return a function that loads a path and returns the message of its DataError, which must be one line."""

    def load(path, **options):
        with pytest.raises(DataError) as caught:
            load_dataset(path, **options)
        message = str(caught.value)
        assert "\n" not in message
        return message

    return load
