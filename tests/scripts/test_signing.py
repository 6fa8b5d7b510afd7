"""A board with allowed signers installs what one of them has signed, and nothing else; signatures are real ones."""

import subprocess
from pathlib import Path

import pytest

from tests.support import board as boards
from tests.support.board import TARGET, packed
from tests.support.paths import ROOT

pytestmark = [pytest.mark.scripts, pytest.mark.slow]

RELEASE, MODEL = "emotion-edge-release", "emotion-edge-model"
BUNDLE = ROOT / "scripts" / "bundle.sh"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Two private keys: the maintainer's and somebody else's."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    return folder


def sign(path: Path, key: Path, namespace: str) -> None:
    path.with_name(f"{path.name}.sig").unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", namespace, path], check=True)


def allow(board, key: Path, options: str = "") -> None:
    """Write the file that names who may sign, as docs/deployment.md describes it."""
    kind, digits, _ = key.with_suffix(".pub").read_text().split()
    file = board.config.parent / "allowed_signers"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"releases@example.org {options} {kind} {digits}\n")


@pytest.fixture
def strict(running, keys):
    """A board on which release 1 runs, and which takes from now on only what `ours` has signed."""
    allow(running, keys / "ours")
    return running


@pytest.fixture
def signed(release, keys):
    """Make a signed bundle."""

    def made(name: str, key: str = "ours", namespace: str = RELEASE, **more: str) -> Path:
        place: Path = release(name, **more)
        sign(place / "SHA256SUMS", keys / key, namespace)
        return place

    return made


def check_refused(board, result, words: str) -> None:
    """Check that one line says why, and that release 1 goes on."""
    assert result.returncode != 0
    (line,) = [line for line in result.stdout.splitlines() if "error: " in line]
    assert words in line
    assert line == result.stdout.splitlines()[-1]
    assert (board.current, board.starts, board.releases) == ("1", ["1"], {"1"})
    assert not (board.home / "incoming").exists()


def test_a_signed_bundle_is_installed_and_status_names_who(strict, signed):
    result = strict.install(signed("2"))
    assert result.returncode == 0, result.stdout
    assert strict.current == "2"
    assert "  signed by releases@example.org  " in strict.installer("status").stdout


def test_status_says_whether_signatures_are_required(running, keys):
    assert "  signatures are not required  " in running.installer("status").stdout
    allow(running, keys / "ours")
    assert "  not signed  " in running.installer("status").stdout


def test_an_unsigned_bundle_is_refused(strict, release):
    check_refused(strict, strict.install(release("2")), "not signed")


def test_a_bundle_of_another_key_is_refused(strict, signed):
    check_refused(strict, strict.install(signed("2", key="other")), "its signature is refused")


def test_a_bundle_signed_for_another_purpose_is_refused(strict, signed):
    check_refused(strict, strict.install(signed("2", namespace=MODEL)), "namespace does not match")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ('valid-before="20200101"', "key has expired"),
        ('valid-after="20980101"', "key is not yet valid"),
        (f'namespaces="{MODEL}"', "not permitted for use in signature namespace"),
    ],
)
def test_a_key_that_may_not_sign_releases_now_is_refused(running, signed, keys, options, words):
    allow(running, keys / "ours", options)
    check_refused(running, running.install(signed("2")), words)


@pytest.mark.parametrize(
    "name", ["install.sh", "model.tflite", "manifest", "systemd/emotion-edge.service", "requirements.txt"]
)
def test_a_file_that_was_changed_after_signing_is_refused(strict, signed, name):
    place = signed("2")
    (place / name).write_text((place / name).read_text() + "# changed\n")
    check_refused(strict, strict.install(place), "do not match SHA256SUMS")


def test_checksums_changed_after_signing_are_refused(strict, signed):
    place = signed("2")
    (place / "model.tflite").write_text("good evil runs\n")
    check_refused(strict, strict.install(boards.seal(place)), "its signature is refused")


def test_a_file_that_nobody_has_signed_is_refused(strict, signed):
    place = signed("2")
    (place / "wheelhouse" / "more-1-py3-none-any.whl").touch()
    check_refused(strict, strict.install(place), "do not match SHA256SUMS")


