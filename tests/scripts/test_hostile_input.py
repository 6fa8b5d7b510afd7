"""Neither a board nor a bundle, a model or a user of the board commands the deployment."""

import grp
import os
import pty
import pwd
import re
import shlex
import shutil
import stat
import subprocess

import pytest

from tests.fuzz.campaign import Campaign
from tests.support import board as boards
from tests.support.board import DEPLOY, INSTALLER, TARGET, packed
from tests.support.paths import ROOT

pytestmark = [pytest.mark.scripts, pytest.mark.slow]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a user of its own or a mount")


# ---- answers of a board


@pytest.fixture
def answers(tmp_path, release):
    """Deploy to a board that answers every question with this text."""
    file = packed(release("1"))

    def deploy(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "answer").write_text(text)
        ssh = boards.executable(tmp_path / "ssh", f'#!/bin/sh\ncat "{tmp_path}/answer"\n')
        return subprocess.run(
            [DEPLOY, *(arguments or ("--bundle", str(file))), "board"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "EMOTION_EDGE_SSH": str(ssh)},
        )

    return deploy


def answer(**facts: str) -> str:
    """Return a board's answer with other facts."""
    machine, python = TARGET.replace("arm64", "aarch64").split("-py")
    usual = {
        "machine": machine,
        "python": f"{python} 64",
        "rsync": "",
        "free": "9000000000",
        "releases": "",
        "root": "yes",
    }
    return "".join(f"{name}={value}\n" for name, value in {**usual, **facts}.items())


@pytest.mark.parametrize("name", ["machine", "python", "rsync", "free", "releases", "installer", "root"])
def test_an_answer_that_is_a_command_is_not_run(answers, tmp_path, name):
    result = answers(answer(**{name: f"BASH_VERSINFO[$(touch {tmp_path}/proof)]"}))
    assert result.returncode == 1
    assert "board gives an answer that is not understood, " + name in result.stdout
    assert result.stdout.count("\n") == 1
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("free", ["", "08", "-1", "0x10", "1 2", "99999999999999999999", "many"])
def test_free_space_is_a_number(answers, free):
    result = answers(answer(free=free))
    assert result.returncode == 1
    assert f"not understood, free='{free}'" in result.stdout


@pytest.mark.parametrize("name", ["../1", "..", "-1", "a;b", ".hidden", "a/b", "a b"])
def test_names_of_releases_are_plain(answers, name):
    for known in (f"{name}:{TARGET}", f"1:{TARGET} {name}:{TARGET}", f"1:{name}"):
        assert "not understood, releases=" in answers(answer(releases=known)).stdout


def test_a_greeting_of_the_board_is_ignored(answers):
    greeting = "Welcome!\n@=1\n]=1\n=x\n"
    assert "sending 0 MB" in answers(greeting + answer()).stdout


def test_control_characters_of_a_board_are_not_shown(answers):
    for text in ("1  calm\x1b[2J \x9b2J \u202e 14.9 fps °C", answer() + "\x1b]0;title\x07\n\x9b\n"):
        for action in (["--status"], ["--rollback"], []):
            shown = answers(text, *action).stdout
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)
    assert "°C" in answers("1 °C\nsecond line\n", "--status").stdout
    assert answers("1 °C\nsecond line\n", "--status").stdout.count("\n") == 1


def test_an_answer_without_an_end_is_cut(answers, tmp_path):
    boards.executable(tmp_path / "endless", "#!/bin/sh\nexec yes releases=\n")
    result = subprocess.run(
        [DEPLOY, "--rollback", "board"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "EMOTION_EDGE_SSH": str(tmp_path / "endless")},
    )
    assert result.returncode == 1
    assert re.search(r"board does not answer: exit status \d+ without a message", result.stderr)


def test_the_password_for_sudo_is_asked_for_here(kiosks, release):
    """With a terminal; the board's own question would be shown as it is."""
    boards.executable(kiosks.tools / "id", "#!/bin/sh\necho 1000\n")
    sudo = '#!/bin/sh\n[ "$1" = -S ] || exit 1\nread -r word; [ "$word" = secret ] || exit 1\nshift 3\nexec "$@"\n'
    boards.executable(kiosks.tools / "sudo", sudo)
    ours, theirs = pty.openpty()
    command = [str(DEPLOY), "--health-check", "0", "--bundle", str(packed(release("2"))), "one"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=kiosks.environment
    ) as process:
        os.close(theirs)
        os.write(ours, b"secret\n")
        shown, _ = process.communicate()
    os.close(ours)
    assert b"one: password for sudo: " in shown
    assert b"secret" not in shown
    assert process.returncode == 0, shown
    assert kiosks["one"].runs == "2"


