"""TensorFlow starts without messages."""

from __future__ import annotations

import subprocess
import sys


def test_commands_print_nothing_of_tensorflow():
    code = (
        "import training.expression.architectures, tensorflow as tf; tf.constant(1.0); "
        "import sys; print('to stderr', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "to stderr\n"