@pytest.mark.parametrize("text", ["", "junk", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"])
def test_a_damaged_signature_is_refused(strict, signed, text):
    place = signed("2")
    (place / "SHA256SUMS.sig").write_text(text)
    check_refused(strict, strict.install(place), "its signature is refused")


@pytest.mark.parametrize("how", ["empty", "link", "open", "folder"])
def test_an_unusable_list_of_signers_refuses_everything(strict, signed, how):
    file = strict.config.parent / "allowed_signers"
    if how == "open":
        file.chmod(0o666)
    else:
        file.unlink()
        {"empty": file.touch, "link": lambda: file.symlink_to("gone"), "folder": file.mkdir}[how]()
    check_refused(
        strict, strict.install(signed("2")), "signature is refused" if how in {"empty", "folder"} else "others"
    )


def test_nothing_of_a_bundle_runs_before_it_is_checked(strict, release):
    place = release("2")
    (place / "install.sh").write_text(f"touch {strict.root}/has-run\n")
    installed = strict.home / "current" / "install.sh"
    check_refused(strict, strict.installer("install", boards.seal(place), script=installed), "not signed")
    assert not (strict.root / "has-run").exists()


def test_the_installer_of_a_checked_bundle_finishes_the_work(strict, signed, keys):
    place = signed("2")
    script = place / "install.sh"
    script.write_text(script.read_text().replace('log "creating $1"', 'log "making $1"'))
    sign(boards.seal(place) / "SHA256SUMS", keys / "ours", RELEASE)
    installed = strict.home / "current" / "install.sh"
    result = strict.installer("install", place, script=installed)
    assert result.returncode == 0, result.stdout
    assert "making 2" in result.stdout


def test_a_signed_model_is_installed_an_unsigned_one_refused(strict, signed, keys, model):
    assert strict.install(signed("2")).returncode == 0
    path = model("good other runs")
    result = strict.installer("model", path)
    assert result.returncode == 1
    assert "not signed" in result.stdout
    sign(path, keys / "ours", MODEL)
    result = strict.installer("model", path)
    assert result.returncode == 0, result.stdout
    assert "signed by releases@example.org" in strict.installer("status").stdout
    path.write_text("good evil runs\n")
    result = strict.installer("model", path)
    assert "its signature is refused" in result.stdout
    assert strict.current.startswith("2.m")


def test_a_signed_model_of_an_unsigned_release_is_not_signed(strict, keys, model):
    path = model("good other runs")
    sign(path, keys / "ours", MODEL)
    assert strict.installer("model", path).returncode == 0
    assert "  not signed  " in strict.installer("status").stdout


def test_a_manifest_cannot_claim_a_signer(running, release, keys):
    place = release("2")
    with (place / "manifest").open("a") as manifest:
        manifest.write("signed_by=somebody\n")
    assert running.install(boards.seal(place)).returncode == 0
    allow(running, keys / "ours")
    assert "  not signed  " in running.installer("status").stdout


def bundle_sh(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BUNDLE, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def test_bundle_sh_signs_a_bundle_that_was_made_before(strict, release, keys, tmp_path):
    file = packed(release("2"))
    result = bundle_sh("--sign", keys / "ours", file)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{file}\n"
    once = file.read_bytes()
    assert bundle_sh("--sign", keys / "ours", file).returncode == 0
    assert file.read_bytes() == once
    subprocess.run(["tar", "-xf", file, "-C", tmp_path], check=True)
    result = strict.install(tmp_path / f"emotion-edge-2-{TARGET}")
    assert result.returncode == 0, result.stdout


def test_deploy_refuses_an_unsigned_bundle_by_the_board(kiosks, release, signed, keys):
    assert kiosks.deploy("--bundle", packed(release("1")), "one").returncode == 0
    allow(kiosks["one"], keys / "ours")
    place = release("2")
    (place / "install.sh").write_text(f"touch {kiosks.folder}/has-run\n")
    result = kiosks.deploy("--bundle", packed(boards.seal(place)), "one")
    assert result.returncode == 1
    assert "one: install.sh: error: " in result.stdout
    assert "not signed" in result.stdout
    assert not (kiosks.folder / "has-run").exists()
    result = kiosks.deploy("--bundle", packed(signed("3")), "one")
    assert result.returncode == 0, result.stdout
    assert "signed by releases@example.org" in kiosks.deploy("--status", "one").stdout


def test_deploy_sends_the_signature_of_a_model(kiosks, signed, keys, model):
    allow(kiosks["one"], keys / "ours")
    assert kiosks.deploy("--bundle", packed(signed("1")), "one").returncode == 0
    path = model("good other runs")
    assert "not signed" in kiosks.deploy("--model", path, "one").stdout
    sign(path, keys / "ours", MODEL)
    result = kiosks.deploy("--model", path, "one")
    assert result.returncode == 0, result.stdout


def test_a_bundle_cannot_be_signed_while_it_is_deployed(kiosks, release, keys):
    result = kiosks.deploy("--sign", keys / "ours", "--bundle", packed(release("1")), "one")
    assert result.returncode == 2
    assert "scripts/bundle.sh --sign KEY FILE" in result.stdout
