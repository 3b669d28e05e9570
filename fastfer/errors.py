"""All errors that fastfer raises on purpose, in one tree.

Every error has a ``code``, a stable snake_case string that programs can branch on (:data:`CODES`
lists them), and an ``exit_code``, with which the commands end. Message texts may change. Errors
about arguments also derive from ``ValueError``.
"""

from __future__ import annotations

import traceback
from typing import ClassVar, Final

CODES: Final[dict[str, str]] = {
    # Defaults, one per class.
    "error": "any other error",
    "usage": "arguments that contradict each other or cannot be used",
    "invalid_frame": "a frame of unsupported dtype, shape or memory layout",
    "invalid_box": "boxes that are not (N, 4) numbers, not finite, empty, or outside their frame",
    "unreadable_input": "an input that cannot be read, for a reason without its own code",
    "output_failed": "an output that cannot be written, for a reason without its own code",
    "invalid_model": "a model file that cannot be used, for a reason without its own code",
    "extension_missing": "the compiled module fastfer._native cannot be loaded",
    # UsageError
    "unknown_option": "an option name that does not exist",
    "unknown_detector": "a detector name that is not registered",
    "unknown_head": "an output head that does not exist, or that the model lacks",
    "unknown_prior": "a class prior that does not exist, or a model that states none",
    "out_of_range": "an argument of wrong type or outside its range",
    "missing_package": "a package that is not installed or cannot be loaded",
    "not_a_detector": "an object without name, crop_calibration and detect()",
    "cannot_resume": "an output file that cannot be continued",
    "job_running": "a table that another job is writing",
    "other_schema": "a table with other columns, or of another version",
    "would_overwrite": "an output that names an input, another output, or rows of an earlier run",
    # InputError
    "not_found": "a path that does not exist",
    "is_directory": "a directory where a file is required",
    "empty_file": "a file of zero bytes",
    "truncated": "a file whose end is missing",
    "damaged": "a file that its decoder rejects",
    "too_many_pixels": "a picture or video frame above the pixel limit",
    "too_many_bytes": "a picture file, a video that is copied, or what is unpacked besides, above "
    "the limit on its size",
    "too_much_memory": "a picture or video whose decoding takes more memory than the limit",
    "too_slow": "a picture or video frame whose decoding takes longer than the limit",
    "failed": "a photo that could not be analysed, for a reason that nobody foresaw",
    "decoder_crashed": "a picture or video that ended the decoder process",
    "unsupported_format": "a file format that cannot be read or written",
    "no_match": "a pattern that matches no file",
    "no_frames": "a part of a video that contains no frame",
    "no_pictures": "a directory without pictures",
    "source_unavailable": "a camera or stream that cannot be opened",
    "source_lost": "a camera or stream that stopped delivering frames",
    "decode_failed": "a video frame that cannot be decoded",
    "encrypted": "a file in an archive that needs a password",
    "changed": "a file that changed or vanished while it was read",
    "timeout": "a file without progress for too long",
    "worker_crashed": "a file whose reading ends its worker process",
    "worker_killed": "a file whose reading needs more memory than the system grants",
    "too_large": "more bytes, parts or pictures than a server accepts",
    "upload_timeout": "a request that did not arrive in time",
    "too_many_frames": "a video longer than a server accepts",
    # A server refuses a request
    "token_required": "a server that other machines can reach, without a token",
    "address_in_use": "an address at which the server cannot listen",
    "unauthorized": "a request without the server's token",
    "forbidden": "a request with a Host or Origin that the server does not know",
    "busy": "too many requests, streams or jobs at the same time; try again",
    "unknown_job": "a video job that does not exist, or has expired",
    "not_ready": "a video job without a result so far",
    "cancelled": "a video job that was cancelled",
    # OutputError
    "output_in_use": "an output that another process writes",
    "disk_full": "no space is left on the device",
    # ModelError
    "not_installed": "a downloadable model that is not in the store",
    "download_failed": "a model that could not be downloaded",
    "hash_mismatch": "a model file whose SHA-256 differs from the expected one",
    "no_cascades": "an OpenCV build without Haar cascades",
    "not_probabilities": "a model output that is not a probability distribution",
    "incomplete_spec": "a model whose labels or scale are not known",
}  # fmt: skip
"""Every value of :attr:`FastferError.code` and its meaning. Codes are added, never renamed."""

