"""Keras is loaded quietly, or one line says what brings it."""

import os
import subprocess
import sys

import pytest


def python(code):
    """Run `code` in a process of its own: what is imported there does not matter here."""
    env = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)


@pytest.mark.parametrize("missing", ["keras", pytest.param("tensorflow", marks=pytest.mark.keras)])
def test_without_keras_or_its_backend_one_line_says_what_brings_it(missing):
    done = python(f"""
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name == "{missing}":
            raise ModuleNotFoundError("No module named " + name, name=name)
sys.meta_path.insert(0, Without())
from edge.errors import EmotionEdgeError
from trainer import keras_backend as framework
try:
    framework.load()
except EmotionEdgeError as error:
    print(error)
""")
    assert done.stdout == f"{missing} is not installed; 'pip install emotion-edge[trainer]' brings it\n"
    assert done.stderr == ""


@pytest.mark.keras
def test_loading_keras_prints_nothing():
    done = python("from trainer import framework; framework.load(); import keras; keras.ops.ones(2)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
