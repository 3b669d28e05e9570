"""Long measurements, started by hand: `python -m tests.soak.NAME`. They print their figures."""
