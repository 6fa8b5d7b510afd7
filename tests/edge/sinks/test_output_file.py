"""A folder that a sink makes is named in the log, so that a misspelled one is seen."""

import logging

import pytest

from edge.errors import SinkError
from edge.sinks import registry
from edge.types import RunInfo

SPECS = ("csv:{}/a.csv", "jsonl:{}/a.jsonl", "video:{}/a.avi", "daylog:{}")


def run_nothing(spec):
    with registry.find(spec)(RunInfo(live=spec.startswith("daylog"))):
        pass


@pytest.mark.parametrize("spec", SPECS)
def test_a_folder_that_was_missing_is_named(tmp_path, caplog, spec):
    caplog.set_level(logging.INFO, "edge")
    for _ in range(2):
        run_nothing(spec.format(tmp_path / "Destkop"))
    name = spec.partition(":")[0]
    line = f"edge: {name}: made the folder {tmp_path / 'Destkop'}, which did not exist"
    assert [record.message for record in caplog.records].count(line) == 1


@pytest.mark.parametrize("spec", SPECS)
def test_a_file_in_place_of_the_folder_is_an_error(tmp_path, spec):
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=r"cannot be (opened|created) \(Not a directory\)"):
        run_nothing(spec.format(tmp_path / "file"))
