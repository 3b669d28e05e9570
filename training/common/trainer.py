"""The training loop of every network: start or resume a run, compile, fit, keep the best epoch."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from fastfer.errors import UsageError
from training.common import precision
from training.common.config import TrainingConfig
from training.common.options import (
    amount,
    momentum,
    refuse_changes,
    resume_advice,
    resume_command,
    run_command,
    whole,
)

if TYPE_CHECKING:
    import keras

    from training.common.run_folder import State

C = TypeVar("C", bound=TrainingConfig)


@dataclass(frozen=True)
class Run(Generic[C]):
    """A run that starts, or continues from ``state``."""

    folder: Path
    config: C
    state: State | None

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return self.state["epoch"] if self.state else 0


@dataclass(frozen=True)
class Training(Generic[C]):
    """What differs between the training commands."""

    command: str
    """Module of the command, for messages: ``training.train``."""
    config: type[C]
    configure: Callable[[argparse.Namespace], C]
    """Checks the options of a new run; raises UsageError."""
    train: Callable[[Run[C]], None]
    data: str
    """What ``--data`` names, for a message."""
    relocatable: tuple[str, ...] = ("data",)
    """Files that ``--resume`` accepts again, because they may have moved."""

    def main(self, parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
        """Start the run in ``options.out``, or resume it; returns the exit code."""
        return run_command(
            lambda: self._resume(parser, options) if options.resume else self._start(options),
            lambda: resume_advice(self.command, options.out),
        )

    def _start(self, options: argparse.Namespace) -> int:
        if options.data is None:
            raise UsageError(f"--data is needed: {self.data}")
        if options.out is None:
            raise UsageError("--out is needed: the folder of the run")

        from training.common.output_files import write_json
        from training.common.run_folder import CONFIG, LAST, environment

        folder: Path = options.out
        if (folder / LAST).exists():
            raise UsageError(
                f"{folder} already holds a run; resume it with "
                f"{resume_command(self.command, folder)}, or choose another --out"
            )
        config = self.configure(options)
        config = replace(config, precision=precision.resolve(config.precision))
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / CONFIG, {**asdict(config), "environment": environment()})
        self.train(Run(folder, config, None))
        return 0

    def _resume(self, parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
        if options.out is None:
            raise UsageError("--resume needs --out: the folder of the run")
        refuse_changes(parser, options, ("out", "resume", *self.relocatable))

        from training.common.run_folder import read_config_json, read_state

        config = self.config.from_json(read_config_json(options.out))
        moved = {k: getattr(options, k) for k in self.relocatable if getattr(options, k)}
        config = replace(config, **moved)
        # None if the run was stopped before its first checkpoint.
        state = read_state(options.out)
        if state and (state["epoch"] >= config.epochs or state["stopped"]):
            epochs = state["epoch"]
            print(f"{options.out}: finished after {epochs} epoch{'s' * (epochs != 1)}")
            return 0
        self.train(Run(options.out, config, state))
        return 0


def add_run_options(p: argparse.ArgumentParser) -> None:
    """``--out``, ``--resume`` and ``--init``."""
    p.add_argument("--out", type=Path, help="folder of the run")
    p.add_argument(
        "--resume", action="store_true", help="continue the run in --out with its own options"
    )
    p.add_argument(
        "--init", metavar="RUN",
        help="start from the weights of another run (folder or .keras file): of all layers with "
        "the same shapes in the same order",
    )  # fmt: skip


def add_fit_options(p: argparse.ArgumentParser, *, learning_rate: float) -> None:
    """Options of the optimizer of the face detector's networks."""
    p.add_argument("--learning-rate", type=amount, default=learning_rate, help="peak, for AdamW")
    p.add_argument("--weight-decay", type=amount, default=0.01, help="decoupled")
    p.add_argument("--schedule", choices=("cosine", "one-cycle"), default="cosine")
    p.add_argument("--ema", type=momentum, default=0.998, help="momentum of averaged weights")
    p.add_argument("--seed", type=whole(0), default=0, help="random seed of weights and samples")
    precision.add_option(p)


