#!/bin/sh
# Installs the wheel in the folder $1 with the studio, without pip's cache and without what only
# tests and compilers of extensions need.
set -eu
wheel=$(echo "$1"/fastfer-*.whl)
python -m pip install --quiet --no-cache-dir "$wheel[studio]"
site=$(python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
find "$site" -type d \( -name tests -o -name test -o -name __pycache__ \) -prune -exec rm -rf {} +
rm -rf "$site"/numpy/_core/include "$site"/numpy/f2py "$site"/av/*.c "$site"/pip "$site"/setuptools
fastfer --version
