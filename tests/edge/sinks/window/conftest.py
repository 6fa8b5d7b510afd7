"""Virtual displays."""

from __future__ import annotations

from contextlib import ExitStack

import pytest


@pytest.fixture
def open_display(tmp_path):
    """Return a function that opens a display of a given size."""
    from tests.support.display import VirtualDisplay

    with ExitStack() as stack:
        yield lambda size=(800, 480): stack.enter_context(VirtualDisplay(tmp_path, size))
