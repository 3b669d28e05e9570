"""Numbers for Prometheus."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.request import urlopen

import pytest

from fastfer.errors import OutputError, UsageError
from fastfer.watch.config import Metrics, parse_config
from fastfer.watch.metrics import MetricsServer
from fastfer.watch.watcher import Watcher
from tests.helpers.errors import raises
from tests.helpers.waiting import wait_until
from tests.helpers.watching import camera, watching


def test_metrics(clip: Path, tmp_path: Path, engine: str, said: list[str]) -> None:
    pytest.importorskip("prometheus_client")
    text = engine + f"[files]\nfolder = '{tmp_path}'\nformat = 'jsonl'\n[metrics]\nport = 0\n"
    text += camera("a", clip) + camera("b", "http://127.0.0.1:9/none")
    with watching(text, said) as watcher:
        assert watcher.metrics is not None
        port = watcher.metrics.port

        def page() -> str:
            with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                found: str = answer.read().decode()
                return found

        wait_until(lambda: 'fastfer_watch_frames_total{camera="a"} 30.0' in page())
        wait_until(lambda: 'fastfer_watch_sent_total{output="files"} 30.0' in page())
        assert 'fastfer_watch_up{camera="b"} 0.0' in page()
        assert 'fastfer_watch_faces_total{camera="a"} 30.0' in page()
        taken = text.replace("port = 0", f"port = {port}")
        with raises(OutputError, "address_in_use"):
            Watcher(parse_config(taken), said.append)


def test_without_prometheus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with raises(UsageError, "missing_package", "fastfer[watch]"):
        MetricsServer(Metrics(port=0), SimpleNamespace(feeds={}, sinks={}))
