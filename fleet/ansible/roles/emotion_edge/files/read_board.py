"""Print, as JSON, what deploy.yml has to know of this board; argument: the folder of the releases, /opt/emotion-edge.

target: as scripts/install.sh names it; current: the release that the next start runs; complete: all that can start.
"""

import json
import platform
import struct
import sys
from pathlib import Path

home = Path(sys.argv[1])
machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
bits = "" if struct.calcsize("P") == 8 else "-32bit"
link = home / "current"
board = {
    "target": f"{machine}-py{sys.version_info[0]}.{sys.version_info[1]}{bits}",
    "current": link.readlink().name if link.is_symlink() else "",
    "complete": sorted(mark.parent.name for mark in home.glob("releases/*/.complete")),
}
print(json.dumps(board))
