"""Analyse photos with Dask: python dask_photos.py FOLDER OUT"""

import sys
from pathlib import Path

import dask.dataframe as dd
import pandas as pd
from distributed import Client

from fastfer.batch import Analyzer
from fastfer.outputs.parquet_schema import schema

ANALYZER = Analyzer()


def analyze(photos: pd.DataFrame) -> pd.DataFrame:
    """Rows of photos; the models are loaded once in each worker."""
    return ANALYZER.table({"path": photos.path.tolist()}).to_pandas()


def main(folder: str, out: str) -> None:
    paths = pd.DataFrame({"path": sorted(map(str, Path(folder).absolute().rglob("*.jpg")))})
    empty = schema().empty_table().to_pandas()
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None):
        photos = dd.from_pandas(paths, chunksize=64)
        rows = photos.map_partitions(analyze, meta=empty)
        rows.to_parquet(out, schema=schema(), write_index=False)
        print(len(dd.read_parquet(out)), "rows")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
