"""The leaderboard: the protocol, what is kept, and the table, with peers that are made up. See benchmarks/peers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import __main__ as program
from benchmarks.peers import table
from benchmarks.peers.environment import prepare
from benchmarks.peers.protocol import PeerError, PeerProcess, describe, find_adapters
from tests.support import faces
from tests.support.paths import ROOT
from trainer.data.dataset import FER2013_LABELS, PUBLIC_TEST

DATA = faces.tiny(training=1, public=2, private=1)
# Answers by the brightness of a face; {labels} and {row} are the peer's.
ADAPTER = """
from pathlib import Path
from benchmarks.peers.serve import serve
PEER = dict(name="{name}", version="1.0", packages=[], runtime=[], labels={labels}, input="gray",
            training_data="Not told.", source="nowhere")
def load():
    print("the package prints this")
    return Path(__file__), lambda gray: {row}
serve(PEER, load)
"""
SIX = [name for name in FER2013_LABELS if name != "disgust"]


def adapter(folder, name="fake", labels=tuple(SIX), row="[0.5] + [0.1] * 5"):
    path = folder / f"{name}.py"
    path.write_text(ADAPTER.format(name=name, labels=list(labels), row=row))
    return path


def ask(path, tmp_path):
    peer = describe(path, sys.executable)
    with PeerProcess(peer, sys.executable, None, tmp_path / "peer.log") as process:
        return process.classify(DATA.faces[:3], FER2013_LABELS)


def test_probabilities_come_in_the_order_of_our_classes(tmp_path):
    answer = ask(adapter(tmp_path, labels=["happy", "angry", "fear", "sad", "surprise", "contempt"]), tmp_path)
    assert answer.probabilities[0, FER2013_LABELS.index("happy")] == pytest.approx(0.5 / 0.9)
    assert answer.probabilities[0, FER2013_LABELS.index("disgust")] == 0
    assert answer.probabilities.sum(axis=1) == pytest.approx(1)
    assert answer.milliseconds.shape == (3,)


def test_a_face_arrives_as_it_was_sent(tmp_path):
    mean = "[gray.mean() / 255, 1 - gray.mean() / 255, 0, 0, 0, 0]"
    answer = ask(adapter(tmp_path, row=mean), tmp_path)
    assert answer.probabilities[:, 0] == pytest.approx(DATA.faces[:3].mean(axis=(1, 2)) / 255, abs=1e-6)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("[0.5, 0.5]", "6 labels, but probabilities of the shape (3, 2)"),
        ("[2.0, 3.0, 0, 0, 0, 0]", "rows that are no probabilities"),
        ("[float('nan')] * 6", "rows that are no probabilities"),
        ("1 / 0", "it ended: ZeroDivisionError"),
    ],
)
def test_an_answer_that_is_none_is_an_error(tmp_path, row, message):
    with pytest.raises(PeerError) as error:
        ask(adapter(tmp_path, row=row), tmp_path)
    assert str(error.value).startswith("fake: ")
    assert message in str(error.value)


def test_an_adapter_without_description_is_an_error(tmp_path):
    (tmp_path / "bad.py").write_text("print('hello')")
    with pytest.raises(PeerError, match=r"bad\.py: it does not describe a peer"):
        describe(tmp_path / "bad.py", sys.executable)


def test_every_python_adapter_says_what_it_is():
    described = [describe(path, sys.executable) for path in find_adapters().values() if path.suffix == ".py"]
    assert "ours" in [peer.name for peer in described]
    for peer in described:
        assert peer.name == peer.adapter.stem
        assert all("==" in requirement for requirement in (*peer.packages, *peer.runtime))
        assert peer.training_data
        assert peer.source


def test_our_own_environment_is_this_one(tmp_path):
    peer = describe(adapter(tmp_path), sys.executable)
    assert prepare(peer, tmp_path / "environments").python == sys.executable


def test_the_command_writes_the_table_and_keeps_results(tmp_path, monkeypatch, capsys):
    adapters, docs = tmp_path / "adapters", tmp_path / "docs"
    adapters.mkdir()
    docs.mkdir()
    adapter(adapters)
    adapter(adapters, name="ours", labels=FER2013_LABELS, row="[0.4] + [0.1] * 6")
    (docs / program.DOCUMENT).write_text(f"# Title\n\n{table.BEGIN}\nstale\n{table.END}\n\nlast\n")
    faces.write_csv(tmp_path / "fer2013.csv", DATA)
    command = [str(tmp_path / "fer2013.csv"), "--env-dir", str(tmp_path / "environments"), "--docs", str(docs)]
    command += ["--adapters", str(adapters), "--corruption-step", "2"]
    program.main(command)
    assert "fake: clean" in capsys.readouterr().out
    text = (docs / program.DOCUMENT).read_text()
    assert "stale" not in text
    assert text.endswith("last\n")
    assert "| disgust |" in text
    rows = {row["name"]: row for row in json.loads((docs / program.CONTENT).read_text())["peers"]}
    angry = float(np.mean(DATA.split(PUBLIC_TEST).labels == 0))
    assert rows["fake"]["conditions"]["clean"]["accuracy"] == pytest.approx(angry)
    assert rows["ours"]["ratio"] == 1
    program.main(command)
    assert "fake: clean" not in capsys.readouterr().out


def test_an_unknown_peer_is_named_with_those_that_exist(tmp_path):
    adapter(tmp_path, name="ours")
    with pytest.raises(PeerError, match="no adapter elsewhere; there are: ours"):
        program.chosen(tmp_path, ["elsewhere"])


def test_the_environments_are_not_made_in_the_checkout(tmp_path, capsys):
    with pytest.raises(SystemExit, match="inside of the checkout"):
        program.main(["fer2013.csv", "--env-dir", str(ROOT / "benchmarks"), "--peers", "ours"])


def test_the_committed_table_is_that_of_the_committed_figures():
    content = json.loads((ROOT / "docs" / program.CONTENT).read_text())
    document = Path(ROOT / "docs" / program.DOCUMENT).read_text()
    assert table.replace(document, content) == document
