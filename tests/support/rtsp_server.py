"""A network camera with RTSP on loopback: a test pattern as H.264, at /live. Prints its port when it listens.

Run by the system's Python, which has GStreamer's bindings: gir1.2-gst-rtsp-server-1.0 of Debian. It imports nothing of
the project.
"""

from __future__ import annotations

import argparse

import gi  # type: ignore[import-not-found, unused-ignore]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtspServer  # type: ignore[import-not-found, unused-ignore]  # noqa: E402

PIPELINE = (
    "( videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=15/1 "
    "! x264enc tune=zerolatency key-int-max=15 ! rtph264pay name=pay0 )"
)
ROLE = "media.factory.access=(boolean)true, media.factory.construct=(boolean)true"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", default="0")
    parser.add_argument("--password", help="of the user 'admin', asked for by the method Digest")
    parser.add_argument("--certificate", help="file with certificate and key: rtsps")
    options = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=options.port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE)
    factory.set_shared(True)
    if options.password:
        authentication, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        authentication.set_supported_methods(2)  # GST_RTSP_AUTH_DIGEST
        authentication.add_digest("admin", options.password, token)
        factory.add_role_from_structure(Gst.Structure.from_string(f"viewer, {ROLE}")[0])
        if options.certificate:
            authentication.set_tls_certificate(Gio.TlsCertificate.new_from_file(options.certificate))
        server.set_auth(authentication)
    server.get_mount_points().add_factory("/live", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
