"""Convert .keras files and run folders that were made before the settings and metadata got their present names.

    python -m trainer.migrate PATH...

PATH is a .keras file or a run folder, which may be resumed afterwards. Weights, optimizer and layers are not changed; a
file that is converted already is left alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.system.atomic_file import atomic_path, atomic_write
from trainer.errors import TrainingError
from trainer.keras_file import METADATA_MEMBER
from trainer.training.settings import TrainingSettings

# Old name -> new name.
_METADATA_KEYS = {"detail": "effective_resolution"}
_SETTING_KEYS = {
    "batch": "batch_size",
    "rate": "learning_rate",
    "head_rate": "head_learning_rate",
    "warm_up": "warmup_epochs",
    "average": "ema_momentum",
    "momentum": "batch_norm_momentum",
    "teaching": "distill_weight",
    "votes": "ferplus_weight",
}
_AUGMENTATION_KEYS = {"soften": "blur", "dim": "darken"}
_HISTORY_COLUMNS = {"rate": "learning_rate"}


def migrate(path: Path) -> list[Path]:
    """Convert a .keras file or a run folder; return the files that changed. Raises TrainingError when it is neither."""
    if path.suffix == ".keras" and path.is_file():
        return [path] if _migrate_keras_file(path) else []
    if not (path / "settings.json").is_file():
        raise TrainingError(f"{path}: neither a .keras file nor a run folder (no settings.json)")
    steps = {"settings.json": _migrate_settings, "history.csv": _migrate_history, "best.keras": _migrate_keras_file}
    return [path / name for name, step in steps.items() if (path / name).is_file() and step(path / name)]


def _migrate_keras_file(path: Path) -> bool:
    """Rename the keys of the metadata; the other members keep their bytes. Return whether the file changed."""
    with zipfile.ZipFile(path) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    metadata = next((content for info, content in members if info.filename == METADATA_MEMBER), b"{}")
    old = json.loads(metadata)
    new = _rename(old, _METADATA_KEYS)
    if new == old:
        return False
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for info, content in members:
            archive.writestr(info, json.dumps(new) if info.filename == METADATA_MEMBER else content)
    return True


def _migrate_settings(path: Path) -> bool:
    old = json.loads(path.read_text())
    new = _rename(old, _METADATA_KEYS)
    defaults = TrainingSettings().as_json()  # of settings that came later: what was done before them
    augmentation = _rename(old["settings"]["augmentation"], _AUGMENTATION_KEYS)
    new["settings"] = defaults | _rename(old["settings"], _SETTING_KEYS)
    new["settings"]["augmentation"] = defaults["augmentation"] | augmentation
    if new == old:
        return False
    atomic_write(path, (json.dumps(new, indent=1) + "\n").encode())
    return True


def _migrate_history(path: Path) -> bool:
    header, newline, rows = path.read_text().partition("\n")
    new = ",".join(_HISTORY_COLUMNS.get(name, name) for name in header.split(","))
    if new == header:
        return False
    atomic_write(path, f"{new}{newline}{rows}".encode())
    return True


def _rename(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return `values` with the keys in `names` replaced, in the same order."""
    return {names.get(key, key): value for key, value in values.items()}


def main() -> None:
    """Convert the paths on the command line."""
    parser = argparse.ArgumentParser("trainer.migrate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="an old .keras file or run folder")
    for path in parser.parse_args().paths:
        try:
            changed = migrate(path)
        except (TrainingError, OSError, ValueError, KeyError) as error:
            sys.exit(f"trainer.migrate: error: {error}")
        print(f"{path}: " + (", ".join(file.name for file in changed) + " converted" if changed else "up to date"))


if __name__ == "__main__":
    main()
