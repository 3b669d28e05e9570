#!/bin/sh
# Cross-compiles the module for 64-bit ARM and runs tests of the kernels in an ARM Python under
# qemu-user: tests/cext/arm64_python.sh ROOT SITE [TEST...]
#
# ROOT: Debian's arm64 packages python3.11, libpython3.11-dev and what they need, unpacked by
# dpkg-deb -x. SITE: the test's packages for ARM,
#     pip install --target SITE --only-binary :all: --platform manylinux_2_28_aarch64 \
#         --python-version 3.11 numpy opencv-python-headless onnxruntime av pooch tqdm pytest hypothesis
# Needs gcc-aarch64-linux-gnu and qemu-user-static (Debian), and Cython. Tests that start processes
# need binfmt_misc.
set -eu
root=$(realpath "$1") site=$(realpath "$2")
shift 2
cd "$(dirname "$0")/../.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
cp -r fastfer tests "$build"
rm -f "$build"/fastfer/_native.*.so
python3 -m cython -3 cext/_native.pyx -o "$build/_native.c"
aarch64-linux-gnu-gcc -std=c11 -O3 -fstrict-overflow -ffp-contract=off -shared -fPIC -DNDEBUG \
    -DPy_LIMITED_API=0x030B0000 -Icext -I"$root/usr/include/python3.11" -I"$root/usr/include" \
    "$build/_native.c" cext/ff_*.c -o "$build/fastfer/_native.abi3.so"
cd "$build"
export PYTHONPATH="$build:$site" PYTHONDONTWRITEBYTECODE=1
arm() { qemu-aarch64-static -L "$root" "$root/usr/bin/python3.11" "$@"; }
arm -c 'import platform; from fastfer.kernels import backend; print(platform.machine(), backend.available())'
[ $# -gt 0 ] || set -- tests/kernels/test_boxes.py tests/kernels/test_feature_maps.py \
    tests/kernels/test_rotate.py tests/kernels/test_pack.py tests/kernels/test_reference.py
arm -m pytest -q -p no:cacheprovider "$@"
