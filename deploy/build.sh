#!/bin/sh
# Builds the wheel of this checkout into the folder $1, with headless OpenCV as its dependency.
set -eu
FASTFER_HEADLESS=1 python -m pip wheel --quiet --no-cache-dir --no-deps --wheel-dir "$1" .
