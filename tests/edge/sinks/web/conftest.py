"""The sink `web` as most of its tests need it."""

from __future__ import annotations

import pytest


@pytest.fixture
def client():
    """A client of a sink without a token."""
    from tests.support.web_client import running_sink

    with running_sink() as client:
        yield client


@pytest.fixture
def guarded(monkeypatch):
    """A client, without the token, of a sink that requires it."""
    from tests.support.web_client import TOKEN, running_sink

    monkeypatch.setenv("EMOTION_EDGE_WEB_TOKEN", TOKEN)
    with running_sink() as client:
        yield client
