#!/bin/sh
# Builds threads.c with ThreadSanitizer and runs it: the kernels share nothing but what they read.
# CC is gcc or clang. setarch switches address randomisation off, which old runtimes do not bear.
set -eu
cd "$(dirname "$0")/../.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
"${CC:-gcc}" -std=c11 -g -O1 -fsanitize=thread -ffp-contract=off -Icext -o "$build/threads" \
    tests/cext/threads.c cext/ff_*.c -lm -lpthread
setarch "$(uname -m)" -R "$build/threads"
