"""A board runs the old release or the new one completely, whatever happens during a deployment."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support import board as boards
from tests.support.board import DEPLOY, Board, fake_programs, packed, with_wheel
from tests.support.kiosk import wait_until

pytestmark = [pytest.mark.scripts, pytest.mark.slow]

# Runs before each command of the installer, in all its shells, by a DEBUG trap. The command's number is the offset of a
# file that is open in all of them, so that it counts pipelines and substitutions, too.
BEFORE_EACH = """
case $0 in *install.sh) ;; *) return ;; esac
exec 8>>"$NUMBERS"
set -o functrace
trap 'printf . >&8; IFS=: read -r _ number </proc/$BASHPID/fdinfo/8; number=$((number)); {command}' DEBUG
"""
KILL = '[ "$number" != "$KILL_AT" ] || kill -9 -- -$$'  # with its children
KEEP = 'cp -a "$EMOTION_EDGE_ROOT" "$KEPT/$number" 2>/dev/null || true'


def test_from_nothing_to_a_running_release(board, release):
    result = board.install(release("1"))
    assert result.returncode == 0, result.stdout
    assert (board.current, board.runs, board.pending) == ("1", "1", False)
    assert board.is_complete("1")
    assert board.config.read_text() == boards.CONFIG
    assert (board.units / "emotion-edge.service").read_text() == boards.unit("1")
    assert "1  calm (" in result.stdout
    assert "14.9 fps  up " in result.stdout


def test_an_update_keeps_the_configuration(running, release):
    running.config.write_text("mine = 1\n")
    result = running.install(release("2"))
    assert result.returncode == 0, result.stdout
    assert (running.current, running.runs) == ("2", "2")
    assert running.config.read_text() == "mine = 1\n"
    assert (running.units / "emotion-edge.service").read_text() == boards.unit("2")


def test_a_running_release_is_checked_and_not_restarted(running, release, tmp_path):
    result = running.install(tmp_path / "bundles" / f"emotion-edge-1-{boards.TARGET}")
    assert result.returncode == 0, result.stdout
    assert "installed already" in result.stdout
    assert running.starts == ["1"]


def test_a_stopped_release_is_restarted_by_the_same_deployment(running, tmp_path):
    (running.root / "manager" / "runs").unlink()
    result = running.install(tmp_path / "bundles" / f"emotion-edge-1-{boards.TARGET}")
    assert result.returncode == 0, result.stdout
    assert running.runs == "1"


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("ends", "exit-code"),
        ("restarts", "restarted"),
        ("hangs", "no frame passed"),
        ("waits", "not ready"),
        ("loses", "no frame passed"),
    ],
)
def test_a_failed_health_check_rolls_back_and_shows_the_journal(running, release, how, why):
    result = running.install(release("2", how))
    assert result.returncode == 1
    assert "2 failed its health check" in result.stdout
    assert why in result.stdout
    assert "the last line of the journal" in result.stdout
    assert "rolled back to 1, running" in result.stdout
    assert (running.current, running.runs, running.pending) == ("1", "1", False)
    assert (running.units / "emotion-edge.service").read_text() == boards.unit("1")
    assert running.starts == ["1", "2", "1"]


def test_a_drop_in_sets_the_start_timeout(running, release):
    drop_in = running.units / "emotion-edge.service.d" / "slow.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nTimeoutStartSec=2\n")
    assert "not ready after 2 s" in running.install(release("2", "waits")).stdout


def test_a_failed_first_release_stays_installed(board, release):
    result = board.install(release("1", "waits"))
    assert result.returncode == 1
    assert "no earlier release" in result.stdout
    assert (board.current, board.runs, board.pending) == ("1", "1", False)


def test_rollback_skips_releases_that_never_worked(board, release):
    assert board.install(release("1")).returncode == 0
    assert board.install(release("2")).returncode == 0
    running = board.home / "releases" / "2" / "model.tflite"
    running.write_text("good calm ends\n")  # it worked once and does not any more
    (board.home / "history").write_text("1\n")
    assert board.install(release("3", "ends")).returncode == 1
    assert board.current == "1"


def test_a_refused_configuration_changes_nothing(running, release):
    running.config.write_text("wrong = 1\n")
    result = running.install(release("2"))
    assert result.returncode == 78
    assert "refuses the configuration" in result.stdout
    assert "wrong = 1" in result.stdout
    assert (running.current, running.starts) == ("1", ["1"])


def test_a_model_in_the_configuration_is_pointed_out(running, release):
    running.config.write_text('model = "mine.tflite"\n')
    result = running.install(release("2"))
    assert result.returncode == 0
    assert "names a model" in result.stdout


def test_an_update_neither_opens_nor_closes_the_network(running, release):
    extra = running.units / "emotion-edge.service.d" / "network.conf"
    assert not extra.exists()
    extra.parent.mkdir()
    extra.write_text("# 1")
    assert running.install(release("2")).returncode == 0
    assert extra.read_text() == "# 2"


def test_three_working_releases_are_kept(running, release):
    for name in "2345":
        assert running.install(release(name)).returncode == 0
    assert running.releases == {"3", "4", "5"}
    assert running.current == "5"


def test_failed_releases_remove_no_working_one(running, release):
    assert running.install(release("2")).returncode == 0
    for name in "3456":
        assert running.install(release(name, "ends")).returncode == 1
    assert running.releases == {"1", "2", "6"}
    assert running.current == "2"


def test_an_error_while_switching_rolls_back(running, release):
    (running.root / "manager" / "breaks").touch()  # the next time that systemd is to read the units
    result = running.install(release("2"))
    assert result.returncode == 1
    assert "no bus" in result.stdout
    assert (running.current, running.runs, running.pending) == ("1", "1", False)
    assert (running.units / "emotion-edge.service").read_text() == boards.unit("1")


def test_a_signal_while_switching_rolls_back(running, release):
    boards.executable(running.tools / "sleep", "#!/bin/sh\nkill -TERM $PPID\n")  # while it is watched
    result = running.install(release("2"))
    assert result.returncode != 0
    assert (running.current, running.runs, running.pending) == ("1", "1", False)


# ---- rollback, model, status


def test_a_second_rollback_returns_to_the_newer_release(running, release):
    assert running.install(release("2")).returncode == 0
    installed = running.home / "current" / "install.sh"
    assert running.installer("rollback", script=installed).returncode == 0
    assert (running.current, running.runs) == ("1", "1")
    assert running.installer("rollback", script=installed).returncode == 0
    assert (running.current, running.runs) == ("2", "2")


def test_a_rollback_to_a_broken_release_returns(running, release):
    assert running.install(release("2")).returncode == 0
    (running.home / "releases" / "1" / "model.tflite").write_text("good calm ends\n")
    result = running.installer("rollback")
    assert result.returncode == 1
    assert (running.current, running.runs) == ("2", "2")


def test_rollback_without_an_earlier_release_changes_nothing(running):
    result = running.installer("rollback")
    assert result.returncode == 1
    assert "nothing to roll back to" in result.stdout
    assert running.starts == ["1"]


def test_a_model_release_shares_the_environment(running, model):
    result = running.installer("model", model("good other runs"))
    assert result.returncode == 0, result.stdout
    name = running.current
    assert name.startswith("1.m")
    assert running.runs == name
    assert running.is_complete(name)
    assert f"{name}  other (" in result.stdout
    assert (running.home / "current" / "venv").resolve() == running.home / "releases" / "1" / "venv"


def test_a_model_that_fails_at_run_time_is_rolled_back(running, model):
    result = running.installer("model", model("good other ends"))
    assert result.returncode == 1
    assert (running.current, running.runs) == ("1", "1")


@pytest.mark.parametrize(
    ("words", "why"), [("bad other runs", "the model is refused"), ("good other blind", "classifies no face")]
)
def test_a_broken_model_changes_nothing(running, model, words, why):
    result = running.installer("model", model(words))
    assert result.returncode == 78
    assert why in result.stdout
    assert (running.current, running.starts, running.releases) == ("1", ["1"], {"1"})


def test_the_bundled_model_is_the_bundled_release(running, model):
    assert running.installer("model", model("good other runs")).returncode == 0
    assert running.installer("model", model("good calm runs")).returncode == 0
    assert running.current == "1"


def test_an_environment_is_kept_while_a_model_uses_it(running, model):
    for name in "abcd":
        result = running.installer("model", model(f"good {name} runs"))
        assert result.returncode == 0, result.stdout
    assert len(running.releases) == 4
    assert "1" in running.releases
    assert running.is_complete(running.current)


def test_a_model_needs_a_release_first(board, model):
    result = board.installer("model", model("good other runs"))
    assert result.returncode == 1
    assert "nothing is installed" in result.stdout


def test_status_prints_a_line_and_its_exit_status_is_the_state(running):
    result = running.installer("status")
    assert result.returncode == 0
    assert result.stdout.count("\n") == 1
    assert result.stdout.startswith("1  calm (")
    assert result.stdout.endswith(" °C\n")
    (running.root / "manager" / "runs").unlink()
    result = running.installer("status")
    assert result.returncode == 1
    assert "inactive" in result.stdout


@pytest.mark.parametrize("arguments", [[], ["install", "a", "b"], ["model"], ["destroy"], ["status", "x"]])
def test_a_usage_error_shows_the_usage(board, arguments):
    result = board.installer(*arguments)
    assert result.returncode == 2
    assert "usage: install.sh" in result.stdout


# ---- what must not be installed


def test_a_damaged_bundle_is_refused(running, release):
    place = release("2")
    (place / "model.tflite").write_text("good calm loses\n")
    result = running.install(place)
    assert result.returncode == 1
    assert "damaged" in result.stdout
    assert (running.current, running.releases) == ("1", {"1"})


def test_a_bundle_for_another_board_is_refused(running, release):
    result = running.install(release("2", target="sparc-py3.13"))
    assert result.returncode == 1
    assert f"made for sparc-py3.13, this board is {boards.TARGET}" in result.stdout


def test_a_folder_without_a_manifest_is_refused(running, tmp_path):
    result = running.install(tmp_path)
    assert result.returncode == 2
    assert "not a bundle" in result.stdout


def test_only_one_deployment_runs_at_a_time(running, release):
    with (running.home / "lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        result = running.install(release("2"))
    assert result.returncode == 1
    assert "another deployment is running" in result.stdout
    assert running.current == "1"


def test_without_enough_space_nothing_is_changed(running, release):
    place = release("2")
    manifest = place / "manifest"
    manifest.write_text(manifest.read_text().replace("installed_bytes=1000", f"installed_bytes={1 << 60}"))
    result = running.install(boards.seal(place))
    assert result.returncode == 1
    assert "not enough space" in result.stdout
    assert "nothing was changed" in result.stdout
    assert (running.current, running.releases) == ("1", {"1"})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small file system")
def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path, release):
    root = tmp_path / "small"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "none", root], check=True)
    try:
        board = Board(root, fake_programs(tmp_path / "tools"))
        assert board.install(release("1")).returncode == 0
        place = release("2")
        script = (place / "install.sh").read_text()  # which writes more than the manifest says
        filled = '    begin_release "$2"\n    head -c 50M /dev/zero >"$incomplete/filler"\n'
        (place / "install.sh").write_text(script.replace('    begin_release "$2"\n', filled))
        result = board.install(boards.seal(place))
        assert result.returncode == 1
        assert "No space left on device" in result.stdout
        assert (board.current, board.runs, board.releases) == ("1", "1", {"1"})
    finally:
        subprocess.run(["umount", root], check=True)


# ---- interrupted


def traced(board, command, *arguments, **more):
    """Run the installer with `command` before each of its own."""
    script, numbers = board.root.with_name("before_each.sh"), board.root.with_name("numbers")
    script.write_text(BEFORE_EACH.format(command=command))
    numbers.unlink(missing_ok=True)
    return board.installer(*arguments, BASH_ENV=str(script), NUMBERS=str(numbers), **more)


def put_back(board, folder: Path) -> None:
    """Make the board as it is kept in `folder`."""
    shutil.rmtree(board.root)
    shutil.copytree(folder, board.root, symlinks=True)


def content(folder: Path) -> str:
    """Return all that makes a difference to what comes next."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.name not in {"calls", "ticks"}:
            held = path.readlink() if path.is_symlink() else path.is_dir() or path.read_bytes()
            found.append((str(path.relative_to(folder)), held))
    return repr(found)