DETECTOR_MODULE: Final = "fastfer_detector_"
"""What the names of the modules begin with that users' detector files become."""


def reason(error: BaseException) -> str:
    """Why something failed: the error's text, or its type if it has none. If it passed through a
    user's detector file, file and line come first: ``my_detector.py, line 12: TypeError: ...``."""
    text = str(error).strip()
    for frame, line in reversed([*traceback.walk_tb(error.__traceback__)]):
        if str(frame.f_globals.get("__name__")).startswith(DETECTOR_MODULE):
            kind = type(error).__name__
            place = f"{frame.f_code.co_filename}, line {line}: {kind}"
            return f"{place}: {text}" if text else place
    return text or type(error).__name__


MAX_MESSAGE: Final = 4000
"""Characters of a message; the middle of a longer one, usually of a name, is left out."""


def shortened(message: str) -> str:
    """``message`` without the middle of what is longer than :data:`MAX_MESSAGE`."""
    if len(message) <= MAX_MESSAGE:
        return message
    half = MAX_MESSAGE // 2
    return f"{message[:half]} ... {message[-half:]}"


class FastferError(Exception):
    """Base class of all errors of fastfer."""

    exit_code: ClassVar[int] = 1
    """Exit code of a command that this error ends."""
    code: str = "error"
    """One of :data:`CODES`: the default of the class, or a more specific one."""

    def __init__(self, message: str = "", *, code: str | None = None) -> None:
        super().__init__(shortened(message))
        if code is not None:
            self.code = code


class UsageError(FastferError, ValueError):
    """Arguments that contradict each other, are out of range, or name something unknown."""

    exit_code = 2
    code = "usage"


class FrameError(FastferError, ValueError):
    """A frame of unsupported dtype, shape or memory layout."""

    exit_code = 2
    code = "invalid_frame"


class BoxError(FastferError, ValueError):
    """A box that is not finite, has no area, or lies entirely outside its frame; or anything but
    boxes where they are required."""

    exit_code = 2
    code = "invalid_box"


class InputError(FastferError):
    """A photo, video, camera or stream that cannot be read."""

    exit_code = 3
    code = "unreadable_input"


class OutputError(FastferError):
    """A result that cannot be written: full disk, missing permission."""

    exit_code = 1
    code = "output_failed"


class ModelError(FastferError):
    """A model file that is missing, damaged, or violates the model contract."""

    exit_code = 4
    code = "invalid_model"


class ExtensionMissingError(FastferError, ImportError):
    """The compiled module is missing; the message contains the build command."""

    exit_code = 1
    code = "extension_missing"


class PackageMissingError(FastferError, ImportError):
    """A package that fastfer needs is missing or cannot be loaded; the message says what to do."""

    exit_code = 1
    code = "missing_package"


_PACKAGES: Final = {
    "cv2": "opencv-python",
    "av": "av",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "pooch": "pooch",
    "tqdm": "tqdm",
}
"""The package of each module that fastfer needs."""
_HEADLESS: Final = "opencv-python-headless"


def package_error(error: ImportError) -> PackageMissingError | None:
    """How to install what ``error`` could not import; ``None`` if it is no package of fastfer's."""
    module = (error.name or "").partition(".")[0]
    if module not in _PACKAGES:
        return None
    package = _PACKAGES[module]
    if error.path and module == "cv2":  # It is there, but not what it needs itself.
        return PackageMissingError(
            f"OpenCV cannot be loaded: {error}; on a machine without windows: "
            f"pip uninstall {package}, then pip install {_HEADLESS}"
        )
    if error.path is not None:
        return PackageMissingError(
            f"{module} cannot be loaded: {error}; pip install --force-reinstall {package}"
        )
    other = f", or {_HEADLESS} on a machine without windows" if module == "cv2" else ""
    return PackageMissingError(f"fastfer needs {module}: pip install {package}{other}")
