"""Ray Data on a local cluster of two workers gives the table of one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="needs ray, of the extra cluster")

from tests.helpers.batch_jobs import rows, run  # noqa: E402


def test_two_workers_give_the_table_of_one_process(
    album: Path, tmp_path: Path, real_engine: dict[str, Any]
) -> None:
    from fastfer.batch.ray import analyze

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        photos = ray.data.read_binary_files(str(album), include_paths=True)
        analyze(photos, concurrency=2, batch_size=4, **real_engine).write_parquet(
            str(tmp_path / "ray")
        )
    finally:
        ray.shutdown()
    run([album], tmp_path / "one.parquet", real_engine)
    assert rows(tmp_path / "ray") == rows(tmp_path / "one.parquet")
