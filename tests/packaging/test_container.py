"""The Containerfile makes a system in which edge runs without root rights, and is found healthy while frames come.

It is built by podman, buildah or docker where one works; elsewhere, as root on Debian, its instructions are run in the
root file system of a new Debian.
"""

import os
import re
import shutil
import subprocess

import pytest

from tests.support import containerfile
from tests.support.paths import ROOT

INSTRUCTIONS = containerfile.parse((ROOT / "Containerfile").read_text())
PAGE = (ROOT / "docs/container.md").read_text()
RELEASE = "trixie"
ENGINE = next((name for name in ("podman", "docker") if shutil.which(name)), "")
HAS_ENGINE = bool(ENGINE) and subprocess.run([ENGINE, "info"], capture_output=True, check=False).returncode == 0
CAN_MAKE_ROOT = os.geteuid() == 0 and all(map(shutil.which, ("mmdebstrap", "unshare", "chroot")))
# Starts edge, and asks each second whether it is healthy, for a minute at most.
UNTIL_HEALTHY = """
edge "$@" >/dev/null 2>&1 &
for second in $(seq 60); do
    sleep 1
    if python3 -c "$CHECK" 2>/dev/null; then kill $!; exit 0; fi
done
exit 1
"""


def values(name):
    return [each.arguments for each in INSTRUCTIONS if each.name == name]


def test_the_system_is_that_of_the_locked_packages():
    assert {words.split()[0] for words in values("FROM")} == {f"docker.io/library/debian:{RELEASE}-slim"}
    for machine in ("x86_64", "arm64"):
        assert (ROOT / f"scripts/locks/{machine}-py3.13.txt").exists()


def test_what_is_copied_exists():
    for words in values("COPY"):
        for source in words.split()[:-1]:
            assert "--from=build" in words or (ROOT / source).exists()


def test_the_process_has_no_root_rights():
    (user,) = values("USER")
    assert int(user) > 0
    assert f"useradd --uid {user} " in " ".join(values("RUN"))


def test_the_default_run_opens_nothing_to_other_machines():
    assert containerfile.command_of(INSTRUCTIONS, "ENTRYPOINT") == ["edge"]
    command = containerfile.command_of(INSTRUCTIONS, "CMD")
    assert not any("0.0.0.0" in word for word in command)
    assert "web" in command  # which the health check asks


def test_the_documented_build_keeps_the_health_check():
    """Podman leaves HEALTHCHECK out of its default format, OCI (podman-build(1), --format)."""
    assert values("HEALTHCHECK")
    assert build_command("podman")[:4] == ["podman", "build", "--format", "docker"]
    assert "--format" not in build_command("docker")


def build_command(engine):
    (line,) = re.findall(r"^    podman (build .+)$", PAGE, re.MULTILINE)
    return [engine, *(line if engine == "podman" else line.replace("--format docker ", "")).split()]


def test_parsing_joins_continued_lines():
    text = '# a\nFROM x AS b\nRUN one && \\\n  # between\n    two\nCMD ["a", "b"]\n'
    parsed = containerfile.parse(text)
    assert [each.name for each in parsed] == ["FROM", "RUN", "CMD"]
    assert parsed[1].arguments.split() == ["one", "&&", "two"]
    assert containerfile.command_of(parsed, "CMD") == ["a", "b"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not HAS_ENGINE, reason="no container engine runs here")
def test_an_engine_builds_it_and_edge_runs():
    command = [f"{word}:test" if word == "emotion-edge" else word for word in build_command(ENGINE)]
    subprocess.run(command, cwd=ROOT, check=True)
    command = [ENGINE, "run", "--rm", "--no-healthcheck", "emotion-edge:test"]
    result = subprocess.run(
        [*command, "run", "synthetic:fast", "--max-frames", "5", "--sink", "jsonl"], capture_output=True, check=True
    )
    assert result.stdout.count(b'"faces"') == 5


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(HAS_ENGINE or not CAN_MAKE_ROOT, reason="an engine runs here, or no Debian root can be made")
def test_its_instructions_run_in_a_debian_root(tmp_path):
    system = tmp_path / "system.tar"
    subprocess.run(["mmdebstrap", "--variant=minbase", RELEASE, system], check=True, capture_output=True)
    root, environment = containerfile.build(INSTRUCTIONS, ROOT, system, tmp_path)
    (user,) = values("USER")
    edge = containerfile.command_of(INSTRUCTIONS, "ENTRYPOINT")
    frames = ["run", "synthetic:fast", "--max-frames", "5", "--sink", "jsonl"]
    assert containerfile.run_in(root, [*edge, *frames], environment, user).count('"faces"') == 5
    health = containerfile.command_of(INSTRUCTIONS, "HEALTHCHECK")
    default = containerfile.command_of(INSTRUCTIONS, "CMD")
    containerfile.run_in(root, ["sh", "-c", UNTIL_HEALTHY, "sh", *default], environment | {"CHECK": health[-1]}, user)
