"""Jobs as folders: what a sweep may change, and what is counted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from prometheus_client import REGISTRY

from fastfer.server.job_store import JobStore, update_state
from fastfer.server.settings import ServerSettings
from tests.helpers.waiting import wait_until


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path, ServerSettings())


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("fastfer_jobs_total", {"outcome": outcome}) or 0.0


def test_a_job_that_ends_during_a_sweep_has_not_crashed(
    store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = store.new({})
    update_state(tmp_path / "jobs" / job, state="running", pid=1)

    def ends_now(name: str, state: dict[str, Any]) -> bool:
        update_state(tmp_path / "jobs" / name, state="done", ended=2.0**40)
        return False

    monkeypatch.setattr(store, "_is_running", ends_now)
    crashed = counted("crashed")
    store.sweep()
    assert store.status(job)["state"] == "done"
    assert counted("crashed") == crashed


def test_a_job_whose_process_has_gone_has_crashed(store: JobStore, tmp_path: Path) -> None:
    job = store.new({})
    update_state(tmp_path / "jobs" / job, state="running", pid=2**22 + 1)
    store.sweep()
    assert store.status(job)["error_code"] == "decoder_crashed"


def test_processes_that_have_ended_are_reaped(
    store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = shutil.which("true")
    if program is None:
        pytest.skip("there is no program that ends at once")
    monkeypatch.setattr("fastfer.server.job_store.sys.executable", program)
    job = store.new({})
    store.submit(job)
    (process,) = store._children.values()
    update_state(tmp_path / "jobs" / job, state="done", ended=2.0**40)

    def reaped() -> bool:
        store.sweep()
        return process.returncode is not None

    wait_until(reaped)
    assert not store._children


def test_an_upload_that_failed_is_no_removed_job(store: JobStore) -> None:
    before = counted("removed")
    store.remove(store.new({}))
    assert counted("removed") == before
