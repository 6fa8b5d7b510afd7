"""Where the documentation explains a message: the page with an entry for each error class and each check."""

from __future__ import annotations

import re

PAGE = "docs/troubleshooting.md"  # tests/docs/test_troubleshooting.py compares it with the checks and the errors
CAMERA_ENTRY = "/dev/video0"  # of the check of each USB camera, which has the name of its device file


def link(name: str) -> str:
    """Return the page with the anchor of the entry `name`: of an error class or a check."""
    heading = CAMERA_ENTRY if name.startswith("/dev/") else name
    anchor = re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")  # as GitHub and the site make it
    return f"{PAGE}#{anchor}"
