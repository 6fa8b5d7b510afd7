"""Fixtures of the tests of several sinks."""

import pytest

from edge.sinks.background_writer import BackgroundWriter


@pytest.fixture
def no_threads(monkeypatch):
    """Make sinks of a live run work within `write`, so that a test controls the clock in between."""
    init = BackgroundWriter.__init__
    monkeypatch.setattr(BackgroundWriter, "__init__", lambda *args, **options: init(*args, **options | {"live": False}))
