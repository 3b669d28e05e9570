"""Average the weights of networks that were fine-tuned from one another:
``python -m training.average_weights A B --shares 0.3 0.7 --out C.keras``.

The average is often more accurate than each (Wortsman et al., Model soups, 2022).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastfer.cli.arguments import CommandParser
from fastfer.errors import UsageError
from training.common.options import amount, run_command
from training.common.output_files import check_output, new_file


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(prog="python -m training.average_weights", description=__doc__)
    p.add_argument("networks", type=Path, nargs="+", help="run folders or .keras files")
    p.add_argument(
        "--shares", type=amount, nargs="+", help="weight of each network (default: equal)"
    )
    p.add_argument("--out", type=Path, required=True, help="the .keras file to write")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options.networks, options.shares, options.out))


def _run(networks: Sequence[Path], shares: Sequence[float] | None, out: Path) -> int:
    # Importing the networks registers what their files name.
    import training.detector.network
    import training.refiner.network  # noqa: F401
    from training.common.run_folder import load_network

    shares = shares or [1.0] * len(networks)
    if len(shares) != len(networks):
        raise UsageError(f"--shares: {len(shares)} for {len(networks)} networks, expected one each")
    if not sum(shares):
        raise UsageError("--shares: all are 0")
    check_output("--out", out, ".keras")
    for path in networks:
        if path.is_file() and path.suffix != ".keras":
            raise UsageError(f"{path}: expected a run folder or .keras file")
    models = [load_network(path) for path in networks]
    weights = [model.get_weights() for model in models]
    for path, arrays in zip(networks, weights, strict=True):
        if [w.shape for w in arrays] != [w.shape for w in weights[0]]:
            raise UsageError(f"{path}: the weights have other shapes than those of {networks[0]}")
    parts = np.array(shares) / sum(shares)
    models[0].set_weights(
        [
            np.tensordot(parts, np.stack(same), 1).astype(same[0].dtype)
            for same in zip(*weights, strict=True)
        ]
    )
    with new_file(out) as file:
        models[0].save(file)
    shown = ", ".join(f"{part:.3g} of {path}" for part, path in zip(parts, networks, strict=True))
    print(f"{out}: {shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
