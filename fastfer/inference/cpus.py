"""The number of processors that this process may use."""

from __future__ import annotations

import os
from pathlib import Path


def available(root: Path = Path("/")) -> int:
    """Processors in the affinity mask, limited by the cgroup quota; at least 1.

    In a container with a quota of two processors on a 64-core host this is 2; more threads would
    be throttled.

    Args:
        root: root of the file system, for tests.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = _cgroup_quota(root)
    return count if quota is None else max(1, min(count, int(quota)))


def _cgroup_quota(root: Path) -> float | None:
    """Processors granted by the cgroup (v1 or v2) and its parents; ``None`` if unlimited."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    mount = root / "sys/fs/cgroup"
    quotas: list[float] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            bases, read = [mount, mount / "unified"], _read_v2
        elif "cpu" in controllers.split(","):
            bases, read = [mount / controllers, mount / "cpu"], _read_v1
        else:
            continue
        for base in bases:
            # Inside a container the path can be the host's, which is not mounted; the limit is
            # then in the root of the mount, which the loop reads last.
            group = base / path.lstrip("/")
            for folder in (group, *group.parents):
                quota = read(folder)
                if quota is not None:
                    quotas.append(quota)
                if folder == base:
                    break
    return min(quotas, default=None)


def _read_v2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _read_v1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
        return quota / period if quota > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
