"""Make the tables of long runs that come with the package: `make studies`.

    make studies                          what is missing
    make studies STUDY=parameters         what is missing of one
    python tools/studies.py --again parameters

A table is its own cache: a run that it holds is not made again, and it is written after
each run, so that an interrupted study goes on where it stopped.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import timeit
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mnist_helpers.data import DataError, Mnist, load_mnist
from mnist_helpers.studies import FOLDER, load_study, save_study

Table = dict[str, list[Any]]

NUM_SEEDS = 10


def read_table(path: Path) -> Table:
    """The table so far, empty where there is none."""
    if not path.is_file():
        return {}
    return {name: column.tolist() for name, column in load_study(path).items()}


def add_rows(table: Table, rows: Table) -> None:
    """Append rows to a table, in place."""
    for name, column in rows.items():
        table.setdefault(name, []).extend(column)


def add_row(table: Table, row: dict[str, Any]) -> None:
    """Append one row to a table, in place."""
    add_rows(table, {name: [value] for name, value in row.items()})


def stored_runs(table: Table, *names: str) -> set[tuple[Any, ...]]:
    """The runs that a table holds, each told by its values in these columns."""
    return set(zip(*(table.get(name, []) for name in names), strict=True))


def parameters(data: Mnist, path: Path) -> None:
    """The book's network with one thing changed, three seeds each."""
    from mnist_helpers.keras.variants import SEEDS, train_variant, variants

    table = read_table(path)
    done = stored_runs(table, "changed", "value", "seed")
    for changed, variant in variants():
        value = str(getattr(variant, changed, "none"))
        for seed in SEEDS:
            if (changed, value, seed) in done:
                continue
            began = time.perf_counter()
            columns = train_variant(variant, data, seed)
            number = len(columns["iterations"])
            add_rows(
                table,
                {
                    "changed": [changed] * number,
                    "value": [value] * number,
                    "seed": [seed] * number,
                    "iterations": columns["iterations"].tolist(),
                    "loss": columns["loss"].round(5).tolist(),
                    "validation_accuracy": columns["validation_accuracy"].round(4).tolist(),
                },
            )
            save_study(path, table)
            accuracy = table["validation_accuracy"][-1]
            seconds = time.perf_counter() - began
            print(f"{changed} {value}, seed {seed}: {accuracy} in {seconds:.0f} s", flush=True)


def seeds(data: Mnist, path: Path) -> None:
    """The book's training, ten times: other first weights, another order of the images."""
    from mnist_helpers import CHECKPOINT_ITERATIONS, ConvNet, evaluate, optimize

    table = read_table(path)
    for seed in range(NUM_SEEDS):
        if seed in table.get("seed", []):
            continue
        net = ConvNet(seed=seed)
        rows: Table = {}
        for iterations in CHECKPOINT_ITERATIONS:
            if iterations > net.iterations:
                missing = iterations - net.iterations
                optimize(net, data.train, missing, seed=seed, log_every=1_000, verbose=False)
            validation, test = (evaluate(net, split) for split in (data.validation, data.test))
            row = {
                "seed": seed,
                "iterations": iterations,
                "validation_accuracy": validation.accuracy,
                "test_accuracy": test.accuracy,
                "test_loss": round(test.loss, 5),
            }
            add_row(rows, row)
        add_rows(table, rows)
        save_study(path, table)
        print(f"seed {seed}: {rows['test_accuracy']}", flush=True)


def race(data: Mnist, path: Path) -> None:
    """The race: each recipe with its seeds, its time, and its mistakes on the test images.

    Beside each run a step of the older tutorials' way is timed, so that the run's time can be
    told in such steps, which says more about another machine than seconds do.
    """
    from mnist_helpers.precision import fastest_precision
    from mnist_helpers.speed.older import OlderTraining
    from mnist_helpers.speed.race import FIVE_SHIFTS, RECIPES, evaluate_together, run_recipe

    precision = fastest_precision()
    table = read_table(path)
    done = stored_runs(table, "recipe", "seed")
    older, steps = OlderTraining(), 20

    for name, recipe in RECIPES.items():
        for seed in range(recipe.num_seeds):
            if (name, seed) in done:
                continue
            older.train(data.train, steps)  # the first steps of all take longer
            seconds = timeit.repeat(lambda: older.train(data.train, steps), number=1, repeat=7)
            net, history = run_recipe(recipe, data, seed, precision)
            validation, test = (
                evaluate_together([net], split, precision, FIVE_SHIFTS)
                for split in (data.validation, data.test)
            )
            wrong = (test.predictions != data.test.labels).nonzero()[0]
            row = {
                "recipe": name,
                "seed": seed,
                "precision": precision,
                "iterations": len(history.loss),
                "seconds": round(history.seconds, 2),
                "tracing_seconds": round(history.tracing_seconds, 2),
                "older_step_ms": round(1000 * statistics.median(seconds) / steps, 2),
                "validation_accuracy": validation.accuracy,
                "test_accuracy": test.accuracy,
                # The number of each test image that is read wrongly, and as what.
                "mistakes": " ".join(f"{i}:{test.predictions[i]}" for i in wrong),
            }
            add_row(table, row)
            save_study(path, table)
            print(f"{name}, seed {seed}: {test.accuracy} in {history.seconds:.1f} s", flush=True)


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
    """Store a run that is one whole, unless it is there."""
    if not path.is_file():
        save_study(path, {name: column.round(5).tolist() for name, column in run().items()})


STUDIES: dict[str, Callable[[Mnist, Path], None]] = {
    "parameters": parameters,
    "seeds": seeds,
    "race": race,
    "keras_sgd": keras_sgd,
    "keras_adam": keras_adam,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Make the stored tables of long runs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(STUDIES)}")
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
