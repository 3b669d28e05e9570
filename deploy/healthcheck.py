"""Exit code 0 if the server of this container is ready."""

import os
import sys
import urllib.request

port = os.environ.get("FASTFER_PORT", "8000")
try:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
        sys.exit(answer.status != 200)
except OSError:
    sys.exit(1)
