"""Columns of Arrow tables from Python values.

``pyarrow.array`` imports pandas, wherever it is installed, to find out whether the values are its
own. That takes longer than all the rest that a worker process imports, so that the buffers of the
columns are filled here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow


def column(values: Sequence[Any], kind: pyarrow.DataType) -> pyarrow.Array:
    """An array of numbers, truth values, texts, or lists of a fixed number of numbers.

    Args:
        values: ``None`` is null; texts must be valid UTF-8.
        kind: type of the array.
    """
    import pyarrow as pa

    known = np.array([value is not None for value in values], bool)
    buffers: list[Any] = [None if known.all() else _bits(known)]
    children = None
    if pa.types.is_fixed_size_list(kind):
        null = (0,) * kind.list_size
        flat = [number for value in values for number in (null if value is None else value)]
        children = [column(flat, kind.value_type)]
    elif pa.types.is_boolean(kind):
        buffers.append(_bits(np.array([bool(value) for value in values], bool)))
    elif pa.types.is_string(kind):
        texts = [b"" if value is None else value.encode() for value in values]
        ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
        buffers += [pa.py_buffer(ends), pa.py_buffer(b"".join(texts))]
    else:
        numbers = [0 if value is None else value for value in values]
        buffers.append(pa.py_buffer(np.array(numbers, kind.to_pandas_dtype())))
    return pa.Array.from_buffers(kind, len(values), buffers, children=children)


def labels(values: Sequence[str | None], names: Sequence[str]) -> pyarrow.Array:
    """A dictionary array of ``values``, each one of ``names`` or ``None``."""
    import pyarrow as pa

    codes = {name: code for code, name in enumerate(names)}
    indices = column([None if v is None else codes[v] for v in values], pa.int8())
    return pa.DictionaryArray.from_arrays(indices, column(names, pa.string()))


def _bits(truths: NDArray[np.bool_]) -> pyarrow.Buffer:
    import pyarrow as pa

    return pa.py_buffer(np.packbits(truths, bitorder="little"))
