"""A callable for engines that distribute work: a batch of photos in, a batch of rows out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from numpy.typing import NDArray

from fastfer.batch.setup import Setup, check_engine
from fastfer.batch.tasks import Prepared, TaskRunner, load
from fastfer.batch.units import Unit
from fastfer.errors import FastferError, InputError, UsageError
from fastfer.io.encoded_image import EncodedImage
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits
from fastfer.outputs import parquet_schema as schema

if TYPE_CHECKING:
    import pyarrow

    from fastfer.results import PhotoResult

_NAMES: Final = ("source", "path", "item_path", "filename", "__key__")
"""Columns that may name the photos, the first that there is."""


class Analyzer:
    """Analyses batches of photos; for Ray's ``map_batches``, Spark's ``mapInPandas``, Dask.

        >>> analyzer = fastfer.batch.Analyzer()
        >>> rows = analyzer({"path": np.array(["a.jpg", "b.jpg"])})

    It can be pickled. Each process loads the models once, with the first batch. Photos whose bytes
    cannot be read become rows with an error. The columns are those of a table of ``fastfer batch``.
    """

    def __init__(
        self,
        *,
        limits: FileLimits = DEFAULT_LIMITS,
        exact: bool = False,
        **engine: Any,
    ) -> None:
        """Describe the engine; nothing is loaded yet.

        Args:
            limits: what one photo may cost.
            exact: see :class:`fastfer.batch.JobOptions`.
            engine: arguments of :class:`fastfer.Engine`, except ``threads``, which is 1; with
                ``attributes``, the rows have their columns too.

        Raises:
            UsageError: pyarrow is not installed (``missing_package``), or an argument or attribute
                is unknown (``unknown_option``).
        """
        check_engine(engine)
        self._setup = Setup("rows.parquet", engine, limits, None, exact)
        self._runner: TaskRunner | None = None
        schema.require_pyarrow("an Analyzer")
        self._setup.attributes  # noqa: B018 - a mistake is reported here.

    def __getstate__(self) -> Setup:
        return self._setup

    def __setstate__(self, setup: Setup) -> None:
        self._setup = setup
        self._runner = None

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """The rows of a batch of photos, one for each face.

        Args:
            batch: column ``bytes`` (contents of image files), or one with paths or URLs: ``path``,
                ``source``, ``item_path``, ``filename``. With ``bytes``, that column or ``__key__``
                names the photos.

        Returns:
            The columns of :func:`fastfer.outputs.parquet_schema.schema` as arrays of one length.
            Integers that may be missing are float64, with NaN; text that may be missing is
            ``None``.

        Raises:
            UsageError: a column is missing, or columns are of several lengths.
        """
        table = self.table(batch)
        columns = {}
        for name in table.schema.names:
            column = table.column(name)
            if hasattr(column, "dictionary"):
                column = column.cast("string")
            columns[name] = column.to_numpy(zero_copy_only=False)
        return columns

    def table(self, batch: Mapping[str, Any]) -> pyarrow.RecordBatch:
        """As :meth:`__call__`, as a record batch with the types of the table."""
        return schema.to_batch(self.results(batch), self._setup.column_groups)

    def results(self, batch: Mapping[str, Any]) -> list[PhotoResult]:
        """As :meth:`__call__`, one result for each photo."""
        if self._runner is None:
            self._runner = load(self._setup)
        return self._runner.photos(self._prepared(self._runner, batch))

    def _prepared(self, runner: TaskRunner, batch: Mapping[str, Any]) -> list[Prepared]:
        names, contents = _columns(batch)
        prepared = []
        for i, name in enumerate(names):
            unit = Unit(str(name), "photo", str(name))
            try:
                if contents is not None:
                    data = _bytes(contents[i], unit.source)
                    image = EncodedImage(data, unit.source, self._setup.limits)
                else:
                    image = unit.read(self._setup.limits)
                prepared.append(Prepared(unit, runner.decode(image)))
            except FastferError as error:
                prepared.append(Prepared(unit, error=error))
        return prepared


def _columns(batch: Mapping[str, Any]) -> tuple[list[Any], list[Any] | None]:
    """The names of the photos, or their numbers, and their contents, if there are any.

    Raises:
        UsageError: there is neither, a column is no sequence, or their lengths differ.
    """
    if not hasattr(batch, "keys"):
        raise UsageError(f"a batch is a mapping of columns; got {type(batch).__name__}")
    column = next((name for name in _NAMES if name in batch), None)
    if column is None and "bytes" not in batch:
        raise UsageError(
            f"a batch needs a column bytes, or one of {', '.join(_NAMES[:-1])}; got "
            f"{', '.join(map(str, batch)) or 'none'}"
        )
    contents = _values("bytes", batch["bytes"]) if "bytes" in batch else None
    if column is None:
        return list(range(len(contents or ()))), contents
    names = _values(column, batch[column])
    if contents is not None and len(contents) != len(names):
        raise UsageError(
            f"columns of a batch have one length; got {len(contents)} bytes and {len(names)} "
            f"{column}"
        )
    return names, contents


def _values(name: str, column: Any) -> list[Any]:
    if not isinstance(column, (str, bytes)):
        try:
            return list(column)
        except TypeError:  # A single value, or nothing.
            pass
    raise UsageError(f"column {name} must be a sequence; got {type(column).__name__}")


def _bytes(data: Any, name: str) -> bytes:
    """The contents of a file.

    Raises:
        InputError: there are none.
    """
    if data is None:
        raise InputError(f"{name}: no bytes", code="empty_file")
    try:
        return bytes(memoryview(data))
    except TypeError:
        message = f"{name}: column bytes holds a {type(data).__name__}, not the bytes of a file"
        raise InputError(message) from None
