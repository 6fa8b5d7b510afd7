"""A board behind a router fetches the release that its group's file names, and installs it only if it is signed."""

import functools
import http.server
import shutil
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from tests.support.board import Board, bundle, executable, fake_programs, packed
from tests.support.paths import ROOT

pytestmark = [pytest.mark.scripts, pytest.mark.slow]

PROGRAMS = ROOT / "fleet" / "ansible" / "roles" / "emotion_edge_fetch" / "files"


class Server:
    """A web server with a certificate of its own.

    Attributes:
        folder: what it serves. requests: path and Range of each.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "web"
        self.requests: list[str] = []
        self.folder.mkdir()
        self.certificate = folder / "certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
             "-keyout", folder / "key.pem", "-out", self.certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        requests = self.requests

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *arguments):
                pass

            def do_GET(self):
                requests.append(f"{self.path} {self.headers.get('Range', '')}")
                if not (asked := self.headers.get("Range")):
                    return super().do_GET()
                whole = Path(self.translate_path(self.path)).read_bytes()
                begin = int(asked.removeprefix("bytes=").rstrip("-"))
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {begin}-{len(whole) - 1}/{len(whole)}")
                self.send_header("Content-Length", str(len(whole) - begin))
                self.end_headers()
                return self.wfile.write(whole[begin:])

        handler = functools.partial(Handler, directory=self.folder)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, folder / "key.pem")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(tmp_path):
    for program in ("curl", "openssl", "ssh-keygen"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    found = Server(tmp_path)
    (found.folder / "shops").mkdir()
    yield found
    found.close()


class FetchingBoard(Board):
    """A board on which release 1 runs, and which knows one signer."""

    def __init__(self, folder: Path, server: Server) -> None:
        super().__init__(folder / "board", fake_programs(folder / "tools"))
        self._server, self._key, self._bundles = server, folder / "signer", folder / "bundles"
        assert self.install(bundle(self._bundles, "1")).returncode == 0
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self._key], check=True)
        kind, digits, _ = self._key.with_suffix(".pub").read_text().split()
        self.config.with_name("allowed_signers").write_text(f"releases@example.org {kind} {digits}\n")
        self.state = self.root / "var" / "lib" / "private" / "emotion-edge-fetch"
        for path in (self.state, self.root / "var" / "lib" / "emotion-edge-fetch-install"):
            path.mkdir(parents=True)

    def publish(self, release: str, how: str = "runs", signed: bool = True) -> Path:
        """Put a release on the server and name it in the group's file."""
        place = bundle(self._bundles, release, how)
        if signed:
            subprocess.run(
                ["ssh-keygen", "-q", "-Y", "sign", "-f", self._key, "-n", "emotion-edge-release", place / "SHA256SUMS"],
                check=True,
            )
        (self._server.folder / "shops" / "release").write_text(f"{release}\n")
        return Path(shutil.copy(packed(place), self._server.folder))

    def fetch(self, url: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the two programs as systemd does: the second one if the first one has succeeded."""
        found = self._run("emotion-edge-fetch", url or self._server.url, "shops")
        return found if found.returncode else self._run("emotion-edge-fetch-install", "0")

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", PROGRAMS / program, *arguments],
            env={
                **self.environment,
                "STATE_DIRECTORY": str(self.state),
                "CURL_CA_BUNDLE": str(self._server.certificate),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


@pytest.fixture
def board(tmp_path, server):
    return FetchingBoard(tmp_path, server)


def test_a_signed_release_is_fetched_once(board, server):
    board.publish("2")
    result = board.fetch()
    assert (result.returncode, board.runs) == (0, "2"), result.stdout
    assert [path.name for path in board.state.iterdir()] == ["release.part"]
    server.requests.clear()
    assert board.fetch().returncode == 0
    assert len(server.requests) == 1
    assert board.starts == ["1", "2"]


@pytest.mark.parametrize(("how", "signed"), [("runs", False), ("ends", True)])
def test_a_release_that_is_refused_or_fails_is_not_tried_again(board, server, how, signed):
    board.publish("2", how, signed)
    assert board.fetch().returncode == 1
    assert (board.runs, board.pending) == ("1", False)
    starts = board.starts
    assert board.fetch().returncode == 0
    assert board.starts == starts
    board.publish("3")
    assert board.fetch().returncode == 0
    assert board.runs == "3"


@pytest.mark.parametrize("reason", ["space", "lock"])
def test_a_passing_fault_of_the_board_is_tried_again(board, server, reason):
    whole = board.publish("2")
    if reason == "space":
        passing = executable(board.tools / "df", "#!/bin/sh\necho Avail\necho 1000\n")
    else:
        passing = executable(board.tools / "flock", "#!/bin/sh\nexit 1\n")
    result = board.fetch()
    assert (result.returncode, board.runs) == (1, "1"), result.stdout
    passing.unlink()
    whole.unlink()  # it is not fetched again
    result = board.fetch()
    assert (result.returncode, board.runs) == (0, "2"), result.stdout


def test_an_interrupted_download_is_resumed(board, server):
    whole = board.publish("2")
    part = board.state / f"{whole.name}.part"
    part.write_bytes(whole.read_bytes()[:1000])
    result = board.fetch()
    assert (result.returncode, board.runs) == (0, "2"), result.stdout
    assert server.requests[-1].endswith("bytes=1000-")


def test_an_interrupted_unpacking_begins_anew(board, server):
    whole = board.publish("2")
    shutil.copy(whole, board.state / f"{whole.name}.part")
    (board.state / "unpacked.part" / whole.stem).mkdir(parents=True)
    result = board.fetch()
    assert (result.returncode, board.runs) == (0, "2"), result.stdout
    assert [path.name for path in board.state.iterdir()] == ["release.part"]


def test_a_damaged_download_is_not_kept(board, server):
    whole = board.publish("2")
    content = whole.read_bytes()
    whole.write_bytes(bytes(10_000))
    result = board.fetch()
    assert (result.returncode, board.runs) == (1, "1")
    assert "2-" in result.stdout
    assert "is not a whole bundle; it is downloaded again" in result.stdout
    whole.write_bytes(content)
    result = board.fetch()
    assert (result.returncode, board.runs) == (0, "2"), result.stdout


@pytest.mark.parametrize("text", ["", "../../etc\n", "2; reboot\n", "a b\n"])
def test_a_file_that_names_no_release_is_refused(board, server, text):
    (server.folder / "shops" / "release").write_text(text)
    result = board.fetch()
    assert result.returncode == 1
    assert "does not name a release" in result.stdout
    assert len(server.requests) == 1


def test_nothing_is_fetched_without_encryption_or_signers(board, server):
    assert board.fetch(server.url.replace("https", "http")).returncode != 0
    assert server.requests == []
    board.publish("2")
    board.config.with_name("allowed_signers").unlink()
    result = board.fetch()
    assert result.returncode == 78
    assert "allowed_signers" in result.stdout
    assert board.runs == "1"