def prepare(
    run: Run[Any],
    steps: int,
    *,
    build: Callable[[], keras.Model],
    loss: Any,
    metrics: Any,
) -> keras.Model:
    """The compiled network of a run: as its last checkpoint holds it, else as ``build`` returns
    it, with the weights of ``--init``. An epoch has ``steps`` steps.

    Whatever a checkpoint needs registered with Keras must be imported before.
    """
    import keras

    from training.common.run_folder import LAST, load_network, take_weights

    config = run.config
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.precision)
    if run.state:
        model = load_network(run.folder / LAST, compile=True)
    else:
        model = build()
        if config.init:
            take_weights(model, load_network(Path(config.init)), f"--init {config.init}")
        model.compile(_optimizer(config, steps), loss=loss, metrics=metrics, jit_compile=_jit())
        # So that a checkpoint written before the first step holds all variables.
        model.optimizer.build(model.trainable_variables)
    parameters = model.count_params()
    print(
        f"{parameters:,} parameters, {parameters * 4 / 1e6:.1f} MB of float32 weights; "
        f"{keras.backend.backend()}, {config.precision}",
        flush=True,
    )
    return model


def _optimizer(config: TrainingConfig, steps: int) -> keras.optimizers.Optimizer:
    import keras

    from training.common.schedules import learning_rate

    rate = learning_rate(config.schedule, config.learning_rate, config.epochs, steps)
    shared: dict[str, Any] = {"clipnorm": config.clip_norm}
    decay = config.weight_decay
    if config.ema:
        shared |= {"use_ema": True, "ema_momentum": config.ema}
    match config.optimizer:
        case "sgd":
            return keras.optimizers.SGD(
                rate, momentum=0.9, nesterov=True, weight_decay=decay or None, **shared
            )
        case "adam":
            return keras.optimizers.Adam(rate, weight_decay=decay or None, **shared)
        case _:
            return keras.optimizers.AdamW(rate, weight_decay=decay, **shared)


def _jit() -> bool | str:
    import keras

    if keras.backend.backend() != "tensorflow":
        return "auto"
    import tensorflow as tf

    # XLA slows convolutions down on a CPU.
    return "auto" if tf.config.list_physical_devices("GPU") else False


def fit(run: Run[Any], model: keras.Model, batches: Any, validation: Any) -> Path:
    """Train to the last epoch, with curves and a checkpoint after each; returns the best one.

    Raises:
        ModelError: the loss diverged, or the validation loss was never finite.
    """
    import keras

    from training.common.averaging import AveragedWeights
    from training.common.run_folder import WATCHED, RunKeeper, best_of_finished
    from training.common.stopping import EarlyStopping, ReduceLROnPlateau

    config = run.config
    stateful: list[keras.callbacks.Callback] = []
    if config.patience is not None:
        stateful.append(EarlyStopping(WATCHED, patience=config.patience))
        if config.schedule == "plateau":
            patience = max(config.patience // 4, 1)
            stateful.append(ReduceLROnPlateau(WATCHED, factor=0.1, patience=patience))
    averaging = [AveragedWeights(averaged=run.epoch > 0)] if config.ema else []
    if keras.backend.backend() == "jax":
        # Builds loss and metrics, for which fit() would take the first batches out of their epoch.
        model.test_on_batch(*validation[0])
    keeper = RunKeeper(run.folder, config.epochs, config.seed, stateful, run.state)
    try:
        model.fit(
            batches,
            validation_data=validation,
            initial_epoch=run.epoch,
            epochs=config.epochs,
            shuffle=False,
            callbacks=[*averaging, *stateful, keeper],
            verbose=0,
        )
    finally:
        keeper.draw_curves()
    best = best_of_finished(run.folder, len(keeper.log))
    print(f"done: {best}, {best.stat().st_size / 1e6:.1f} MB including the optimizer state")
    return best