def check_interrupted(board, old, new, *arguments, where):
    """Check an interrupted board: what runs is complete, also after the next boot, and the next call reaches `new`."""
    assert board.current in {old, new}, where
    assert board.current is None or board.is_complete(board.current), where
    unproven = board.pending
    if board.current:
        recovered = board.installer("recover", script=board.home / "current" / "install.sh")
        assert recovered.returncode == 0, (where, recovered.stdout)
        assert board.current in ({old} if unproven and old else {old, new}), where
        assert board.is_complete(board.current), where
        assert (board.units / "emotion-edge.service").read_text() == boards.unit(board.current), where
    again = board.installer(*arguments)
    assert again.returncode == 0, (where, again.stdout)
    assert (board.current, board.runs, board.pending) == (new, new, False), where
    assert board.releases == {*filter(None, [old]), new}, where
    assert board.is_complete(new), where
    assert not list(board.root.rglob("*.part")), where


@pytest.mark.slow
@pytest.mark.parametrize("old", [None, "1"])
def test_interruption_at_any_command_leaves_a_complete_release(board, release, tmp_path, old):
    if old:
        assert board.install(release(old)).returncode == 0
    kept = tmp_path / "kept"
    kept.mkdir()
    place = release("2")
    result = traced(board, KEEP, "install", place, KEPT=str(kept))
    assert result.returncode == 0, result.stdout
    states = {content(folder): folder for folder in sorted(kept.iterdir(), key=lambda folder: int(folder.name))}
    assert len(states) > 20
    for folder in states.values():
        put_back(board, folder)
        check_interrupted(board, old, "2", "install", place, where=folder.name)


