#!/bin/sh
# Builds the engine with AddressSanitizer and UndefinedBehaviorSanitizer beside the checkout, and runs
# tests with it: those of the engine, or what the arguments name. Linux with gcc or clang.
#
#     tests/asan.sh                       the engine's tests
#     tests/asan.sh tests/test_engine.py  others
set -eu
cd "$(dirname "$0")/.."
root=$(pwd)
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
[ $# -gt 0 ] || set -- tests/test_preprocess.py tests/test_turned.py tests/test_boxes.py tests/test_decode.py \
    tests/test_native.py

flags="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g"
CFLAGS="$flags" LDFLAGS="$flags" python setup.py -q build_ext \
    --build-temp "$build/temp" --build-lib "$build/lib"
# The package with the engine that was just built; the checkout's own stays as it is.
for file in fastfer/*; do
    case "$file" in *.so | */__pycache__) ;; *) ln -s "$root/$file" "$build/lib/fastfer/" ;; esac
done

# The interpreter itself is not sanitized, so the runtime must be loaded first; its leaks are none of
# ours. PYTHONMALLOC lets the sanitizer see every allocation.
preload=$(${CC:-gcc} -print-file-name=libasan.so)
sanitized() {
    env PYTHONPATH="$build/lib" PYTHONMALLOC=malloc LD_PRELOAD="$preload" \
        ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 python -P "$@"
}
sanitized -c 'from fastfer import _native; print("sanitized:", _native.__file__)'
sanitized -m pytest -q -p no:cacheprovider "$@"