# ---- bundles


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("release=../../escaped", "release="),
        ("release=..", "release="),
        ("release=2\nrelease=../../escaped", "release="),
        ("release=$(touch proof)", "release="),
        ("installed_bytes=BASH_VERSINFO[$(touch proof)]", "installed_bytes="),
        ("installed_bytes=08", "installed_bytes="),
        ("installed_bytes=99999999999999999999", "installed_bytes="),
        ("version=a/b", "version="),
    ],
)
def test_a_hostile_manifest_is_refused(running, release, line, named):
    place = release("2")
    key = line.partition("=")[0]
    kept = [each for each in (place / "manifest").read_text().splitlines() if not each.startswith(f"{key}=")]
    (place / "manifest").write_text("\n".join([*kept, line, ""]))
    result = running.install(boards.seal(place))
    assert result.returncode == 1
    assert f"its manifest has no usable line '{named}'" in result.stdout
    assert (running.current, running.releases) == ("1", {"1"})
    assert not list(running.root.parent.rglob("escaped"))
    assert not list(running.root.parent.rglob("proof"))


def test_a_hostile_bundle_reaches_no_board(kiosks, release):
    place = release("2")
    (place / "manifest").write_text(f"release=$(touch proof)\ntarget={TARGET}\n")
    result = kiosks.deploy("--bundle", packed(place), "one")
    assert result.returncode == 1
    assert "not a bundle that scripts/bundle.sh has made" in result.stdout
    moved = place.rename(place.with_name("$(touch proof)"))
    (moved / "manifest").write_text(f"release=2\ntarget={TARGET}\n")
    result = kiosks.deploy("--bundle", packed(moved), "one")
    assert "not a bundle that scripts/bundle.sh has made" in result.stdout
    assert "sending" not in result.stdout


@pytest.mark.parametrize("what", ["link", "link to a folder", "fifo"])
def test_a_bundle_with_a_special_file_is_refused(running, release, what):
    place = release("2")
    if what == "link":
        (place / "model.tflite").unlink()
        (place / "model.tflite").symlink_to("/etc/shadow")
    elif what == "link to a folder":
        (place / "wheelhouse" / "etc").symlink_to("/etc")
    else:
        os.mkfifo(place / "wheelhouse" / "fifo")
    result = running.install(place)
    assert result.returncode == 1
    assert "it has a link or a special file" in result.stdout
    assert running.releases == {"1"}


def test_a_file_that_is_not_in_the_checksums_is_refused(running, release):
    place = release("2")
    (place / "tools" / "pip-99.whl").touch()
    assert "do not match SHA256SUMS" in running.install(place).stdout


def test_nobody_changes_a_bundle_after_it_was_checked(running, release, tmp_path):
    """The installer works on a copy that only root can write."""
    place = release("2")
    script = place / "install.sh"
    look = f'stat -c %a "$incoming" >{tmp_path}/mode; echo changed >{shlex.quote(str(place / "model.tflite"))}\n'
    script.write_text(script.read_text().replace('    begin_release "$2"\n', f'    begin_release "$2"\n    {look}'))
    result = running.install(boards.seal(place))
    assert result.returncode == 0, result.stdout
    assert (tmp_path / "mode").read_text() == "700\n"
    assert (running.home / "current" / "model.tflite").read_text() == "good calm runs\n"
    assert not (running.home / "incoming").exists()


def test_a_python_module_beside_the_bundle_is_not_loaded(running, release, tmp_path, monkeypatch):
    for name in ("json", "platform", "struct"):
        (tmp_path / f"{name}.py").write_text("import os\nos.mknod('proof')\n")
    monkeypatch.chdir(tmp_path)
    assert running.install(release("2")).returncode == 0
    assert not list(tmp_path.rglob("proof"))


# ---- models


def test_the_name_of_a_model_stays_on_its_line(running, tmp_path):
    (tmp_path / "model.tflite").write_text("good \\u000arelease=../../x\\u000a\\u001b[2Jcalm runs\n")
    result = running.installer("model", tmp_path / "model.tflite")
    assert result.returncode == 0, result.stdout
    lines = (running.home / "current" / "manifest").read_text().splitlines()
    assert [line for line in lines if line.startswith("release=")] == [f"release={running.current}"]
    assert "\x1b" not in result.stdout + running.installer("status").stdout


@pytest.mark.parametrize("what", ["link", "fifo", "device", "large"])
def test_what_is_no_file_of_a_model_is_refused(running, tmp_path, what):
    path = tmp_path / "model.tflite"
    if what == "link":
        path.symlink_to("/etc/shadow")
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "large":
        with path.open("wb") as file:
            file.truncate(100 << 20)
    result = running.installer("model", "/dev/zero" if what == "device" else path)
    assert result.returncode == (78 if what == "large" else 2)
    assert ("at most 64 MB" if what == "large" else "not a file, or a link to one") in result.stdout
    assert running.releases == {"1"}


# ---- the board's users, and the owner's drop-ins


