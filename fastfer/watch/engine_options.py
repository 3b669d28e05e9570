"""``[engine]``: checks the arguments of the engine without loading it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastfer.classifiers.contract import HEADS
from fastfer.detectors.registry import required_download
from fastfer.errors import UsageError
from fastfer.inference.onnx_session import pick_threads
from fastfer.priors import PRIOR_NAMES, prior_shares
from fastfer.validation import (
    check_attributes,
    check_choice,
    check_integer,
    check_names,
    check_range,
    check_text,
    check_unit_interval,
)

_NAMES: Final = (
    *("detector", "model", "head", "prior", "threads", "min_face", "detect_size", "min_quality"),
    "attributes",
)


def check_engine(values: Any) -> dict[str, Any]:
    """``values``, the arguments of an engine.

    Raises:
        UsageError: a name that is not known, or a value of a wrong type or out of range.
    """
    if not isinstance(values, dict):
        raise UsageError("[engine] must be a table")
    check_names("[engine]", values, _NAMES)
    check_attributes(values.get("attributes"))
    check_unit_interval(min_quality=values.get("min_quality", 0))
    check_range(min_face=(values.get("min_face", 0), 0))
    pick_threads(values.get("threads"))
    if values.get("detect_size", "auto") != "auto":
        check_integer(detect_size=(values["detect_size"], 24))
    if "model" in values:
        check_text(model=values["model"])
    if "head" in values:
        check_choice(head=(values["head"], HEADS))
    if "detector" in values:
        check_text(detector=values["detector"])
        if not any(ending in values["detector"].lower() for ending in (".onnx", ".py")):
            required_download(values["detector"])  # Files are opened when the engine is loaded.
    prior = values.get("prior")
    if isinstance(prior, Mapping):
        prior_shares(prior)
    elif prior is not None:
        check_choice(prior=(prior, PRIOR_NAMES))
    return values
