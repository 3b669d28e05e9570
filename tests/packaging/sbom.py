"""Write a software bill of materials: ``python tests/packaging/sbom.py PYTHON OUT.json``.

PYTHON is the interpreter of an environment in which fastfer is installed. The file is CycloneDX
JSON: the packages that fastfer needs at run time, without extras, as cyclonedx-py (``pip install
cyclonedx-bom``) finds them, and the bundled networks with hashes and terms from the manifest.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
READ_REQUIREMENTS = """
import json, re
from importlib.metadata import requires
needed = [r for r in requires("fastfer") or [] if "extra ==" not in r]
print(json.dumps([re.match("[A-Za-z0-9._-]+", r)[0].lower().replace("_", "-") for r in needed]))
"""
"""cyclonedx-py reads pyproject.toml, where the dependencies are dynamic."""
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
    known = {c["name"].lower().replace("_", "-"): c["bom-ref"] for c in bom["components"]}
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in bom["dependencies"]}
    root = bom["metadata"]["component"]["bom-ref"]
    needs[root] = sorted(known[name] for name in _printed(python, READ_REQUIREMENTS))
    kept, waiting = {root}, [root]
    while waiting:
        new = set(needs.get(waiting.pop(), ())) - kept
        kept |= new
        waiting += new
    bom["components"] = [c for c in bom["components"] if c["bom-ref"] in kept]
    bom["dependencies"] = [{"ref": ref, "dependsOn": needs.get(ref, [])} for ref in sorted(kept)]
    return bom


def _printed(python: str, code: str) -> Any:
    """The JSON that ``code`` prints in the environment of ``python``."""
    command = [python, "-P", "-c", code]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


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
    version = bom["metadata"]["component"]["version"]
    entries = _printed(python, READ_MANIFEST)
    networks = [network(name, entry, version) for name, entry in entries.items()]
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
