"""The notebook runs from its first cell to its last, and shows what its text says."""

import ast
import json

import pytest

from tests.support.paths import ROOT

NOTEBOOK = ROOT / "examples" / "own_model.ipynb"
TIMEOUT_SECONDS = 900  # of a cell: the training takes a minute, or many on a busy machine


def test_the_notebook_is_stored_without_outputs():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells if cell["cell_type"] == "code")


@pytest.mark.slow
@pytest.mark.keras
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore")  # of the notebook's kernel, which is a process of its own
def test_the_notebook_trains_a_model_and_reads_an_image(tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=TIMEOUT_SECONDS, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    images = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    printed = [output.text for output in outputs if output.output_type == "stream" and output.name == "stdout"]
    assert len(images) == 3  # the data set, the curve, the labeled image
    assert sorted(ast.literal_eval(printed[-1].splitlines()[-1])) == ["happy", "surprise"]
