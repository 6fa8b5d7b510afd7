"""scripts/recipe.sh hands the caller's files to the trainer, from whichever folder it is started."""

import os
import shutil
import subprocess

import pytest

from tests.support.board import executable
from tests.support.paths import ROOT

pytestmark = pytest.mark.scripts


def test_paths_are_relative_to_the_folder_of_the_caller(tmp_path):
    scripts, caller = tmp_path / "clone" / "scripts", tmp_path / "my data"
    scripts.mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "recipe.sh", scripts)
    caller.mkdir()
    for name in ("faces.csv", "votes.csv"):
        (caller / name).touch()
    executable(caller / "trainer", f'#!/bin/sh\nprintf "%s\\n" "$@" >>"{tmp_path}/arguments"\n')
    command = ["bash", str(scripts / "recipe.sh"), "faces.csv", "votes.csv"]
    subprocess.run(command, cwd=caller, env={**os.environ, "TRAINER": "./trainer"}, check=True)
    words = (tmp_path / "arguments").read_text().splitlines()
    values = {name: {words[i + 1] for i, word in enumerate(words) if word == name} for name in ("--data", "--ferplus")}
    assert values == {"--data": {str(caller / "faces.csv")}, "--ferplus": {str(caller / "votes.csv")}}
    assert words[words.index("--weights") + 1] == "imagenet"
