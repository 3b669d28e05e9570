"""The configuration of a run: typed options, kept in the ``config.json`` of its folder."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Self, TypeVar, cast, get_origin, get_type_hints

from fastfer.errors import UsageError

G = TypeVar("G")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What every training needs; subclasses add the options of their networks.

    A field is an option of the command by the same name. A field that is a dataclass itself groups
    options; ``config.json`` nests it.
    """

    data: str
    init: str | None = None
    epochs: int
    batch_size: int
    optimizer: str = "adamw"
    learning_rate: float
    clip_norm: float | None = None
    """Largest norm of each variable's gradient; None does not clip."""
    weight_decay: float = 0.0
    schedule: str = "cosine"
    ema: float = 0.0
    """Momentum of the averaged weights; 0 disables averaging."""
    patience: int | None = None
    """Epochs without a lower validation loss before training stops; None never stops early."""
    seed: int = 0
    precision: str = "float32"

    @classmethod
    def from_options(cls, options: argparse.Namespace) -> Self:
        """The configuration in the options of a command."""
        groups = {
            name: cls.group(options, hint)
            for name, hint in get_type_hints(cls).items()
            if isinstance(hint, type) and is_dataclass(hint)
        }
        names = {f.name for f in fields(cls)}
        return cls(**{k: v for k, v in vars(options).items() if k in names} | groups)

    @staticmethod
    def group(options: argparse.Namespace, kind: type[G]) -> G:
        """The dataclass ``kind`` from the options that are named like its fields."""
        return kind(**{f.name: getattr(options, f.name) for f in fields(cast(Any, kind))})

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, strict: bool = True) -> Self:
        """The configuration in a ``config.json``; unless ``strict``, unknown options are ignored.

        Raises:
            UsageError: it has unknown options, lacks some, or has values of another type.
        """
        names = {f.name for f in fields(cls)} if not strict else values.keys() - {"environment"}
        known = {k: v for k, v in values.items() if k in names}
        try:
            for name, hint in get_type_hints(cls).items():
                if isinstance(hint, type) and is_dataclass(hint) and name in known:
                    known[name] = hint(**known[name])
                elif get_origin(hint) is tuple and name in known:
                    known[name] = tuple(known[name] or ())
                elif hint in (int, float, str) and name in known:
                    _check_type(name, known[name], hint)
            return cls(**known)
        except TypeError as e:
            raise UsageError(
                f"the run was configured by another version of this command: {e}",
                code="unknown_option",
            ) from e


def _check_type(name: str, value: Any, kind: type) -> None:
    if not isinstance(value, (int, float) if kind is float else kind):
        raise UsageError(
            f"{name} in config.json is {value!r}, expected a value of type {kind.__name__}"
        )
