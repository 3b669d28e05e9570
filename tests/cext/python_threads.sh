#!/bin/sh
# Builds the package with ThreadSanitizer in a temporary folder and runs tests against it in which
# threads of Python call the engine: several at once, detection ahead of tracking, decoding ahead.
# Or the tests that the arguments name. Linux with gcc; pip fetches setuptools and Cython.
#
# The interpreter, NumPy, OpenCV and ONNX Runtime are not sanitized: races inside them are not seen,
# those of the engine with itself are. The lock of the interpreter is, as a mutex.
set -eu
cd "$(dirname "$0")/../.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
[ $# -gt 0 ] || set -- tests/pipeline/test_prefetched_detection.py \
    tests/tracking/test_detection_prefetch.py tests/kernels/test_pack.py \
    tests/kernels/test_feature_maps.py tests/test_engine.py -k "thread or prefetch"

mkdir "$build/source"
cp -R cext fastfer setup.py pyproject.toml README.md LICENSE "$build/source"
rm -f "$build"/source/fastfer/*.so
flags="-fsanitize=thread -fno-omit-frame-pointer -g"
CFLAGS="$flags" LDFLAGS="$flags" python -m pip install --quiet --disable-pip-version-check \
    --no-deps --target "$build/lib" "$build/source"

preload=$(${CC:-gcc} -print-file-name=libtsan.so)
sanitized() {
    env PYTHONPATH="$build/lib" LD_PRELOAD="$preload" \
        TSAN_OPTIONS="report_signal_unsafe=0 ignore_noninstrumented_modules=1 exitcode=66" \
        setarch "$(uname -m)" -R python -P "$@"
}
sanitized -c 'from fastfer import _native; print("sanitized:", _native.__file__)'
sanitized -m pytest -q -p no:cacheprovider "$@"
