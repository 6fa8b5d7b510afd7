"""Keras is loaded without output, or an error names what is missing."""

import os
import subprocess
import sys

import pytest

from edge.system.installation import install_command


def run_python(code):
    """Run `code` in a new process, where nothing is imported yet."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("missing", ["keras", pytest.param("tensorflow", marks=pytest.mark.keras)])
def test_missing_package_is_named_with_what_installs_it(missing):
    done = run_python(f"""
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name == "{missing}":
            raise ModuleNotFoundError("No module named " + name, name=name)
sys.meta_path.insert(0, Hide())
from edge.errors import EmotionEdgeError
from trainer import keras_backend
try:
    keras_backend.load()
except EmotionEdgeError as error:
    print(error)
""")
    assert done.stdout.startswith(f"{missing} is not installed")
    assert install_command("trainer") in done.stdout
    assert done.stderr == ""


@pytest.mark.keras
def test_loading_keras_prints_nothing():
    done = run_python("from trainer import keras_backend; keras_backend.load(); import keras; keras.ops.ones(2)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
