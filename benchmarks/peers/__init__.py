"""Other programs compared with fastfer, on the same photos and clips in one run: ``python -m
benchmarks.peers``.

``environments`` installs each peer into a virtual environment of its own; ``worker`` runs inside it
with a class of ``adapters``; ``measure`` starts workers and collects their figures; ``limits``
measures what the machine allows; ``page`` and ``charts`` write them down.
"""
