"""Keep files as they are before a change, and bring them back; Ansible sends this to a board.

keep_files.py save FOLDER FILE...    copy them to FOLDER; a copy that is there stays: its change was interrupted. Prints
                                     `interrupted` in this case.
keep_files.py restore FOLDER         bring them back, remove those that did not exist, remove FOLDER. Prints `restored`
                                     if there was something to bring back.
"""

import json
import os
import shutil
import sys
from pathlib import Path


def copy(source: Path, target: Path) -> None:
    """Copy content, mode and owner completely or not at all."""
    part = target.with_name(f"{target.name}.part")
    shutil.copy2(source, part)
    owner = source.stat()
    os.chown(part, owner.st_uid, owner.st_gid)
    part.replace(target)


def save(folder: Path, files: list[str]) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    index = folder / "index.json"
    kept: dict[str, str | None] = json.loads(index.read_text()) if index.exists() else {}
    if kept:
        print("interrupted")
    for file in files:
        if file not in kept:
            kept[file] = None
            if Path(file).exists():
                kept[file] = name = str(len(kept))
                copy(Path(file), folder / name)
    (folder / "index.part").write_text(json.dumps(kept))
    (folder / "index.part").replace(index)
    os.sync()


def restore(folder: Path) -> None:
    index = folder / "index.json"
    if index.exists():
        for file, copied in json.loads(index.read_text()).items():
            if copied:
                copy(folder / copied, Path(file))
            else:
                Path(file).unlink(missing_ok=True)
        print("restored")
    shutil.rmtree(folder, ignore_errors=True)


os.umask(0o077)  # a copy of a secret is nobody else's before it has its mode, either
if sys.argv[1] == "save":
    save(Path(sys.argv[2]), sys.argv[3:])
else:
    restore(Path(sys.argv[2]))
