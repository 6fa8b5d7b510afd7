"""Boards to deploy to: folders used as /, fake programs for their PATH, small bundles, and a fake ssh.

The scripts are the real ones. systemctl is a fake, which answers as the release's model file says, and so is the
virtual environment unless a test asks for a real one: a folder with a shell script `edge`, since a real one takes
seconds.
"""

from __future__ import annotations

import ensurepip
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.support.paths import ROOT

INSTALLER = ROOT / "scripts" / "install.sh"
DEPLOY = ROOT / "scripts" / "deploy.sh"
TARGET = f"{platform.machine().replace('aarch64', 'arm64')}-py3.{sys.version_info.minor}"

CONFIG = "# a new one\n"

# A model file is one line: whether it can be loaded, its name, and how the service behaves with it:
#   runs; ends; hangs: no more frames; waits: for a camera at its start; loses: the camera later; restarts: again and
# again;   blind: classifies no face
_EDGE = """#!/bin/sh
for last; do :; done
case $1 in
--version) echo edge ;;
config) ! grep -H wrong "$last" || exit 78 ;;
info) read -r good name how <"$last"; [ "$good" = good ] || { echo "edge: error: no model"; exit 78; }
    printf '{"name": "%s"}\\n' "$name" ;;
run) grep -q blind "$last" || echo '{"faces": [{"probabilities": 1}]}' ;;
esac
"""

_SYSTEMCTL = """#!/bin/sh
state=$EMOTION_EDGE_ROOT/manager home=$EMOTION_EDGE_ROOT/opt/emotion-edge
mkdir -p "$state"
echo "$*" >>"$state/calls"
case $1 in
daemon-reload) [ ! -e "$state/breaks" ] || { rm "$state/breaks"; echo "no bus" >&2; exit 1; } ;;
stop) rm -f "$state/runs" ;;
start) basename "$(readlink "$home/current")" | tee -a "$state/starts" >"$state/runs" ;;
show)
    case $4 in *USec)  # TimeoutStartUSec is what was read from TimeoutStartSec=; systemd says 90 as `1min 30s`
        cat "$EMOTION_EDGE_ROOT/etc/systemd/system/$2" "$EMOTION_EDGE_ROOT/etc/systemd/system/$2.d"/*.conf 2>/dev/null |
            sed -n "s/^${4%USec}Sec=/$4=/p" | tail -n 1 | sed -E 's/=90s?$/=1min 30s/; s/=0$/=infinity/; s/=[0-9]+$/&s/'
        exit ;;
    esac
    [ -e "$state/runs" ] || { echo ActiveState=inactive; exit; }
    echo tick >>"$state/ticks"
    set -- $(wc -l <"$state/ticks")
    ticks=$1 active=active sub=running restarts=0 text='fps=14.9 faces=0 temperature_c=48'
    read -r good name how <"$home/releases/$(cat "$state/runs")/model.tflite"
    [ ! -e "$state/how-$(cat "$state/runs")" ] || how=$(cat "$state/how-$(cat "$state/runs")") # on this board alone
    case $how in
    ends) active=failed sub=failed ;;
    restarts) restarts=$ticks ;;
    hangs) ticks=1 ;;
    waits) active=activating sub=start text='waiting for the camera: none' ;;
    loses) text='waiting for the camera: none' ;;
    esac
    printf '%s\\n' "ActiveState=$active" "SubState=$sub" "NRestarts=$restarts" MainPID=7 "StatusText=$text" \\
        "WatchdogTimestampMonotonic=$ticks" Result=exit-code ActiveEnterTimestampMonotonic=0
    ;;
esac
"""

# A fake of `python3 -m venv` and of pip in it.
_PYTHON = """#!/bin/sh
[ "$1 $2" = "-m venv" ] || exec {python} "$@"
for last; do :; done
mkdir -p "$last/bin"
printf '#!/bin/sh\\ncp {edge} "%s"\\n' "$last/bin/edge" >"$last/bin/python"
chmod +x "$last/bin/python"
"""

_SSH = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do case $1 in -[oip]) shift 2 ;; *) shift ;; esac; done
host=$1
shift
[ -d "$BOARDS/$host" ] || { echo "ssh: connect to host $host port 22: No route to host" >&2; exit 255; }
export EMOTION_EDGE_ROOT="$BOARDS/$host"
mkdir -p "$EMOTION_EDGE_ROOT/home"
cd "$EMOTION_EDGE_ROOT/home" || exit
exec sh -c "$*"
"""


def unit(release: str, how: str = "runs") -> str:
    """Return a release's unit, with short timeouts where the test expects one, and long ones otherwise."""
    seconds = 1 if how in {"hangs", "waits", "loses"} else 60
    return f"[Service]\nTimeoutStartSec={seconds}\nWatchdogSec={seconds}\n# {release}"


