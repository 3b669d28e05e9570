"""TensorFlow starts without messages."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("before", ["", "training.expression.export.check_packages(); "])
def test_commands_print_nothing_of_tensorflow(before):
    code = (
        f"import training.expression.export; {before}import tensorflow as tf; tf.constant(1.0); "
        "import sys; print('to stderr', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "to stderr\n"
