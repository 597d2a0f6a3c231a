"""Make the tables of long runs that come with the package: `make studies`.

    make studies                          what is missing
    make studies STUDY=parameters         what one of them lacks
    python tools/studies.py --again parameters

A table is its own cache: a run that it holds is not made again, and it is written after
each run, so that an interrupted study carries on from where it stopped.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import timeit
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from mnist_helpers.data import DataError, Mnist, load_mnist
from mnist_helpers.studies import FOLDER, load_study, save_study

NUM_SEEDS = 10
LONGER_FROM = 10_000
LONGER_ITERATIONS = range(12_000, 20_001, 2_000)


def complete(
    path: Path,
    names: Sequence[str],
    runs: Iterable[tuple[Any, ...]],
    make: Callable[..., list[dict[str, Any]]],
) -> None:
    """Make the runs that a table lacks, and write it after each.

    The columns ``names`` tell one run from another, ``runs`` are their values, and ``make`` gives
    the rows of a run without them.
    """
    table: dict[str, list[Any]] = {}
    if path.is_file():
        table = {name: column.tolist() for name, column in load_study(path).items()}
    done = set(zip(*(table.get(name, []) for name in names), strict=True))
    for run in runs:
        if run in done:
            continue
        began = time.perf_counter()
        rows = make(*run)
        for row in rows:
            for name, value in (dict(zip(names, run, strict=True)) | row).items():
                table.setdefault(name, []).append(value)
        save_study(path, table)
        seconds = time.perf_counter() - began
        print(*run, f"{rows[-1]['validation_accuracy']} in {seconds:.0f} s", flush=True)


def parameters(data: Mnist, path: Path) -> None:
    """The book's network with one thing changed, three seeds each."""
    from mnist_helpers.keras.variants import SEEDS, train_variant, variants

    changes = {(name, str(getattr(variant, name, "none"))): variant for name, variant in variants()}

    def make(changed: str, value: str, seed: int) -> list[dict[str, Any]]:
        found = train_variant(changes[changed, value], data, seed)
        columns = {
            "iterations": found["iterations"].tolist(),
            "loss": found["loss"].round(5).tolist(),
            "validation_accuracy": found["validation_accuracy"].round(4).tolist(),
        }
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    runs = [(*change, seed) for change in changes for seed in SEEDS]
    complete(path, ("changed", "value", "seed"), runs, make)


def seeds(data: Mnist, path: Path) -> None:
    """The book's training, ten times: other starting weights, another order of the images."""
    from checkpoints import trained

    from mnist_helpers import evaluate

    def make(seed: int) -> list[dict[str, Any]]:
        rows = []
        for net in trained(data, seed):
            validation, test = (evaluate(net, split) for split in (data.validation, data.test))
            row = {
                "iterations": net.iterations,
                "validation_accuracy": validation.accuracy,
                "test_accuracy": test.accuracy,
                "test_loss": round(test.loss, 5),
            }
            rows.append(row)
        return rows

    complete(path, ["seed"], [(seed,) for seed in range(NUM_SEEDS)], make)


def longer(data: Mnist, path: Path) -> None:
    """Another 10,000 iterations of the book's training, with three orders of the images.

    Each begins with the stored weights, and with an Adam that remembers nothing.
    """
    from mnist_helpers import evaluate, load_checkpoint, optimize

    def make(seed: int) -> list[dict[str, Any]]:
        net, rows = load_checkpoint(LONGER_FROM), []
        for iterations in LONGER_ITERATIONS:
            leg = iterations - net.iterations
            history = optimize(net, data.train, leg, seed=seed, log_every=leg, verbose=False)
            validation = evaluate(net, data.validation)
            row = {
                "iterations": iterations,
                "loss": round(float(history.loss.mean()), 5),
                "validation_loss": round(validation.loss, 5),
                "validation_accuracy": validation.accuracy,
            }
            rows.append(row)
        return rows

    complete(path, ["seed"], [(seed,) for seed in range(3)], make)


def race(data: Mnist, path: Path) -> None:
    """The race: each recipe with its seeds, its time, and its mistakes on the test images.

    Beside each run a step of the older tutorials' way is timed, so that the run's time can be
    given in such steps, which says more about another machine than seconds do.
    """
    from mnist_helpers.precision import fastest_precision
    from mnist_helpers.speed.older import OlderTraining
    from mnist_helpers.speed.race import (
        FIVE_SHIFTS,
        NUM_SEEDS,
        RECIPES,
        evaluate_together,
        run_recipe,
    )

    precision = fastest_precision()
    older, steps = OlderTraining(), 20

    def make(name: str, seed: int) -> list[dict[str, Any]]:
        older.train(data.train, steps)  # the very first steps take longer
        seconds = timeit.repeat(lambda: older.train(data.train, steps), number=1, repeat=7)
        net, history = run_recipe(RECIPES[name], data, seed, precision)
        validation, test = (
            evaluate_together([net], split, precision, FIVE_SHIFTS)
            for split in (data.validation, data.test)
        )
        wrong = (test.predictions != data.test.labels).nonzero()[0]
        return [
            {
                "precision": precision,
                "iterations": len(history.loss),
                "seconds": round(history.seconds, 2),
                "tracing_seconds": round(history.tracing_seconds, 2),
                "older_step_ms": round(1000 * statistics.median(seconds) / steps, 2),
                "validation_accuracy": validation.accuracy,
                "test_accuracy": test.accuracy,
                # The number of each test image that is misread, and what it is read as.
                "mistakes": " ".join(f"{i}:{test.predictions[i]}" for i in wrong),
            }
        ]

    runs = [(name, seed) for name in RECIPES for seed in range(NUM_SEEDS)]
    complete(path, ("recipe", "seed"), runs, make)


def keras_sgd(data: Mnist, path: Path) -> None:
    """The original recipe of the layers tutorial at its full length."""
    from mnist_helpers.keras.recipe import train_recipe

    _one_run(path, lambda: train_recipe(data, 20_000, 200, verbose=True))


def keras_adam(data: Mnist, path: Path) -> None:
    """The same network with Adam, for a fifth of the steps."""
    from mnist_helpers.keras.recipe import keras, train_recipe

    adam = keras.optimizers.Adam(1e-4)
    _one_run(path, lambda: train_recipe(data, 4_000, 200, adam, verbose=True))


def _one_run(path: Path, run: Callable[[], dict[str, Any]]) -> None:
    """Store a run that comes in one piece, unless it is there already."""
    if not path.is_file():
        save_study(path, {name: column.round(5).tolist() for name, column in run().items()})


STUDIES: dict[str, Callable[[Mnist, Path], None]] = {
    "parameters": parameters,
    "seeds": seeds,
    "longer": longer,
    "race": race,
    "keras_sgd": keras_sgd,
    "keras_adam": keras_adam,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Make the stored tables of long runs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(STUDIES)}")
    parser.add_argument("--again", action="store_true", help="run what is there already, too")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - STUDIES.keys()
    if unknown:
        parser.error(f"no study {', '.join(sorted(unknown))}; there are {', '.join(STUDIES)}")
    try:
        data = load_mnist("mnist")
    except DataError as error:
        print(f"studies: they are made from real MNIST alone: {error}", file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    for name in options.names or STUDIES:
        path = FOLDER / f"{name}.csv"
        if options.again:
            path.unlink(missing_ok=True)
        STUDIES[name](data, path)
        print(f"{name}: complete")
    return 0


if __name__ == "__main__":
    sys.exit(main())