class Board:
    """A board in the folder `root`.

    Args:
        tools: a folder of programs that override those of this machine, from `fake_programs`.
    """

    def __init__(self, root: Path, tools: Path) -> None:
        self.root, self.tools = root, tools
        self.home = root / "opt" / "emotion-edge"
        self.config = root / "etc" / "emotion-edge" / "config.toml"
        self.units = root / "etc" / "systemd" / "system"
        root.mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "EMOTION_EDGE_ROOT": str(self.root), "PATH": f"{self.tools}:{os.environ['PATH']}"}

    def installer(self, *arguments: object, script: Path = INSTALLER, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the installer to its end; `more` goes into its environment."""
        return subprocess.run(
            ["bash", str(script), "--health-check", "0", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
            env={**self.environment, **more},
            start_new_session=True,  # so that a cut ends all of it and not the test
        )

    def install(self, bundle: Path) -> subprocess.CompletedProcess[str]:
        return self.installer("install", bundle)

    @property
    def current(self) -> str | None:
        """The release that the next start runs."""
        link = self.home / "current"
        return link.readlink().name if link.is_symlink() else None

    @property
    def runs(self) -> str | None:
        """The release that was started last."""
        note = self.root / "manager" / "runs"
        return note.read_text().strip() if note.exists() else None

    @property
    def starts(self) -> list[str]:
        note = self.root / "manager" / "starts"
        return note.read_text().split() if note.exists() else []

    @property
    def releases(self) -> set[str]:
        return {path.name for path in (self.home / "releases").glob("*")}

    @property
    def pending(self) -> bool:
        return (self.home / "pending").exists()

    def is_complete(self, name: str) -> bool:
        """Whether everything that the unit starts is there and works."""
        folder = self.home / "releases" / name
        edge = subprocess.run(
            [folder / "venv" / "bin" / "edge", "info", folder / "model.tflite"], stdout=subprocess.DEVNULL, check=False
        )
        named = (folder / "environment").read_text().strip() == f"EMOTION_EDGE_MODEL={folder / 'model.tflite'}"
        return edge.returncode == 0 and named and (folder / "install.sh").exists()


class Kiosks:
    """Several boards, and the command that deploys to them."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self.folder, self.tools = folder, tools

    def __getitem__(self, name: str) -> Board:
        return Board(self.folder / name, self.tools)

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.tools}:{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "BOARDS": str(self.folder), "EMOTION_EDGE_SSH": "ssh -p 2222 -o A=b"}

    def deploy(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [DEPLOY, "--health-check", "0", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
            env=self.environment,
        )


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def fake_programs(folder: Path, real: bool = False) -> Path:
    """Make a folder for the front of PATH; `real`: python3 is this one, so that virtual environments are real."""
    edge = executable(folder / "edge", _EDGE)
    executable(folder / "systemctl", _SYSTEMCTL)
    executable(folder / "journalctl", "#!/bin/sh\necho the last line of the journal\n")
    executable(folder / "sleep", "#!/bin/sh\nexec /bin/sleep 0.02\n")
    executable(folder / "ssh", _SSH)
    if real:
        executable(folder / "python3", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    else:
        executable(folder / "python3", _PYTHON.format(python=sys.executable, edge=edge))
        executable(folder / "sync", "#!/bin/sh\n")  # the real one takes as long as this machine's disk is busy
    return folder


def bundle(folder: Path, release: str, how: str = "runs", model: str = "good calm", target: str = TARGET) -> Path:
    """Make an unpacked bundle of `release` in `folder`, and return where it is."""
    place = folder / f"emotion-edge-{release}-{target}"
    (place / "systemd").mkdir(parents=True)
    (place / "wheelhouse").mkdir()
    (place / "tools").mkdir()
    (place / "systemd" / "emotion-edge.service").write_text(unit(release, how))
    (place / "systemd" / "emotion-edge-recover.service").write_text("# recover")
    (place / "systemd" / "network.conf").write_text(f"# {release}")
    (place / "systemd" / "config.toml").write_text(CONFIG)
    (place / "model.tflite").write_text(f"{model} {how}\n")
    (place / "requirements.txt").write_text("")
    (place / "manifest").write_text(f"release={release}\nversion={release}\ntarget={target}\ninstalled_bytes=1000\n")
    shutil.copy(INSTALLER, place / "install.sh")
    return seal(place)


def seal(place: Path) -> Path:
    """Write the sums of an unpacked bundle anew."""
    files = [path for path in sorted(place.rglob("*")) if path.is_file() and "SHA256SUMS" not in path.name]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(place)}\n" for path in files]
    (place / "SHA256SUMS").write_text("".join(lines))
    return place


def with_wheel(place: Path) -> Path:
    """Put pip and a wheel with the command `edge` into an unpacked bundle: a real environment can be made of it."""
    (pip,) = (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")
    shutil.copy(pip, place / "tools")
    about = "emotion_edge-1.dist-info"
    files = {
        "small_edge.py": "import subprocess, sys\n\n\ndef main():\n"
        f"    sys.exit(subprocess.run(['sh', '-c', {_EDGE!r}, 'edge', *sys.argv[1:]]).returncode)\n",
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: emotion-edge\nVersion: 1\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": "[console_scripts]\nedge = small_edge:main\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    wheel = place / "wheelhouse" / "emotion_edge-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (place / "requirements.txt").write_text(f"emotion-edge==1 --hash=sha256:{digest}\n")
    return seal(place)


def packed(place: Path) -> Path:
    """Return the bundle as one file, as scripts/bundle.sh makes it."""
    path = place.with_name(f"{place.name}.tar")
    with tarfile.open(path, "w") as archive:
        archive.add(place, place.name)
    return path
