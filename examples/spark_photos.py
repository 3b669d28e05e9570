"""Analyse photos with Spark: python spark_photos.py FOLDER OUT"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from fastfer.batch import Analyzer
from fastfer.outputs.parquet_schema import schema

ANALYZER = Analyzer()


def analyze(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Rows of photos; the models are loaded once in each Python worker of Spark."""
    for batch in batches:
        rows = pd.DataFrame(dict(ANALYZER({"path": batch.path, "bytes": batch.content})))
        for name in ("frame_index", "width", "height", "face_index", "track_id"):
            rows[name] = rows[name].astype("Int64")
        yield rows


def main(folder: str, out: str) -> None:
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", 32)
        .getOrCreate()
    )
    photos = (
        spark.read.format("binaryFile")
        .option("recursiveFileLookup", "true")
        .option("pathGlobFilter", "*.jpg")
        .load(str(Path(folder).absolute()))
        .select("path", "content")
    )
    columns = schema()
    columns = columns.set(columns.get_field_index("emotion"), pa.field("emotion", pa.string()))
    rows = photos.mapInPandas(analyze, from_arrow_schema(columns))
    rows.write.mode("overwrite").parquet(str(Path(out).absolute()))
    print(spark.read.parquet(str(Path(out).absolute())).count(), "rows")
    spark.stop()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
