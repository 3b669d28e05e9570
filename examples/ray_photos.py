"""Analyse photos on a Ray cluster: python ray_photos.py FOLDER OUT

On a laptop Ray starts a cluster of two workers by itself; on a cluster set RAY_ADDRESS.
"""

import os
import sys
from pathlib import Path

import ray

from fastfer.batch.ray import analyze


def main(folder: str, out: str) -> None:
    ray.init(
        address=os.environ.get("RAY_ADDRESS"),
        num_cpus=None if "RAY_ADDRESS" in os.environ else 2,
        include_dashboard=False,
    )
    photos = ray.data.read_binary_files(
        str(Path(folder).absolute()), include_paths=True, file_extensions=["jpg", "png"]
    )
    rows = analyze(photos, concurrency=2)
    rows.write_parquet(str(Path(out).absolute()))
    print(ray.data.read_parquet(str(Path(out).absolute())).count(), "rows")
    ray.shutdown()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
