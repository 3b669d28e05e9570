#!/usr/bin/env bash
# Installs a wheel in a fresh environment without a compiler on PATH and analyses the first photo:
#
#     tests/packaging/first_photo.sh fastfer-*.whl [PHOTO [OPTION OF PIP...]]
#
# Prints the seconds of each step. "--no-cache-dir" downloads every dependency again.
set -euo pipefail
wheel=$(realpath "$1")
photo=$(realpath "${2:-$(dirname "$0")/../../docs/assets/photo.jpg}")
shift $(($# < 2 ? $# : 2))
work=$(mktemp -d)
trap '/bin/rm -rf "$work"' EXIT
unset PYTHONPATH CC CXX
export PIP_DISABLE_PIP_VERSION_CHECK=1
python3 -m venv "$work/venv"
PATH=$work/venv/bin
cd "$work"
for tool in cc gcc c99 clang cl tcc make cmake; do
    if command -v "$tool"; then echo "a compiler is on PATH" >&2; exit 1; fi
done

seconds() { # NAME COMMAND...: runs it and prints the time that it took
    local name=$1 before=$EPOCHREALTIME micros
    shift
    "$@"
    micros=$((${EPOCHREALTIME/./} - ${before/./}))
    printf '%s: %d.%03d s\n' "$name" $((micros / 1000000)) $((micros / 1000 % 1000))
}
both() {
    seconds "pip install" pip install --quiet "$@" "$wheel"
    seconds "first photo" fastfer image "$photo"
}
seconds "from wheel to faces" both "$@"
seconds "second photo" fastfer image "$photo"
