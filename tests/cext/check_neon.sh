#!/bin/sh
# Cross-compiles the engine for 64-bit ARM, compares NEON with the scalar kernels under an emulator,
# and both with the kernels of this machine.
# Needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user (Debian package names).
set -eu
cd "$(dirname "$0")/../.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
rounds=${1:-300}
flags="-std=c11 -O3 -ffp-contract=off -Wall -Wextra -Werror -Icext"
aarch64-linux-gnu-gcc $flags -static tests/cext/check_kernels.c cext/ff_*.c -o "$build/arm" -lm
${CC:-cc} $flags tests/cext/check_kernels.c cext/ff_*.c -o "$build/native" -lm
arm=$(qemu-aarch64 "$build/arm" "$rounds")
native=$("$build/native" "$rounds")
if [ "$arm" != "$native" ]; then
    echo "hashes differ: 64-bit ARM $arm, this machine $native" >&2
    exit 1
fi
echo "same bytes on both: $arm"
