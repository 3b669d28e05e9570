"""Processors under affinity masks and cgroup quotas, in generated file systems."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastfer.inference import cpus

GRANTED = cpus.available(Path("/nowhere"))


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def quota(root: Path) -> float | None:
    return cpus._cgroup_quota(root)


def test_without_cgroups_the_affinity_mask_applies() -> None:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert count == GRANTED


def test_this_machine() -> None:
    assert 1 <= cpus.available() <= GRANTED


@pytest.mark.parametrize(
    ("text", "want"),
    [("150000 100000\n", 1.5), ("max 100000\n", None), ("junk", None), ("1 0", None)],
)
def test_version_2(tmp_path: Path, text: str, want: float | None) -> None:
    files = {"proc/self/cgroup": "0::/app\n", "sys/fs/cgroup/app/cpu.max": text}
    assert quota(tree(tmp_path, files)) == want


def test_a_parent_with_a_smaller_quota(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/outer/inner\n",
        "sys/fs/cgroup/outer/inner/cpu.max": "400000 100000",
        "sys/fs/cgroup/outer/cpu.max": "200000 100000",
    }
    assert quota(tree(tmp_path, files)) == 2


def test_the_path_of_the_host_inside_a_container(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/docker/0123\n",
        "sys/fs/cgroup/cpu.max": "50000 100000",
    }
    assert quota(tree(tmp_path, files)) == 0.5
    assert cpus.available(tmp_path) == 1


@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
def test_version_1(tmp_path: Path, mount: str) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/app\n3:cpu,cpuacct:/app\n0::/\n",
        f"sys/fs/cgroup/{mount}/app/cpu.cfs_quota_us": "300000",
        f"sys/fs/cgroup/{mount}/app/cpu.cfs_period_us": "100000",
        f"sys/fs/cgroup/{mount}/cpu.cfs_quota_us": "-1",
        f"sys/fs/cgroup/{mount}/cpu.cfs_period_us": "100000",
    }
    assert quota(tree(tmp_path, files)) == 3
    assert cpus.available(tmp_path) == min(GRANTED, 3)
