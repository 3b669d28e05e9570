"""How a run of the face detector's networks is started, gone on with and trained: AdamW, averaged
weights, a checkpoint after every epoch."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastfer.errors import UsageError
from training.common import precision
from training.common.options import (
    amount,
    how_to_go_on,
    momentum,
    refuse_changes,
    resume_command,
    run_command,
    whole,
)

if TYPE_CHECKING:
    import keras

Config = dict[str, Any]
State = dict[str, Any] | None
# What may be said again on --resume: where things lie now. All else comes from the run itself.
RESUMED = ("out", "resume", "data")


def add_run_options(p: argparse.ArgumentParser) -> None:
    """Those of a run's folder."""
    p.add_argument("--out", type=Path, help="folder of the run")
    p.add_argument("--resume", action="store_true", help="go on with the run in --out")
    p.add_argument("--init", metavar="RUN", help="begin with the weights of a run or .keras file")


def add_fit_options(p: argparse.ArgumentParser, *, learning_rate: float) -> None:
    """Those of the optimizer."""
    p.add_argument(
        "--learning-rate", type=amount, default=learning_rate, help="of AdamW, at its peak"
    )
    p.add_argument("--weight-decay", type=amount, default=0.01, help="decoupled")
    p.add_argument("--schedule", choices=("cosine", "one-cycle"), default="cosine")
    p.add_argument("--ema", type=momentum, default=0.998, help="momentum of averaged weights")
    p.add_argument("--seed", type=whole(0), default=0, help="of weights and samples")
    precision.add_option(p)


def run(
    module: str,
    parser: argparse.ArgumentParser,
    options: argparse.Namespace,
    data: str,
    check: Callable[[Config], object],
    train: Callable[[Path, Config, State], int],
) -> int:
    """Start the run that ``options`` ask for, or go on with it; returns the command's exit code.

    Args:
        module: of the command.
        parser: of ``options``.
        options: with those of :func:`add_run_options` and ``data``.
        data: what ``--data`` is, for a message.
        check: raises UsageError for what is wrong with a configuration.
        train: does it, from a state on.
    """

    def start_or_resume() -> int:
        if options.out is None:
            raise UsageError("--out is needed: the folder of the run")
        if options.resume:
            return _resume(parser, options, train)
        if options.data is None:
            raise UsageError(f"--data is needed: {data}")
        return _start(module, options, check, train)

    return run_command(start_or_resume, lambda: how_to_go_on(module, options.out))


def _start(
    module: str,
    options: argparse.Namespace,
    check: Callable[[Config], object],
    train: Callable[[Path, Config, State], int],
) -> int:
    from training.common.run_folder import CONFIG, LAST, environment, write_json

    if (options.out / LAST).exists():
        raise UsageError(
            f"{options.out} holds a run already. Go on with it by "
            f"{resume_command(module, options.out)}, or choose another --out"
        )
    config = {k: v for k, v in vars(options).items() if k not in ("out", "resume")}
    check(config)
    config["precision"] = precision.resolve(config["precision"])
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / CONFIG, {**config, "environment": environment()})
    return train(options.out, config, None)


def _resume(
    parser: argparse.ArgumentParser,
    options: argparse.Namespace,
    train: Callable[[Path, Config, State], int],
) -> int:
    from training.common.run_folder import CONFIG, read_json, read_state

    refuse_changes(parser, options, RESUMED)
    config = read_json(options.out / CONFIG)
    if options.data:
        config["data"] = options.data
    state = read_state(options.out)
    if state and state["epoch"] >= config["epochs"]:
        print(f"{options.out}: finished after {state['epoch']} epochs")
        return 0
    return train(options.out, config, state)


def prepare(
    config: Config,
    folder: Path,
    state: State,
    *,
    build: Callable[[], keras.Model],
    load: Callable[..., keras.Model],
    loss: keras.losses.Loss,
    metrics: list[Callable[..., Any]],
    steps: int,
) -> keras.Model:
    """The network of a run, compiled: as its ``state`` left it, else as ``build`` makes it, with
    the weights of ``--init``. An epoch has ``steps`` steps."""
    import keras

    from training.common.run_folder import LAST, take_weights

    if state:
        model = load(folder / LAST, compile=True)
    else:
        model = build()
        if config["init"]:
            begin = Path(config["init"])
            take_weights(model, load(begin), f"--init {begin}")
        _compile(model, config, loss, metrics, steps)
    print(
        f"{model.count_params():,} parameters; {keras.backend.backend()}, {config['precision']}",
        flush=True,
    )
    return model


def _compile(
    model: keras.Model,
    config: Config,
    loss: keras.losses.Loss,
    metrics: list[Callable[..., Any]],
    steps: int,
) -> None:
    import keras

    from training.common.schedules import learning_rate

    average = {"use_ema": True, "ema_momentum": config["ema"]} if config["ema"] else {}
    model.compile(
        keras.optimizers.AdamW(
            learning_rate(config["schedule"], config["learning_rate"], config["epochs"], steps),
            weight_decay=config["weight_decay"],
            clipnorm=10.0,
            **average,
        ),
        loss=loss,
        metrics=metrics,
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    # A checkpoint written before the first step holds all the variables, too.
    model.optimizer.build(model.trainable_variables)


def fit(
    model: keras.Model, config: Config, folder: Path, state: State, batches: Any, validation: Any
) -> None:
    """Train from the ``state`` on to the last epoch, and draw the curves, come what may."""
    from training.common import plots
    from training.common.averaging import AveragedWeights
    from training.common.run_folder import RunKeeper

    start = state["epoch"] if state else 0
    keeper = RunKeeper(folder, config["epochs"], config["seed"], [], state)
    try:
        model.fit(
            batches,
            validation_data=validation,
            initial_epoch=start,
            epochs=config["epochs"],
            shuffle=False,
            callbacks=[*([AveragedWeights(averaged=start > 0)] if config["ema"] else []), keeper],
            verbose=0,
        )
    finally:
        plots.curves(keeper.log, folder / "curves.png")
