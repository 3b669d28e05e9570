"""How many processors this process may really use."""

from __future__ import annotations

import os
from pathlib import Path


def available(root: Path = Path("/")) -> int:
    """Whole processors for this process: its affinity mask cut down by the cgroup quota.

    A container with two processors' worth of quota on a 64-core host has 2, not 64; threads beyond
    that would only throttle one another. Never below 1. ``root`` is the root of the file system
    (tests move it).
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quota = _cgroup_quota(root)
    return count if quota is None else max(1, min(count, int(quota)))


def _cgroup_quota(root: Path) -> float | None:
    """Processors' worth of time that the cgroup (v1 or v2) and its parents grant, if limited."""
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
            # Inside a container the path may be the host's, which is not mounted: then the
            # loop still reads the mount's own root, where the container's limit shows.
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
