"""Ray Data: a dataset of photos in, a dataset of rows out.

>>> import ray
>>> from fastfer.batch.ray import analyze
>>> photos = ray.data.read_binary_files("s3://bucket/photos/", include_paths=True)
>>> analyze(photos, concurrency=8).write_parquet("s3://bucket/faces/")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastfer.batch.analyzer import Analyzer

if TYPE_CHECKING:
    import pyarrow
    from ray.data import Dataset

BATCH_PHOTOS: Final = 32
"""Default number of photos that an actor takes at a time."""


class ArrowAnalyzer(Analyzer):
    """An :class:`Analyzer` of Arrow tables, which keep the types of the table."""

    def __call__(self, batch: Any) -> Any:
        """The rows of a table of photos, see :meth:`Analyzer.__call__`."""
        import pyarrow as pa

        columns = {name: batch.column(name).to_pylist() for name in batch.column_names}
        table: pyarrow.Table = pa.Table.from_batches([self.table(columns)])
        # Ray joins blocks more simply without dictionaries.
        for place, field in enumerate(table.schema):
            if pa.types.is_dictionary(field.type):
                table = table.set_column(place, field.name, table.column(place).cast("string"))
        return table


def analyze(
    photos: Dataset,
    *,
    concurrency: int | tuple[int, int] = 1,
    batch_size: int = BATCH_PHOTOS,
    num_cpus: float = 0.5,
    **analyzer: Any,
) -> Dataset:
    """The rows of ``photos``, a dataset as :class:`Analyzer` takes it.

    Args:
        photos: with a column ``bytes`` (as of ``ray.data.read_binary_files``), or one of paths.
        concurrency: number of actors, each of which loads the models once; or the smallest and the
            largest number.
        batch_size: photos that an actor takes at a time.
        num_cpus: processors that Ray reserves for each actor. All actors together must leave some
            for the tasks that read the photos, without which Ray waits for ever.
        analyzer: arguments of :class:`Analyzer`.
    """
    return photos.map_batches(
        ArrowAnalyzer,
        fn_constructor_kwargs=analyzer,
        concurrency=concurrency,
        batch_size=batch_size,
        batch_format="pyarrow",
        num_cpus=num_cpus,
    )
