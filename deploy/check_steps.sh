#!/usr/bin/env bash
# Runs the steps of the Dockerfile in fresh virtual environments, where no container engine is at
# hand: build, install, size, start as a server, health check, one request, stop.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
unset PYTHONPATH

# What .dockerignore lets into the build.
mkdir "$work/src"
(cd "$root" && tar --exclude=__pycache__ --exclude='*.so' -c cext deploy fastfer LICENSE MANIFEST.in README.md \
  pyproject.toml setup.py) | tar -x -C "$work/src"
python3 -m venv "$work/build" && . "$work/build/bin/activate"
(cd "$work/src" && sh deploy/build.sh "$work/wheels")
deactivate

python3 -m venv "$work/venv" && . "$work/venv/bin/activate"
sh "$work/src/deploy/install.sh" "$work/wheels"
echo "installed: $(du -sm "$work/venv" | cut -f1) MB"

export FASTFER_TOKEN=a-token-of-thirty-two-characters FASTFER_OFFLINE=1 FASTFER_PORT=18765
cd "$work"
fastfer serve --host 0.0.0.0 --port "$FASTFER_PORT" & server=$!
for _ in $(seq 100); do python "$work/src/deploy/healthcheck.py" && break; sleep 0.2; done
python "$work/src/deploy/healthcheck.py"
python - "$root/docs/assets/photo.jpg" <<'PYTHON'
import json, os, sys, urllib.request
request = urllib.request.Request(
    f"http://127.0.0.1:{os.environ['FASTFER_PORT']}/v1/analyze",
    open(sys.argv[1], "rb").read(),
    {"Content-Type": "image/jpeg", "Authorization": f"Bearer {os.environ['FASTFER_TOKEN']}"},
)
print([face["emotion"] for face in json.load(urllib.request.urlopen(request))["results"][0]["faces"]])
PYTHON
kill "$server"; wait "$server" || [ $? -eq 143 ]
server=
echo "the steps of the Dockerfile work"
