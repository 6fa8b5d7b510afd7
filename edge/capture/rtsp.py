"""A network camera with RTSP: `rtsp://HOST/PATH`, or `rtsps://HOST/PATH` with TLS; see edge/capture/stream_url.py.

FFmpeg receives the stream, over TCP, and decodes it. With `rtsps` it verifies the camera's certificate and the host
name in it, but no IP address: a camera without a name needs `ca=FILE`, whose certificates are all that is trusted then.
Without TLS everybody in between can read and replace the images, and read the password if the camera asks for it
unencrypted (method Basic).
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import cv2

from edge.capture import ffmpeg, stream_url
from edge.capture.encoded_frame import EncodedFrame
from edge.capture.stream_url import StreamUrl
from edge.errors import CameraError, SettingsError

# Seconds. Together they are less than LatestFrame waits for a camera that it does not consider stuck. FFmpeg needs 2 to
# 3 s of a stream to know it, and a camera may send a key image seldom.
OPEN_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS = 8.0, 5.0
EXPLAIN_TIMEOUT_SECONDS = 2.0  # of each step to find out why a camera cannot be opened
MAX_LOGIN_CHARACTERS = 127  # percent-encoded: FFmpeg cuts off more
MAX_ANSWER_BYTES = 4096
SYSTEM_CA_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
_OPTIONS_VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"

CAN_RECONNECT = True


def frames(argument: str) -> Generator[EncodedFrame, None, None]:
    """Yield frames as they come. Raises CameraError if the camera cannot be opened, or stops delivering."""
    url = stream_url.parse(argument)
    yield from ffmpeg.read_frames(_open(url), url)


def is_live(argument: str) -> bool:  # noqa: ARG001 (every camera has it)
    """Return True: frames come at the camera's pace."""
    return True


def _open(url: StreamUrl) -> cv2.VideoCapture:
    ffmpeg.suppress_log()
    timeouts = (
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1000 * OPEN_TIMEOUT_SECONDS)),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1000 * READ_TIMEOUT_SECONDS)),
    )
    with _capture_options(_make_options(url)):
        capture = cv2.VideoCapture(_address_with_login(url), cv2.CAP_FFMPEG, timeouts)
    if not capture.isOpened():
        capture.release()
        raise CameraError(f"{url}: {_explain(url)}")
    return capture


def _address_with_login(url: StreamUrl) -> str:
    login = url.load_login()
    user_info = ":".join(quote(each, safe="") for each in login if each is not None)
    if len(user_info) > MAX_LOGIN_CHARACTERS:
        raise SettingsError(
            f"camera: user and password have {len(user_info)} characters, percent-encoded; FFmpeg takes at most "
            f"{MAX_LOGIN_CHARACTERS}"
        )
    return f"{url.scheme}://{user_info}{'@' if user_info else ''}{url.address}{url.target_for(login)}"


def _make_options(url: StreamUrl) -> dict[str, str]:
    """Return FFmpeg's options; nothing that a camera answers makes it open a file or another protocol."""
    options = {"rtsp_transport": "tcp", "protocol_whitelist": "tls,tcp" if url.uses_tls else "tcp"}
    if url.uses_tls and not url.insecure:
        if not url.ca and (":" in url.host or url.host.replace(".", "").isdecimal()):
            raise SettingsError(
                f"{url}: FFmpeg verifies host names, no IP address; use the camera's name, or #ca=FILE with its "
                "certificate"
            )
        url.make_tls_context()  # raises an error that names the file, where FFmpeg would not
        ca = str(url.ca or next(filter(os.path.exists, SYSTEM_CA_FILES), ""))
        if not ca or re.search(r"[;|]", ca):
            raise SettingsError(
                "camera: FFmpeg finds no file of certificates; install ca-certificates, or name one with #ca=FILE "
                "whose path has neither ; nor |"
            )
        options |= {"tls_verify": "1", "ca_file": ca, "verifyhost": url.host}
    elif url.uses_tls:
        options["tls_verify"] = "0"
    return options


@contextmanager
def _capture_options(options: dict[str, str]) -> Iterator[None]:
    """Let OpenCV hand `options` to FFmpeg inside the block: it reads them from the environment only."""
    before = os.environ.get(_OPTIONS_VARIABLE)
    os.environ[_OPTIONS_VARIABLE] = "|".join(f"{name};{value}" for name, value in options.items())
    try:
        yield
    finally:
        del os.environ[_OPTIONS_VARIABLE]
        if before is not None:
            os.environ[_OPTIONS_VARIABLE] = before


def _explain(url: StreamUrl) -> str:
    """Return why the camera cannot be opened, which FFmpeg does not tell OpenCV: ask it, without a login."""
    context = url.make_tls_context()
    try:
        with socket.create_connection((url.host, url.port), EXPLAIN_TIMEOUT_SECONDS) as connection:
            if context is None:
                return _explain_status(_describe(connection, url))
            with context.wrap_socket(connection, server_hostname=url.host) as encrypted:
                return _explain_status(_describe(encrypted, url))
    except ssl.SSLCertVerificationError as error:
        return (
            f"the certificate is not accepted ({error.verify_message}); name a file that contains it with #ca=FILE, or "
            "accept any with #insecure"
        )
    except OSError as error:
        return f"cannot be reached ({error.strerror or error})"


def _describe(connection: socket.socket, url: StreamUrl) -> int | None:
    """Return the status with which the camera answers the request DESCRIBE; None if that is not RTSP."""
    target = url.target.partition("?")[0]
    connection.sendall(f"DESCRIBE {url.scheme}://{url.address}{target} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
    answer = re.match(rb"RTSP/\d\.\d (\d{3})\b", connection.recv(MAX_ANSWER_BYTES))
    return int(answer[1]) if answer else None


def _explain_status(status: int | None) -> str:
    match status:
        case None:
            return "does not answer as an RTSP camera; check the port"
        case 401 | 403:
            return stream_url.LOGIN_ADVICE
        case 404:
            return "the camera has no stream of that path"
        case 200:
            return f"the camera sent no video that FFmpeg decodes within {OPEN_TIMEOUT_SECONDS:g} s"
    return f"the camera answers with status {status}"
