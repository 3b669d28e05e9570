#!/bin/sh
# Calls the kernels under Valgrind's memcheck (tests/cext/kernel_calls.py), or runs the tests that
# the arguments name, and counts the reports that have the engine in their stack. The engine must be
# built (pip install -e .). Debian: valgrind, which has no AVX-512.
set -eu
cd "$(dirname "$0")/../.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ $# -gt 0 ]; then set -- -m pytest -v -p no:cacheprovider "$@"; else set -- -m tests.cext.kernel_calls; fi
code=0
# The allocator of Python would hide errors inside its blocks.
PYTHONMALLOC=malloc PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 \
    valgrind --error-limit=no --num-callers=20 --log-file="$log" python "$@" || code=$?
python - "$log" <<'END' || code=$?
import re, sys
# Of the first process alone; the others are not those that run the tests.
lines = open(sys.argv[1], errors="replace").read().splitlines()
first = lines[0].split()[0]
text = "\n".join(line[len(first) + 1 :] for line in lines if line.startswith(first))
stacks = [part for part in re.split(r"\n\s*\n", text) if re.search(r"^   at 0x", part, re.M)]
ours = [part for part in stacks if re.search(r"fastfer/_native|\(_native\.c|\(ff_\w+\.c", part)]
print(f"{len(stacks)} reports, {len(ours)} with the engine in their stack")
print(*ours, sep="\n\n")
sys.exit(bool(ours))
END
exit "$code"
