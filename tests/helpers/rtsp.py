"""A real RTSP server, GStreamer's, in a process that tests can end and start again.

Debian: gir1.2-gst-rtsp-server-1.0, python3-gi, gstreamer1.0-plugins-base, -good and -ugly.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from urllib.parse import quote

import pytest

FPS = 25
SIZE = (192, 128)
USER, PASSWORD = "me", "se#cret"
_SERVER = f"""
import sys
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer as rtsp
Gst.init(None)
assert Gst.ElementFactory.find("x264enc") and Gst.ElementFactory.find("rtph264pay")
if sys.argv[1] == "check":
    sys.exit()
server = rtsp.RTSPServer(service=sys.argv[1], address="127.0.0.1")
token = rtsp.RTSPToken()
token.set_string("media.factory.role", "viewer")
auth = rtsp.RTSPAuth()
auth.add_basic(rtsp.RTSPAuth.make_basic("{USER}", "{PASSWORD}"), token)
server.set_auth(auth)
factory = rtsp.RTSPMediaFactory(shared=True)
factory.set_launch(
    "( videotestsrc is-live=true pattern=ball "
    "! video/x-raw,width={SIZE[0]},height={SIZE[1]},framerate={FPS}/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=5 "
    "! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)
role = rtsp.RTSPPermissions()
for what in ("access", "construct"):
    role.add_permission_for_role("viewer", "media.factory." + what, True)
factory.set_permissions(role)
server.get_mount_points().add_factory("/live", factory)
assert server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


@cache
def _python() -> str | None:
    """A Python that has GStreamer's server: the system's, since no wheel holds it."""
    names = [name for name in ("/usr/bin/python3", "python3") if shutil.which(name)]
    for name in names:
        command = [name, "-c", _SERVER, "check"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return name
    return None


class RtspServer:
    """Serves a moving ball at ``url``, to who knows the password."""

    def __init__(self) -> None:
        program = _python()
        if program is None:
            pytest.skip("GStreamer's RTSP server is not installed: gir1.2-gst-rtsp-server-1.0")
        self._program = program
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return self.address(quote(PASSWORD))

    def address(self, password: str) -> str:
        """The URL with another password."""
        return f"rtsp://{USER}:{password}@127.0.0.1:{self._port}/live"

    def start(self) -> None:
        """Start, or start again at the same port."""
        self._process = subprocess.Popen(
            [self._program, "-c", _SERVER, str(self._port)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())

    def stop(self) -> None:
        """End at once, as by a loss of power."""
        self._process.kill()
        self._process.communicate()
