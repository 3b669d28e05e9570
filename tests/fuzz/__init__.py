"""Fuzzing: mutated files and arguments, checked against what the threat model promises.

``python -m tests.fuzz.run`` runs the targets for a number of cases or seconds, ``kernels.sh`` the C
entry points under libFuzzer; ``test_fuzz.py`` runs a few seconds of each.
"""
