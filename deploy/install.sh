#!/bin/sh
# Installs the wheel in the folder $1 with the studio into the folder $2, without what only tests,
# compilers and other programs need. Needs gcc and strip (Debian: gcc, binutils).
set -eu
site=$2
python -m pip install --quiet --no-cache-dir --no-compile --target "$site" "$(echo "$1"/fastfer-*.whl)[studio]"
find "$site" -type d \( -name tests -o -name test -o -name __pycache__ \) -prune -exec rm -rf {} +
find "$site" -type f \( -name '*.c' -o -name '*.h' -o -name '*.a' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pyi' \) -delete
rm -rf "$site"/bin "$site"/numpy/_core/include "$site"/numpy/f2py "$site"/onnxruntime/transformers \
    "$site"/onnxruntime/quantization "$site"/onnxruntime/tools
# ONNX Runtime for programs in C; the module for Python contains the same code.
rm -f "$site"/onnxruntime/capi/libonnxruntime.so.*
# Debug symbols. Libraries in folders *.libs have been edited by auditwheel; strip would damage them.
for package in av httptools uvloop; do
    find "$site/$package" -name '*.so' -exec strip --strip-unneeded {} +
done
# PyAV's encoder for HEVC, 20 MB, which fastfer never uses: a library whose functions return NULL, so
# that FFmpeg reports an error if it is asked for.
for lib in "$site"/av.libs/libx265-*; do
    [ -e "$lib" ] || continue
    nm -D --undefined-only "$site"/av.libs/libavcodec-* |
        awk '$2 ~ /^x265_/ {print "void *" $2 "(void) {return 0;}"}' |
        gcc -shared -s -x c -Wl,-soname,"$(basename "$lib")" -o "$lib" -
done
# Bytecode of the modules that a server imports, so that it starts faster.
PYTHONPATH=$site python -c "import fastfer.server.run, fastfer.studio, fastfer.pipeline, av, cv2, onnxruntime"
PYTHONPATH=$site python -m fastfer --version
