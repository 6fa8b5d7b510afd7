"""edge.config.secrets: where passwords and tokens come from."""

from __future__ import annotations

import pytest

from edge.config import secrets as secret
from edge.errors import SettingsError


def test_a_named_file_comes_before_the_environment_and_that_before_systemds_credential(tmp_path):
    (tmp_path / "named").write_text("of the file\n")
    (tmp_path / "token").write_text("of systemd\n")
    told = {"TOKEN": "of the environment", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert secret.find("web", tmp_path / "named", "TOKEN", "token", told) == ("of the file\n", str(tmp_path / "named"))
    assert secret.find("web", None, "TOKEN", "token", told) == ("of the environment", "$TOKEN")
    del told["TOKEN"]
    assert secret.find("web", None, "TOKEN", "token", told) == ("of systemd\n", str(tmp_path / "token"))
    assert secret.find("web", None, "TOKEN", "another", told) is None
    assert secret.find("web", None, "TOKEN", "token", {}) is None


@pytest.mark.parametrize(("content", "why"), [(None, "No such file"), (b"\xff\xfe", "invalid start byte")])
def test_a_named_file_that_cannot_be_read_is_one_line_and_not_passed_over(tmp_path, content, why):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"^web: {path}: cannot be read \\({why}"):
        secret.find("web", path, "TOKEN", "token", {"TOKEN": "of the environment"})
