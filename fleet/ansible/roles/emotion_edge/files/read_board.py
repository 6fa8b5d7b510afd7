"""Print, as JSON, what deploy.yml has to know of this board; argument: the folder of the releases, /opt/emotion-edge.

target: as scripts/install.sh names it; current: the release that the next start runs; complete: all that can start, so
none of the Python that the board had before an upgrade.
"""

import json
import platform
import struct
import sys
from pathlib import Path

home = Path(sys.argv[1])
machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
bits = "" if struct.calcsize("P") == 8 else "-32bit"
target = f"{machine}-py{sys.version_info[0]}.{sys.version_info[1]}{bits}"
link = home / "current"
board = {
    "target": target,
    "current": link.readlink().name if link.is_symlink() else "",
    "complete": sorted(
        mark.parent.name
        for mark in home.glob("releases/*/.complete")
        if f"target={target}" in mark.with_name("manifest").read_text(errors="replace").splitlines()
    ),
}
print(json.dumps(board))
