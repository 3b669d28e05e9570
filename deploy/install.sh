#!/bin/sh
# Installs the wheel in the folder $1 with the studio into the folder $2, without what only tests,
# compilers and other programs need. Needs strip (Debian: binutils).
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
# Bytecode of the modules that a server imports, so that it starts faster.
PYTHONPATH=$site python -c "import fastfer.server.run, fastfer.studio, fastfer.pipeline, av, cv2, onnxruntime"
PYTHONPATH=$site python -m fastfer --version
