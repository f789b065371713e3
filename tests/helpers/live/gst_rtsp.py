"""An RTSP camera for tests; run by the system's Python, which has gi.

    gst_rtsp.py PORT NAME=WIDTHxHEIGHT@FPS[,frames=N][,still] ... [--user NAME --password TEXT] [--gaps]

Prints READY when it takes connections.
"""

from __future__ import annotations

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

PIPELINE = (
    "( videotestsrc is-live=true num-buffers={frames} pattern={pattern} "
    "! video/x-raw,width={width},height={height},framerate={fps}/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast bitrate=300 key-int-max={fps} ! h264parse "
    "{gaps} ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port")
    parser.add_argument("mounts", nargs="+")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--gaps", action="store_true", help="leave out many pictures")
    arguments = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(arguments.port)
    if arguments.user:
        _protect(server, arguments.user, arguments.password)
    for mount in arguments.mounts:
        name, _, text = mount.partition("=")
        text, still, _ = text.partition(",still")
        text, _, frames = text.partition(",frames=")
        size, _, fps = text.partition("@")
        width, _, height = size.partition("x")
        factory = GstRtspServer.RTSPMediaFactory()
        # The library ends with a failed assertion if one client of a shared stream leaves at the moment at which
        # another one starts to play, as happens after refused passwords.
        factory.set_shared(not arguments.user)
        gaps = "! identity name=gaps" if arguments.gaps else ""
        factory.set_launch(
            PIPELINE.format(
                width=width,
                height=height,
                fps=fps,
                frames=frames or -1,
                pattern="smpte75" if still else "ball",
                gaps=gaps,
            )
        )
        if arguments.gaps:
            factory.connect("media-configure", _leave_out)
        if arguments.user:
            permissions = GstRtspServer.RTSPPermissions()
            permissions.add_permission_for_role("viewer", "media.factory.access", True)
            permissions.add_permission_for_role("viewer", "media.factory.construct", True)
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory(f"/{name}", factory)
    if not server.attach(None):
        sys.exit(f"port {arguments.port} is taken")
    print("READY", flush=True)
    GLib.MainLoop().run()


def _protect(server: GstRtspServer.RTSPServer, user: str, password: str) -> None:
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_digest(user, password, token)
    server.set_auth(auth)


def _leave_out(factory: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia) -> None:
    """Three pictures of ten never come."""
    element = media.get_element().get_by_name("gaps")
    count = 0

    def probe(pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        nonlocal count
        count += 1
        buffer = info.get_buffer()
        if count % 10 in (3, 4, 5) and buffer.has_flags(Gst.BufferFlags.DELTA_UNIT):
            return Gst.PadProbeReturn.DROP
        return Gst.PadProbeReturn.OK

    element.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, probe)


if __name__ == "__main__":
    main()
