"""The image and the composition of containers: their commands run, their parts fit together."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fastfer.cli import serve, studio
from tests.helpers.ports import free_port
from tests.helpers.servers import run_server

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def composition() -> Any:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())


def instructions(name: str) -> list[str]:
    """The arguments of an instruction of the Dockerfile that has the form of a list."""
    found = re.findall(rf"^ *{name} (\[.*\])$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    arguments: list[str] = json.loads(found[-1])
    return arguments


def test_the_commands_are_commands(composition: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTFER_TOKEN", TOKEN)
    assert instructions("ENTRYPOINT")[1:] == ["-m", "fastfer"]
    for command in instructions("CMD"), composition["services"]["studio"]["command"]:
        module = {"serve": serve, "studio": studio}[command[0]]
        args = module.make_parser("fastfer").parse_args(command[1:])
        assert args.host == "0.0.0.0"


def test_the_ports_agree(composition: Any) -> None:
    service = composition["services"]["studio"]
    port = service["command"][service["command"].index("--port") + 1]
    assert service["environment"]["FASTFER_PORT"] == port
    assert [each.split(":")[-1] for each in service["ports"]] == [port]
    assert instructions("CMD")[-1] == "8000"
    assert "FASTFER_PORT=8000" in (DEPLOY / "Dockerfile").read_text()


def test_prometheus_finds_the_studio(composition: Any) -> None:
    yaml = pytest.importorskip("yaml")
    service = composition["services"]["prometheus"]
    source, target, mode = service["volumes"][0].split(":")
    assert (DEPLOY / source).is_file()
    assert mode == "ro"
    assert f"--config.file={target}" in service["command"]
    (job,) = yaml.safe_load((DEPLOY / source).read_text())["scrape_configs"]
    secret = job["authorization"]["credentials_file"].rpartition("/")[2]
    assert secret in service["secrets"]
    assert secret in composition["secrets"]
    (address,) = job["static_configs"][0]["targets"]
    name, port = address.split(":")
    assert composition["services"][name]["environment"]["FASTFER_PORT"] == port
    # The studio answers requests to its name in the composition.
    command = composition["services"][name]["command"]
    assert command[command.index("--allow-host") + 1] == name


def test_files_that_the_image_takes_exist() -> None:
    copied = re.findall(
        r"^COPY (deploy/\S+)|sh (deploy/\S+)", (DEPLOY / "Dockerfile").read_text(), re.M
    )
    assert copied
    for names in copied:
        assert (DEPLOY.parent / (names[0] or names[1])).is_file()


def test_health() -> None:
    def health(port: int) -> int:
        return subprocess.run(
            [sys.executable, str(DEPLOY / "healthcheck.py")], env={"FASTFER_PORT": str(port)}
        ).returncode

    with run_server() as server:
        assert health(server.port) == 0
    port = free_port()
    assert health(port) == 1