def test_lock_and_state_are_of_root_alone(running):
    for name in ("lock", "history"):
        assert stat.S_IMODE((running.home / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", [".", "releases"])
def test_a_folder_that_others_can_write_is_refused(running, release, name):
    (running.home / name).chmod(0o777)
    result = running.install(release("2"))
    assert result.returncode == 1
    assert "others than root can write it; sudo chown root: " in result.stdout
    assert running.current == "1"


@pytest.mark.parametrize("span", ["90s", "90", "2min", "1h 30min", "infinity", "0"])
def test_a_drop_in_may_write_the_watchdog_as_systemd_does(running, release, span):
    drop_in = running.units / "emotion-edge.service.d" / "slow.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(f"[Service]\nWatchdogSec={span}\nTimeoutStartSec={span}\n")
    result = running.install(release("2"))
    assert result.returncode == 0, result.stdout
    assert running.current == "2"
    assert ("the watchdog is off" in result.stdout) == (span in {"infinity", "0"})


def test_the_status_of_a_service_is_not_obeyed(running):
    """The service may write any line as its status."""
    systemctl = running.tools / "systemctl"
    text = (
        systemctl.read_text()
        .replace("fps=14.9", "\x1b[2J fps=14.9")
        .replace("NRestarts=$restarts", "NRestarts=a[$(date)]")
    )
    boards.executable(systemctl, text)
    result = running.installer("status")
    assert result.returncode == 0, result.stdout
    assert "\x1b" not in result.stdout


# ---- a model is tried as nobody


def in_namespace(board, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in which the board's folders are mounted where they are on a board, and /run is empty."""
    (board.root / "etc" / "emotion-edge").mkdir(parents=True, exist_ok=True)
    (board.root / "etc" / "systemd" / "system").mkdir(parents=True, exist_ok=True)
    (board.root / "opt").mkdir(exist_ok=True)
    tools = board.tools / "outside"
    for name, words in (("systemctl", f"EMOTION_EDGE_ROOT={board.root} exec {board.tools}/systemctl"), ("logger", ":")):
        boards.executable(tools / name, f'#!/bin/sh\n{words} "$@"\n')
    # PATH must be readable for nobody, too.
    mounts = f"""set -e
        mkdir -p /etc/emotion-edge
        mount --bind {board.root}/opt /opt
        mount --bind {board.root}/etc/emotion-edge /etc/emotion-edge
        mount --bind {board.root}/etc/systemd/system /etc/systemd/system
        mount -t tmpfs none /run
        """
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", mounts + script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "PATH": f"{tools}:{board.tools}:{os.environ['PATH']}"},
    )


@needs_root
def test_without_systemd_a_model_is_tried_as_nobody(board, release):
    text = (board.tools / "edge").read_text()
    report = 'echo "$(id -u) $(id -G) $(ulimit -v) $(sed -n "s/^CapBnd:.//p" /proc/self/status)" && exit 1\n'
    boards.executable(
        board.tools / "edge", text.replace("case $1 in\n", f"[ $1 != info ] || {{ {report}}}\ncase $1 in\n", 1)
    )
    result = in_namespace(board, f"bash {INSTALLER} install {release('1')}")
    assert result.returncode == 78
    nobody, group = pwd.getpwnam("nobody").pw_uid, grp.getgrnam("nogroup").gr_gid
    assert f"the model is refused, nothing was changed: {nobody} {group} 1572864 0000000000000000" in result.stdout


@needs_root
def test_with_systemd_a_model_is_tried_in_the_sandbox(board, release):
    place = release("1")
    shutil.copy(ROOT / "systemd" / "emotion-edge.service", place / "systemd")
    record = board.tools / "properties"
    boards.executable(
        board.tools / "systemd-run",
        f'#!/bin/sh\nwhile [ "$1" != -- ]; do echo "$1" >>{record}; shift; done\nshift\nexec "$@"\n',
    )
    script = f"mkdir -p /run/systemd/system\nbash {INSTALLER} --health-check 0 install {boards.seal(place)}"
    result = in_namespace(board, script)
    assert result.returncode == 0, result.stdout
    properties = set(record.read_text().splitlines())
    wanted = (
        "DynamicUser=yes",
        "MemoryMax=400M",
        "PrivateNetwork=yes",
        "ProtectSystem=strict",
        "CapabilityBoundingSet=",
    )
    assert {f"--property={each}" for each in (*wanted, "RuntimeMaxSec=600", "LimitAS=1610612736")} <= properties
    assert not [
        each for each in properties if re.match("--property=(Exec|Type|Restart|Watchdog|Device(?!Policy))", each)
    ]


# ---- many inputs


@pytest.mark.parametrize(("door", "inputs"), [("board_answers", 300), ("bundles", 100)])
def test_no_hostile_input_commands_the_scripts(door, inputs):
    campaign = Campaign()
    tally = campaign.run(door, seed=7, inputs=inputs)
    assert (tally.tried, tally.failed) == (inputs, 0), campaign.table()
    assert tally.accepted
    assert tally.refused
