#!/usr/bin/env bash
# Runs the steps of the Dockerfile where no container engine is at hand: build and install with a
# Python 3.11, size, start as a server, health check, one request, stop.
#
# With a folder as argument, the server runs in a copy of it under chroot (needs root). The folder
# holds what the last stage starts from: Debian 12's packages python3.11-minimal,
# libpython3.11-stdlib, libstdc++6, ca-certificates, tzdata, netbase and what these need.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
base=${1:-}
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
unset PYTHONPATH
chmod 755 "$work"

# What .dockerignore lets into the build.
mkdir "$work/src"
(cd "$root" && tar --exclude=__pycache__ --exclude='*.so' -c cext deploy fastfer LICENSE MANIFEST.in README.md \
  pyproject.toml setup.py) | tar -x -C "$work/src"
python3.11 -m venv "$work/build" && . "$work/build/bin/activate"
(cd "$work/src" && sh deploy/build.sh "$work/wheels")
opt=$work/image/opt/fastfer
mkdir -p "$opt"
sh "$work/src/deploy/install.sh" "$work/wheels" "$opt"
size() { du -s --apparent-size --block-size=MB "$1" | cut -f1; }
echo "fastfer and its dependencies: $(size "$opt")"
deactivate

export FASTFER_TOKEN=a-token-of-thirty-two-characters FASTFER_OFFLINE=1 FASTFER_PORT=18765
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$opt
run=(python3.11)
if [ -n "$base" ]; then
    echo "base: $(size "$base")"
    cp -a "$base/." "$work/image"
    echo "image: $(size "$work/image")"
    mkdir -p "$work/image/dev" "$work/image/tmp"
    chmod 1777 "$work/image/tmp"
    mknod -m 666 "$work/image/dev/null" c 1 3
    mknod -m 666 "$work/image/dev/urandom" c 1 9
    PYTHONPATH=/opt/fastfer
    run=(chroot --userspec=65532:65532 "$work/image" /usr/bin/python3.11)
fi
cd "$work"
"${run[@]}" -m fastfer serve --host 0.0.0.0 --port "$FASTFER_PORT" & server=$!
check() { env -u PYTHONPATH python3.11 "$work/src/deploy/healthcheck.py"; }
for _ in $(seq 300); do check && break; sleep 0.2; done
check
env -u PYTHONPATH python3.11 - "$root/docs/assets/photo.jpg" <<'PYTHON'
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
