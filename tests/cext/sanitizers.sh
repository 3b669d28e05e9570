#!/bin/sh
# Builds the package with AddressSanitizer and UndefinedBehaviorSanitizer in a temporary folder and
# runs tests against it: those of the kernels, or the ones that the arguments name. Linux with gcc or
# clang; pip fetches setuptools and Cython, so the environment needs neither.
#
#     tests/cext/sanitizers.sh                       tests/kernels
#     tests/cext/sanitizers.sh tests/test_engine.py  others
set -eu
cd "$(dirname "$0")/../.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
[ $# -gt 0 ] || set -- tests/kernels

# A copy, because setuptools would reuse the objects of an earlier build in the checkout.
mkdir "$build/source"
cp -R cext fastfer setup.py pyproject.toml README.md LICENSE "$build/source"
rm -f "$build"/source/fastfer/*.so
flags="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g"
CFLAGS="$flags" LDFLAGS="$flags" python -m pip install --quiet --disable-pip-version-check \
    --no-deps --target "$build/lib" "$build/source"

# The interpreter is not sanitized, so the runtime must be loaded first, and its leaks are ignored.
# PYTHONMALLOC=malloc lets the sanitizer see every allocation.
preload=$(${CC:-gcc} -print-file-name=libasan.so)
sanitized() {
    env PYTHONPATH="$build/lib" PYTHONMALLOC=malloc LD_PRELOAD="$preload" \
        ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 python -P "$@"
}
sanitized -c 'from fastfer import _native; print("sanitized:", _native.__file__)'
sanitized -m pytest -q -p no:cacheprovider "$@"
