"""TLS: which certificates are trusted, and what is logged otherwise."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("paho.mqtt.enums", reason="paho-mqtt 2 is not installed: pip install 'emotion-edge[mqtt]'")

from edge.errors import SettingsError
from edge.sinks.mqtt import Sink, options
from tests.support.broker import HOST, LIVE_RUN, MosquittoBroker, change, needs_mosquitto, sink_argument

# paho leaves the socket of a TLS connection that failed to the garbage collector, which closes it at once.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")

RETRIED = "the connection is retried"


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A folder with two CAs, and certificates of the first: for this machine, for another one, and for a client."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: 'sudo apt install openssl'")
    folder = tmp_path_factory.mktemp("certificates")
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "other"):
        files = ("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")
        openssl(*new, "-x509", "-subj", f"/CN={name}", "-days", 1, *files)
    for name, alternative in (("here", f"IP:{HOST}"), ("there", "DNS:elsewhere"), ("client", "DNS:client")):
        openssl(*new, "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr")
        (folder / "extension").write_text(f"subjectAltName={alternative}\n")
        signer = ("-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", 1)
        output = ("-extfile", folder / "extension", "-out", folder / f"{name}.pem")
        openssl("x509", "-req", "-in", folder / f"{name}.csr", *signer, *output)
    return folder


def tls_broker(tmp_path, certificates: Path, name: str, *lines: str) -> MosquittoBroker:
    files = (
        f"cafile {certificates}/ca.pem",
        f"certfile {certificates}/{name}.pem",
        f"keyfile {certificates}/{name}.key",
    )
    return MosquittoBroker(tmp_path, *files, "allow_anonymous true", *lines)


@needs_mosquitto
@pytest.mark.parametrize("version", options.VERSIONS)
def test_broker_with_a_certificate_of_the_given_ca_is_trusted(certificates, tmp_path, caplog, wait_for_log, version):
    with tls_broker(tmp_path, certificates, "here") as broker:
        with Sink(sink_argument(broker.port, f"ca={certificates}/ca.pem", f"version={version}"), LIVE_RUN) as sink:
            wait_for_log("connected to")
            sink.write(change(1))
        assert "dropped" not in caplog.text


@needs_mosquitto
@pytest.mark.parametrize(
    ("name", "ca", "reason"),
    [
        ("here", "other", "self-signed certificate in certificate chain"),
        ("there", "ca", f"IP address mismatch, certificate is not valid for '{HOST}'"),
        ("here", None, ""),
    ],
    ids=["another CA", "another host", "no CA"],
)
def test_broker_with_another_certificate_is_not_trusted(certificates, tmp_path, caplog, wait_for_log, name, ca, reason):
    with tls_broker(tmp_path, certificates, name) as broker:
        trusted = f"ca={certificates}/{ca}.pem" if ca else "tls"
        with Sink(sink_argument(broker.port, trusted), LIVE_RUN):
            assert f"certificate is not trusted ({reason}" in wait_for_log(RETRIED)
    assert "connected to" not in caplog.text


@needs_mosquitto
def test_client_certificate_is_sent_to_a_broker_that_requires_it(certificates, tmp_path, caplog, wait_for_log):
    client = (f"cert={certificates}/client.pem", f"key={certificates}/client.key")
    with tls_broker(tmp_path, certificates, "here", "require_certificate true") as broker:
        with Sink(sink_argument(broker.port, f"ca={certificates}/ca.pem", *client), LIVE_RUN):
            wait_for_log("connected to")
        caplog.clear()
        with Sink(sink_argument(broker.port, f"ca={certificates}/ca.pem"), LIVE_RUN):
            assert "connected to" not in wait_for_log(RETRIED)


@needs_mosquitto
def test_tls_to_a_port_without_tls_is_explained(broker, wait_for_log):
    with Sink(sink_argument(broker.port, "tls"), LIVE_RUN):
        assert re.search("is this its TLS port|does it use TLS", wait_for_log(RETRIED))


@needs_mosquitto
def test_no_tls_to_a_tls_port_is_explained(certificates, tmp_path, wait_for_log):
    with tls_broker(tmp_path, certificates, "here") as broker, Sink(sink_argument(broker.port), LIVE_RUN):
        assert "does it use TLS" in wait_for_log(RETRIED)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"ca": "none"}, "ca={folder}/none: No such file or directory"),
        ({"ca": "junk"}, "ca={folder}/junk: "),
        ({"cert": "junk"}, "cert={folder}/junk, key=in cert: "),
    ],
    ids=["missing", "invalid", "invalid client"],
)
def test_certificate_file_that_cannot_be_used_is_named(tmp_path, files, words):
    (tmp_path / "junk").write_text("junk")
    argument = ",".join(["nas", *(f"{key}={tmp_path / name}" for key, name in files.items())])
    with pytest.raises(SettingsError, match=words.format(folder=tmp_path)), Sink(argument, LIVE_RUN):
        pass