def test_an_interrupted_release_is_removed_by_the_next_call(running, tmp_path):
    (running.home / "releases" / "0" / "venv").mkdir(parents=True)
    assert running.install(tmp_path).returncode == 2  # no bundle
    assert running.releases == {"1"}


def test_a_kill_at_any_time_leaves_a_complete_release(running, release, tmp_path):
    kept = tmp_path / "kept"
    shutil.copytree(running.root, kept, symlinks=True)
    place = release("2")
    assert traced(running, "", "install", place).returncode == 0
    total = running.root.with_name("numbers").stat().st_size
    for number in range(5, total, total // 8):
        put_back(running, kept)
        assert traced(running, KILL, "install", place, KILL_AT=str(number)).returncode == -9
        check_interrupted(running, "1", "2", "install", place, where=number)


# ---- a real environment


@pytest.fixture
def real(tmp_path):
    return Board(tmp_path / "real", fake_programs(tmp_path / "real-tools", real=True))


def test_a_real_environment_is_installed_without_network(real, release):
    result = real.install(with_wheel(release("1")))
    assert result.returncode == 0, result.stdout
    assert real.is_complete("1")
    venv = real.home / "current" / "venv"
    assert "include-system-site-packages = true" in (venv / "pyvenv.cfg").read_text()
    assert not list(venv.glob("lib/*/site-packages/pip*")), "pip stayed"


def test_a_wheel_with_another_hash_is_refused(real, release):
    assert real.install(with_wheel(release("1"))).returncode == 0
    place = with_wheel(release("2"))
    wanted = place / "requirements.txt"
    wanted.write_text(wanted.read_text()[:-5] + "beef\n")
    result = real.install(boards.seal(place))
    assert result.returncode == 1
    assert "nothing was changed" in result.stdout
    assert (real.current, real.releases) == ("1", {"1"})


# ---- from a workstation


@pytest.fixture(params=["with rsync", "without rsync"])
def way(request):
    """How a bundle is sent."""
    if request.param == "with rsync" and shutil.which("rsync") is None:
        pytest.skip("rsync is not installed: 'sudo apt install rsync'")
    return request.param


def without_rsync(kiosks) -> None:
    """Hide rsync: deploy.sh asks by `command -v`, which finds what can be executed."""
    boards.executable(kiosks.tools / "bash_env", 'command() { [ "$2" != rsync ] || return 1; builtin command "$@"; }\n')


def test_a_bundle_reaches_every_board_and_leaves_no_remains(kiosks, release, way, monkeypatch):
    if way == "without rsync":
        without_rsync(kiosks)
        monkeypatch.setenv("BASH_ENV", str(kiosks.tools / "bash_env"))
    result = kiosks.deploy("--bundle", packed(release("1")), "one", "two")
    assert result.returncode == 0, result.stdout
    for name in ("one", "two"):
        assert kiosks[name].runs == "1"
        assert f"{name}: running: 1  calm (" in result.stdout
        assert not list((kiosks[name].root / "home").iterdir())
    assert "done: one two" in result.stdout


def test_deployment_stops_at_the_first_failure_and_lists_all(kiosks, release):
    assert kiosks.deploy("--bundle", packed(release("1")), "one", "two", "three").returncode == 0
    kiosks["two"].config.write_text("wrong = 1\n")
    result = kiosks.deploy("--bundle", packed(release("2")), "one", "two", "three")
    assert result.returncode == 78
    assert "two: install.sh: error: 2 refuses the configuration" in result.stdout
    assert "done: one\n" in result.stdout
    assert "failed: two; not begun: three\n" in result.stdout
    assert [kiosks[name].runs for name in ("one", "two", "three")] == ["2", "1", "1"]


def test_a_failed_health_check_stops_the_deployment(kiosks, release):
    assert kiosks.deploy("--bundle", packed(release("1")), "one", "two").returncode == 0
    result = kiosks.deploy("--bundle", packed(release("2", "ends")), "one", "two")
    assert result.returncode == 1
    assert "one: rolled back to 1, running" in result.stdout
    assert "done: none\n" in result.stdout
    assert [kiosks[name].runs for name in ("one", "two")] == ["1", "1"]


def test_an_installed_release_is_not_sent_again(kiosks, release):
    file = packed(release("1"))
    assert "sending" in kiosks.deploy("--bundle", file, "one").stdout
    result = kiosks.deploy("--bundle", file, "one")
    assert result.returncode == 0
    assert "sending" not in result.stdout
    assert "installed already" in result.stdout
    assert kiosks["one"].starts == ["1"]


def test_a_first_deployment_that_failed_is_repeated(kiosks, release):
    assert kiosks.deploy("--bundle", packed(release("1", "blind")), "one").returncode == 78
    result = kiosks.deploy("--bundle", packed(release("2")), "one")
    assert (result.returncode, kiosks["one"].runs) == (0, "2"), result.stdout


def test_after_an_upgrade_of_python_the_same_release_is_sent(kiosks, release):
    file = packed(release("1"))
    assert kiosks.deploy("--bundle", file, "one").returncode == 0
    manifest = kiosks["one"].home / "releases" / "1" / "manifest"
    manifest.write_text(manifest.read_text().replace(boards.TARGET, "arm64-py3.9"))
    result = kiosks.deploy("--bundle", file, "one")
    assert (result.returncode, kiosks["one"].starts) == (0, ["1", "1"]), result.stdout
    assert boards.TARGET in manifest.read_text()


def test_a_rollback_of_an_interrupted_deployment_is_one_step(running, release):
    for name in ("2", "3"):
        assert running.install(release(name)).returncode == 0
    (running.home / "history").write_text("1\n2\n")
    (running.home / "pending").write_text("2\n")
    result = running.installer("rollback")
    assert (result.returncode, running.current, running.runs, running.pending) == (0, "2", "2", False), result.stdout
    assert "running: 2" in result.stdout
    assert running.installer("rollback").returncode == 0
    assert running.runs == "1"


def test_a_release_of_another_python_is_not_rolled_back_to(running, release):
    assert running.install(release("2")).returncode == 0
    manifest = running.home / "releases" / "1" / "manifest"
    manifest.write_text(manifest.read_text().replace(boards.TARGET, "arm64-py3.9"))
    for command in (["rollback"], ["use", "1"]):
        result = running.installer(*command)
        assert result.returncode == 1
        assert (
            f"made for another Python than this board's; nothing was changed. Deploy a bundle for {boards.TARGET}"
            in (result.stdout)
        )
    assert running.starts == ["1", "2"]


def test_a_bundle_for_other_boards_is_not_sent(kiosks, release):
    result = kiosks.deploy("--bundle", packed(release("1", target="sparc-py3.13")), "one")
    assert result.returncode == 1
    assert f"one is {boards.TARGET}, the bundle is for sparc-py3.13" in result.stdout
    assert "sending" not in result.stdout


def test_a_target_that_does_not_fit_the_board_is_refused(kiosks, release):
    result = kiosks.deploy("--target", "arm64-py3.14", "one")
    assert result.returncode == 1
    assert f"one is {boards.TARGET}, not arm64-py3.14" in result.stdout


def test_an_unreachable_board_is_named_with_the_ssh_error(kiosks, release):
    result = kiosks.deploy("--bundle", packed(release("1")), "nowhere", "one")
    assert result.returncode == 1
    assert "nowhere does not answer: ssh: connect to host nowhere port 22: No route to host" in result.stdout
    assert kiosks["one"].runs is None


def test_status_has_a_line_for_each_board(kiosks, release):
    assert kiosks.deploy("--bundle", packed(release("1")), "one").returncode == 0
    result = kiosks.deploy("--status", "one")
    assert result.returncode == 0, result.stdout
    result = kiosks.deploy("--status", "one", "nowhere", "two")
    assert result.returncode == 1
    first, second, third = result.stdout.splitlines()
    assert first.startswith("one  1  calm (")
    assert first.endswith("°C")
    assert second == "nowhere  does not answer: ssh: connect to host nowhere port 22: No route to host"
    assert third == "two  nothing is installed"


def test_a_model_alone_is_sent_and_rolled_back(kiosks, release, model):
    assert kiosks.deploy("--bundle", packed(release("1")), "one").returncode == 0
    result = kiosks.deploy("--model", model("good other runs"), "one")
    assert result.returncode == 0, result.stdout
    assert "other (" in kiosks.deploy("--status", "one").stdout
    result = kiosks.deploy("--rollback", "one")
    assert result.returncode == 0, result.stdout
    assert "calm (" in kiosks.deploy("--status", "one").stdout
    assert not list((kiosks["one"].root / "home").iterdir())


@pytest.mark.parametrize("what", [["--rollback"], ["--model", __file__], ["--model", "emotion"]])
def test_rollback_and_model_need_an_installed_release(kiosks, what):
    result = kiosks.deploy(*what, "one")
    assert result.returncode == 1
    assert "one has nothing installed yet" in result.stdout


@pytest.mark.parametrize("arguments", [[], ["--target"], ["--color", "one"], ["--health-check", "soon", "one"]])
def test_a_usage_error_reaches_no_board(kiosks, arguments):
    result = kiosks.deploy(*arguments)
    assert result.returncode == 2
    assert result.stdout.startswith("deploy.sh: error: ")


# ---- through a real ssh


SSHD = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/user.pub
StrictModes no
UsePAM no
PasswordAuthentication no
ForceCommand {folder}/login
"""


@pytest.fixture
def sshd(tmp_path):
    """A server whose only account is a board; yields the board and the ssh that reaches it."""
    server = shutil.which("sshd", path="/usr/sbin:/usr/bin")
    if server is None or os.geteuid() != 0:
        pytest.skip("needs root, and a server of ssh: 'sudo apt install openssh-server'")
    board = Board(tmp_path / "board", fake_programs(tmp_path / "tools"))
    (tmp_path / "home").mkdir()
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / key], check=True)
    boards.executable(
        tmp_path / "login",
        f'#!/bin/sh\nexport EMOTION_EDGE_ROOT="{board.root}" PATH="{board.tools}:$PATH"\ncd {tmp_path}/home\n'
        'exec sh -c "$SSH_ORIGINAL_COMMAND"\n',
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "sshd").write_text(SSHD.format(port=port, folder=tmp_path))
    Path("/run/sshd").mkdir(exist_ok=True)
    with subprocess.Popen([server, "-D", "-e", "-f", tmp_path / "sshd"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        while "Server listening" not in (line := process.stderr.readline()):
            assert line, "sshd did not start"
        way = f"ssh -p {port} -i {tmp_path}/user -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        yield board, f"{way} -o LogLevel=ERROR"
        process.terminate()
        process.stderr.read()


def deploying(way: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [DEPLOY, "--health-check", "0", *map(str, arguments), "root@127.0.0.1"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "EMOTION_EDGE_SSH": way},
        start_new_session=True,
    )


def test_release_status_and_rollback_over_a_real_ssh(sshd, release):
    board, way = sshd
    for name in "12":
        with deploying(way, "--bundle", packed(release(name))) as process:
            words, _ = process.communicate()
        assert process.returncode == 0, words
        assert board.runs == name
    with deploying(way, "--rollback") as process:
        words, _ = process.communicate()
    assert (process.returncode, board.runs) == (0, "1"), words
    with deploying(way, "--status") as process:
        words, _ = process.communicate()
    assert process.returncode == 0
    assert words.startswith("root@127.0.0.1  1  calm (")


def test_a_lost_connection_does_not_interrupt_the_board(sshd, release):
    board, way = sshd
    assert board.install(release("1")).returncode == 0
    # The health check waits until the connection is gone: the board's sleep reads from a FIFO. Then it logs to nobody.
    os.mkfifo(board.root / "go")
    wait = f"[ ! -p {board.root}/go ] || read -r _ <{board.root}/go\nexec /bin/sleep 0.02\n"
    boards.executable(board.tools / "sleep", f"#!/bin/sh\n{wait}")
    with deploying(way, "--bundle", packed(release("2", "hangs"))) as process:
        with (board.root / "go").open("w") as go:  # opens when the health check has begun
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            (board.root / "go").unlink()
            go.write("\n")
        wait_until(lambda: not board.pending)
    assert (board.current, board.starts) == ("1", ["1", "2", "1"])
