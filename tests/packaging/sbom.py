"""Write a software bill of materials: ``python tests/packaging/sbom.py PYTHON OUT.json``.

PYTHON is the interpreter of an environment in which fastfer is installed. The file is CycloneDX
JSON: the installed packages by cyclonedx-py (``pip install cyclonedx-bom``), and the bundled
networks with hashes and terms from the manifest.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BUILD_TOOLS = {"pip", "setuptools", "wheel"}
"""Packages of every virtual environment, on which fastfer does not depend."""
READ_MANIFEST = """
import json
from dataclasses import asdict
from fastfer.models import manifest
print(json.dumps({
    name: asdict(model) for name, model in manifest.read().items()
    if (manifest.FOLDER / name).is_file()
}))
"""


def packages(python: str) -> dict[str, Any]:
    """What cyclonedx-py writes about the environment of ``python``."""
    command = ["cyclonedx-py", "environment", "--pyproject", str(ROOT / "pyproject.toml")]
    command += ["--output-reproducible", "--spec-version", "1.6", "--of", "JSON", python]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    bom: dict[str, Any] = json.loads(done.stdout)
    bom["components"] = [c for c in bom["components"] if c["name"] not in BUILD_TOOLS]
    kept = {c["bom-ref"] for c in bom["components"]} | {bom["metadata"]["component"]["bom-ref"]}
    bom["dependencies"] = [
        entry | {"dependsOn": [ref for ref in entry.get("dependsOn", []) if ref in kept]}
        for entry in bom.get("dependencies", [])
        if entry["ref"] in kept
    ]
    return bom


def network(name: str, entry: dict[str, Any], version: str) -> dict[str, Any]:
    """The component of a bundled network."""
    return {
        "type": "machine-learning-model",
        "bom-ref": f"network:{name}",
        "name": name,
        "version": version,
        "hashes": [{"alg": "SHA-256", "content": entry["sha256"]}],
        "licenses": [{"license": {"id": "MIT"}}],
        "description": f"{entry['recipe']}, trained on: {entry['data']}; {entry['terms']}",
        "properties": [{"name": "fastfer:commit", "value": entry["commit"]}],
    }


def main() -> int:
    """Write the file; returns 0."""
    python, out = sys.argv[1:]
    bom = packages(python)
    done = subprocess.run(
        [python, "-P", "-c", READ_MANIFEST], stdout=subprocess.PIPE, text=True, check=True
    )
    version = bom["metadata"]["component"]["version"]
    networks = [network(name, entry, version) for name, entry in json.loads(done.stdout).items()]
    bom["components"] += networks
    own = bom["metadata"]["component"]["bom-ref"]
    for entry in bom["dependencies"]:
        if entry["ref"] == own:
            entry["dependsOn"] = [*entry["dependsOn"], *(n["bom-ref"] for n in networks)]
    bom["dependencies"] += [{"ref": n["bom-ref"]} for n in networks]
    Path(out).write_text(json.dumps(bom, indent=2) + "\n", encoding="utf-8")
    print(f"{out}: {len(bom['components'])} components, {len(networks)} of them networks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
