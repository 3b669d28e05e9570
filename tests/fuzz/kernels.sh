#!/bin/sh
# Builds kernels.c with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer, and runs it.
# Needs clang and its runtime (Debian: clang, libclang-rt-dev); without them it says so and ends with 0.
#
#     tests/fuzz/kernels.sh                        5 seconds
#     tests/fuzz/kernels.sh -max_total_time=300    options of libFuzzer
#     SANITIZE=thread tests/fuzz/kernels.sh        another sanitizer
set -eu
cd "$(dirname "$0")/../.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
clang=${CLANG:-clang}
sanitizers=${SANITIZE:-address,undefined}
flags="-std=c11 -g -O2 -fsanitize=fuzzer,$sanitizers -fno-sanitize-recover=all"
if ! echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d == 0 && n; }' |
    "$clang" -x c $flags -o "$build/probe" - 2> "$build/error"; then
    echo "kernels.sh: skipped, $clang cannot build a fuzzer: $(tail -n 1 "$build/error")"
    exit 0
fi
sources=$(ls cext/ff_*.c)
# shellcheck disable=SC2086
"$clang" $flags -ffp-contract=off -Icext -o "$build/fuzz" tests/fuzz/kernels.c $sources -lm
mkdir "$build/corpus"
[ $# -gt 0 ] || set -- -max_total_time=5
cd "$build"
./fuzz -max_len=768 -timeout=60 -print_final_stats=1 "$@" corpus "$OLDPWD/tests/fuzz/corpus/kernels"
