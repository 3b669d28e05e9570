"""Class priors: the frequencies of the emotions for which a network's probabilities hold.

A network's posterior depends on how frequent each class is. A file that states the prior of its
outputs can be used for faces of any other prior, by Bayes' rule (:func:`reweighted`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import UsageError
from fastfer.labels import CONTEMPT, EMOTIONS
from fastfer.validation import is_number, parse_json, read_small_text

PriorName = Literal["level", "uniform", "fer2013", "photos"]
Prior: TypeAlias = PriorName | Mapping[str, float]
"""``"level"`` is the default of networks exported by fastfer's training, nearly uniform, and stored
in the file; ``"uniform"`` is 1/7 for each emotion; the others are in :data:`PRIORS`. A mapping has
a share or count of every emotion."""

PRIORS: Final[Mapping[str, tuple[float, ...]]] = {
    "uniform": (1 / 7,) * 7,
    # Labels of FER-2013's Training.
    "fer2013": (0.1392, 0.0152, 0.1427, 0.2513, 0.1682, 0.1105, 0.1729),
    # 774 press photos (LFW), plus one of each emotion.
    "photos": (0.1357, 0.0090, 0.0077, 0.2727, 0.0768, 0.2010, 0.2971),
}
"""Priors that do not depend on the network, in the order of EMOTIONS."""

PRIOR_NAMES: Final = ("level", *PRIORS)

MIN_SHARE: Final = 1e-6
"""Smallest share of an emotion: far below, its probability would underflow."""

MAX_COUNT: Final = 1e12


def prior_shares(
    prior: Prior, labels: tuple[str, ...] = EMOTIONS, level: tuple[float, ...] | None = None
) -> NDArray[np.float64]:
    """(len(labels),) the shares of ``labels`` in ``prior``, which sum to 1.

    Args:
        prior: a name or a mapping.
        labels: emotions of the network, in its order.
        level: shares of ``labels`` in the prior ``"level"``, whose share of contempt holds where
            ``prior`` has none.

    Raises:
        UsageError: code ``unknown_prior`` for a name, ``out_of_range`` for a mapping.
    """
    if isinstance(prior, str):
        if prior == "level" and level is not None:
            return np.array(level, np.float64)
        if prior == "uniform":
            return np.full(len(labels), 1 / len(labels))
        if prior not in PRIORS:
            raise UsageError(
                f"unknown prior {prior!r}; choose from {', '.join(PRIOR_NAMES)}, or pass a share "
                "of each emotion",
                code="unknown_prior",
            )
        table: Mapping[str, Any] = dict(zip(EMOTIONS, PRIORS[prior], strict=True))
    else:
        table = prior
    if not isinstance(table, Mapping) or set(table) - {CONTEMPT} != set(EMOTIONS):
        raise UsageError(
            f"prior must have a share of each of {', '.join(EMOTIONS)}; got {table!r}",
            code="out_of_range",
        )
    if CONTEMPT in labels and CONTEMPT not in table:
        own = 1 / len(labels) if level is None else level[labels.index(CONTEMPT)]
        rest = prior_shares(table, tuple(name for name in labels if name != CONTEMPT))
        return np.append((1 - own) * rest, own)
    values = [table[name] for name in labels]
    numbers = [v if is_number(v) and 0 < v < MAX_COUNT else 0.0 for v in values]
    total = sum(numbers)
    for name, number, value in zip(labels, numbers, values, strict=True):
        if number <= MIN_SHARE * total:
            raise UsageError(
                f"prior[{name!r}] must be a number above 0, more than {MIN_SHARE:g} of their "
                f"sum; got {value!r}",
                code="out_of_range",
            )
    shares: NDArray[np.float64] = np.array(numbers, np.float64) / total
    return shares


def reweighted(
    probabilities: NDArray[np.float32], ratio: NDArray[np.float32]
) -> NDArray[np.float32]:
    """``probabilities`` (N, C) for another prior; ``ratio`` (C,) is the new prior over the old."""
    rows = probabilities * ratio
    rows /= rows.sum(axis=1, keepdims=True)
    return rows


def read_prior(text: str) -> Prior:
    """The prior that ``--prior`` names: one of :data:`PRIOR_NAMES`, or a JSON file with an object
    that has a share or count of each emotion.

    Raises:
        UsageError: no such name or file (code ``unknown_prior``), or not such an object.
    """
    if text in PRIOR_NAMES:
        return cast(PriorName, text)
    try:
        table = parse_json(read_small_text(text))
    except OSError as error:
        raise UsageError(
            f"--prior {text}: choose from {', '.join(PRIOR_NAMES)}, or pass a JSON file "
            f"({error.strerror})",
            code="unknown_prior",
        ) from None
    except ValueError as error:
        raise UsageError(f"--prior {text}: not JSON ({error})", code="out_of_range") from None
    if isinstance(table, str):
        table = {}
    try:
        prior_shares(table)
    except UsageError as error:
        raise UsageError(f"--prior {text}: {error}", code=error.code) from None
    return cast("dict[str, float]", table)
