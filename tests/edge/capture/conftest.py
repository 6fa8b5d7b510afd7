"""Fixtures of the tests of network cameras."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def make_certificate(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Name of a host -> a file with a key, and the certificate for it that the key has signed."""

    def make(host: str) -> Path:
        path = tmp_path_factory.mktemp("camera") / "camera.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(path), "-days", "2"]
        names = ["-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"]
        try:
            certificate = subprocess.run([*command, *names], check=True, capture_output=True, text=True).stdout
        except FileNotFoundError:
            pytest.skip("openssl is not installed")
        path.write_text(path.read_text() + certificate)
        return path

    return make


@pytest.fixture(scope="session")
def camera_certificate(make_certificate: Callable[[str], Path]) -> Path:
    """A certificate for localhost with its key."""
    return make_certificate("localhost")
