"""Opening containers through PyAV: which formats and protocols are read, and errors in our words.

A file is read through an open file object, so that its name, of any bytes, is never taken for a
URL, an option or a pattern. Formats that are lists of other files are not on the list of formats:
a playlist opens nothing but itself.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Final, cast

import av
from av.codec import Codec
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from fastfer.errors import InputError, UsageError
from fastfer.io.addresses import scheme
from fastfer.io.file_kinds import exists, is_file

FORMATS: Final = (
    "3dostr,amv,apng,asf,asf_o,av1,avi,avs,avs2,avs3,bethsoftvid,bink,bmp_pipe,cavsvideo,"
    "cine,dhav,dirac,dnxhd,dv,dxa,evc,exr_pipe,flic,flv,gif,gif_pipe,gxf,h261,h263,h264,hevc,"
    "ifv,ipmovie,ivf,ivr,j2k_pipe,jpeg_pipe,jpegls_pipe,jpegxl_anim,jpegxl_pipe,kux,live_flv,"
    "lmlm4,lxf,m4v,matroska,mjpeg,mjpeg_2000,mov,mpeg,mpegts,mpegvideo,mpjpeg,mtv,mv,mxf,nsv,"
    "nut,nuv,obu,ogg,pam_pipe,pbm_pipe,pcx_pipe,pgm_pipe,pmp,png_pipe,ppm_pipe,psd_pipe,pva,"
    "qoi_pipe,r3d,rm,roq,rpl,ser,sgi_pipe,smjpeg,smk,sunrast_pipe,swf,tiff_pipe,ty,vc1,vivo,"
    "vmd,vvc,webp_pipe,wtv,xwd_pipe,yop,yuv4mpegpipe"
)
"""Demuxers of FFmpeg that read one file. Those that open what the file names are left out: ``hls``,
``dash``, ``concat``, ``sdp``, ``image2``, ``imf`` and the like."""

STREAM_FORMATS: Final = FORMATS + ",hls,dash,rtsp,rtp,rtp_mpegts,mpegtsraw"
"""Demuxers for URLs, where a playlist may name further URLs; never local files."""

_RECORDED: Final = ("gif", "apng")
_LIVE: Final = ("hls", "dash", "mpjpeg", "rtsp", "rtp", "rtp_mpegts")
"""Formats that always have an end, and those whose size says nothing of one."""

_METADATA: Final[dict[str, Any]] = (
    {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
)
"""Text that is no UTF-8 is no reason to refuse a video. PyAV 19 has no such parameter."""

_HTTP: Final = "http,https,tcp,tls,httpproxy,crypto,data"
PROTOCOLS: Final[Mapping[str, str]] = {
    "rtsp": f"rtsp,rtp,srtp,udp,tcp,tls,{_HTTP}",
    "rtsps": f"rtsp,rtsps,rtp,srtp,udp,tcp,tls,{_HTTP}",
    "rtmp": "rtmp,rtmpt,rtmps,tcp,tls,http,https",
    "http": _HTTP,
    "https": _HTTP,
    "udp": "udp",
    "tcp": "tcp",
    "srt": "srt",
}
"""Protocols that a URL of each scheme may use."""


def open_file(
    path: str,
    *,
    format: str | None = None,
    options: Mapping[str, str] | None = None,
    hwaccel: HWAccel | None = None,
    file: BinaryIO | None = None,
) -> InputContainer:
    """Open a local file, or with ``-`` the standard input.

    Args:
        path: a file.
        format: demuxer; by default found by the content.
        options: of the demuxer.
        hwaccel: of :func:`hardware`.
        file: ``path``, already opened by :func:`open_binary`.

    Raises:
        InputError: missing, empty, or in no format of :data:`FORMATS`; code ``too_much_memory``, if
            the system grants too little.
    """
    if file is None:
        file = open_binary(path)
    name = "standard input" if path == "-" else path
    limits = {"protocol_whitelist": "none"}
    if format is None:
        limits["format_whitelist"] = FORMATS
    try:
        container: InputContainer = av.open(
            _Named(file),
            "r",
            format,
            container_options={**(options or {}), **limits},
            hwaccel=hwaccel,
            **_METADATA,
        )
        return container
    except MemoryError:
        file.close()
        raise too_much_memory(name) from None
    except (av.FFmpegError, ValueError):
        file.close()
        raise InputError(
            f"{name}: not a video that can be played, or damaged; copy it again, or convert it "
            "to MP4",
            code="unsupported_format",
        ) from None
    except BaseException:
        file.close()
        raise


def open_url(
    url: str, name: str, *, timeout: float, hwaccel: HWAccel | None = None
) -> InputContainer:
    """Open a network stream, or a recording on a server.

    Args:
        url: with a scheme of :data:`PROTOCOLS`.
        name: name in messages.
        timeout: seconds without data that are an error; opening may take ten.
        hwaccel: of :func:`hardware`.

    Raises:
        InputError: code ``source_unavailable``.
    """
    kind = scheme(url)
    options = {
        "protocol_whitelist": PROTOCOLS.get(kind, ""),
        "format_whitelist": STREAM_FORMATS,
    }
    if kind.startswith("rtsp"):
        # UDP loses packets, and every lost packet smears the picture until the next key frame.
        options["rtsp_flags"] = "prefer_tcp"
    try:
        container: InputContainer = av.open(
            url,
            "r",
            container_options=options,
            timeout=(max(timeout, 10.0), timeout),
            hwaccel=hwaccel,
            **_METADATA,
        )
        return container
    except (av.FFmpegError, ValueError, OSError):
        raise InputError(
            f"{name}: cannot be reached or played; check the address and the network",
            code="source_unavailable",
        ) from None


def is_recording(container: InputContainer) -> bool:
    """Whether the container of a URL has an end: its duration is known, its format is that of
    recordings, or the server states its size. A playlist has a size even if it is live, and cameras
    invent one for their endless row of pictures."""
    if container.duration is not None and container.duration > 0:
        return True
    name = container.format.name
    return name in _RECORDED or (name not in _LIVE and container.size > 0)


def ends_by_closing(container: InputContainer, error: Exception) -> bool:
    """Whether ``error`` is the end of a recording on a server that states no size: it closes the
    connection, which FFmpeg takes for a loss."""
    return (
        isinstance(error, OSError)
        and error.errno == errno.EIO
        and bool(scheme(container.name))
        and container.size < 0
    )


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """The stream of pictures that a player shows; a cover picture is none.

    Raises:
        InputError: there is none, or no decoder for it.
    """
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        raise InputError(f"{name}: holds no video", code="unsupported_format")
    context: Any = stream.codec_context
    if context is None:
        raise InputError(
            f"{name}: the codec of the video is not known; convert it to H.264",
            code="unsupported_format",
        )
    return stream


def sound_stream(container: InputContainer) -> Any:
    """The sound that a player plays; ``None`` without one. Of sound that begins after what FFmpeg
    inspects, as transport streams may have it, the rate and the channels are not known: 0."""
    declared = (s for s in container.streams.audio if s.codec_context is not None)
    return container.streams.best("audio") or next(declared, None)


def demuxed(container: InputContainer, *streams: Any) -> Iterator[Packet[Any]]:
    """The packets of ``streams``, by default of all that were found when it was opened."""
    try:
        yield from container.demux(*streams)
    except IndexError:  # So PyAV may end, if the container has got further streams meanwhile.
        return


def too_much_memory(name: str) -> InputError:
    """The error of a video for which memory is too short."""
    return InputError(
        f"{name}: decoding takes more memory than this process may have; if you trust the file, "
        "raise the limit with --max-memory",
        code="too_much_memory",
    )


def hardware(device: str | None) -> HWAccel | None:
    """A hardware decoder, which leaves to software what it cannot decode.

    Args:
        device: a kind such as ``vaapi``, or kind and device such as ``cuda:1``; ``None`` for
            software.

    Returns:
        ``None`` for software, also if the device is absent.

    Raises:
        UsageError: code ``out_of_range``, a kind that this FFmpeg lacks.
    """
    if device is None:
        return None
    kind, _, number = device.partition(":")
    if kind not in hwdevices_available():
        raise UsageError(
            f"unknown hardware decoder {kind!r}; this FFmpeg has "
            f"{', '.join(hwdevices_available()) or 'none'}",
            code="out_of_range",
        )
    decoder = HWAccel(kind, number or None, allow_software_fallback=True)
    try:
        decoder.create(Codec("h264", "r"))
    except (av.FFmpegError, ValueError, OSError, NotImplementedError):
        return None
    return decoder


class _Named:
    """A file object as PyAV takes it: readable, and seekable if the file is. It has no name, by
    which FFmpeg would guess the format."""

    name = ""

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read
        self.close = file.close
        if file.seekable():
            # Not a bound method, which would keep this object, and the file, in a cycle.
            self.seek = _without_errors(file.seek)
            self.tell = file.tell


def _without_errors(seek: Callable[[int, int], int]) -> Callable[..., int]:
    """``seek`` as of FFmpeg's own files: a place outside is a number below 0, after which it reads
    on."""

    def try_seek(offset: int, whence: int = 0) -> int:
        try:
            return seek(offset, whence)
        except OSError as error:
            return -(error.errno or errno.EIO)

    return try_seek


_BEGINNING: Final = 4096
"""Bytes of a pipe that are inspected."""


class Pipe(io.RawIOBase):
    """A file that can be read only once, such as a pipe, and whose first bytes were read before."""

    def __init__(self, file: io.RawIOBase, beginning: bytes = b"") -> None:
        super().__init__()
        self._file = file
        self.beginning = beginning
        """What was read and comes first."""

    def readable(self) -> bool:
        """As :meth:`io.RawIOBase.readable`."""
        return True

    def fileno(self) -> int:
        """The descriptor of what follows the beginning."""
        return self._file.fileno()

    def readinto(self, buffer: Any) -> int | None:
        """As :meth:`io.RawIOBase.readinto`."""
        if not self.beginning:
            return cast("int | None", self._file.readinto(buffer))
        part, self.beginning = self.beginning[: len(buffer)], self.beginning[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def open_binary(path: str) -> BinaryIO:
    """Open a local file, or with ``-`` the standard input.

    Returns:
        A :class:`Pipe`, if it can be read only once.

    Raises:
        InputError: missing, empty, or not readable; code ``disk_full``, no room for a copy.
    """
    if path == "-":
        file = open(0, "rb", closefd=False)  # noqa: SIM115 - kept open.
        return file if file.seekable() else _pipe(file.detach(), path)
    try:
        if not exists(path):
            raise InputError(f"{path}: no such file", code="not_found")
        if is_file(path) and os.stat(path).st_size == 0:  # noqa: PTH116
            raise InputError(f"{path}: the file is empty", code="empty_file")
        file = open(path, "rb")  # noqa: SIM115, PTH123 - kept open.
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: cannot be read: {reason}") from None
    return file if file.seekable() else _pipe(file.detach(), path)


def _pipe(file: io.RawIOBase, path: str) -> BinaryIO:
    """A pipe to read. An MP4 whose index is at its end, as cameras write it, can only be played by
    seeking: it is copied to a temporary file.

    Raises:
        InputError: empty; code ``disk_full``, there is no room for the copy.
    """
    beginning = b""
    while len(beginning) < _BEGINNING and (data := file.read(_BEGINNING - len(beginning))):
        beginning += data
    name = "standard input" if path == "-" else path
    if not beginning:
        file.close()
        raise InputError(f"{name}: is empty", code="empty_file")
    pipe = Pipe(file, beginning)
    if not _index_is_last(beginning):
        return cast(BinaryIO, pipe)
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - kept open.
    try:
        shutil.copyfileobj(cast(BinaryIO, pipe), copy, 1 << 20)
        copy.seek(0)
    except OSError as error:
        copy.close()
        raise InputError(
            f"{name}: an MP4 whose index is at its end cannot be copied to the folder for "
            f"temporary files, which TMPDIR names: {error.strerror or error}",
            code="disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else None,
        ) from None
    finally:
        pipe.close()
    return cast(BinaryIO, copy)


def _index_is_last(beginning: bytes) -> bool:
    """Whether these are the first bytes of an MP4 or MOV whose pictures come before their index."""
    at = 0
    while len(box := beginning[at : at + 8]) == 8:
        size, kind = int.from_bytes(box[:4], "big"), box[4:]
        if kind == b"mdat":
            return True
        if kind not in (b"ftyp", b"free", b"skip", b"wide", b"uuid") or size < 8:
            return False
        at += size
    return False
