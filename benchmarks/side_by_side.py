"""Ways to train the book's network, side by side: ``make bench``.

    make bench                  about a quarter of an hour on two cores
    make bench BENCH=long       more rounds, more than an hour
    make bench BENCH=race       measure nothing, take the race's times again from its study

The contenders (``benchmarks/contenders.py``) take turns, A B C A B C …, so that whatever else
the machine does affects them all alike. Those of one library share a process, which waits while
another's works. The first turn of each measure is a warm-up.

What was measured is kept twice: every value in ``benchmarks/results.json``, which ``python -m
pyperf`` reads and compares, and a table of medians for the chapter, the study ``benchmarks``.
Needs real MNIST, 6 GB of memory and a machine that is doing nothing else.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import contenders
import numpy as np
import pyperf
from contenders import BASELINE, CONTENDERS, SEED, Task

from mnist_helpers.data import DataError, load_mnist
from mnist_helpers.studies import FOLDER, load_study, save_study

RESULTS = Path(__file__).parent / "results.json"
GOALS = (0.988, 0.99, 0.995, 0.997)
"""Test accuracies; the study ``race`` is asked how long it takes to reach each."""

QUIET = 0.5
"""The highest load at the start of a measurement that is worth something."""


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        rounds: Turns of each contender in the measure that matters most, a step of the book's
            training.
        few_rounds: Turns in each of the others.
        images: About how many images a contender learns from in one turn.
        batch_sizes: Steps of these sizes; the first is the book's.
        num_filters: Of both convolutions; the first is the book's.
        evaluated: How many images are judged.
    """

    rounds: int = 7
    few_rounds: int = 3
    images: int = 6_400
    batch_sizes: tuple[int, ...] = (64, 16, 256)
    num_filters: tuple[tuple[int, int], ...] = ((16, 36), (32, 72))
    evaluated: tuple[int, ...] = (10_000, 1_000)

    def cases(self) -> list[tuple[int, tuple[int, int]]]:
        """Batch size and filters, one of them changed at a time."""
        filters, *others = self.num_filters
        return [(size, filters) for size in self.batch_sizes] + [
            (self.batch_sizes[0], other) for other in others
        ]

    def steps(self, batch_size: int) -> int:
        """Steps in a turn: enough for one call of Keras that takes 50."""
        return max(50, self.images // batch_size)


LONG = Plan(rounds=25, few_rounds=10, images=19_200, evaluated=(10_000, 1_000, 60_000))


def make_task(batch_size: int, num_filters: tuple[int, int]) -> Task:
    """What all contenders compute, from the package's own constants."""
    from mnist_helpers import ConvNet, optimizer

    net = ConvNet(SEED, num_filters)
    return Task(
        batch_size=batch_size,
        num_filters=num_filters,
        weights={name: variable.numpy() for name, variable in net.weights.items()},
        learning_rate=optimizer.LEARNING_RATE,
        beta1=optimizer.BETA1,
        beta2=optimizer.BETA2,
        epsilon=optimizer.EPSILON,
    )


@contextmanager
def worker() -> Iterator[ProcessPoolExecutor]:
    """A process that has imported nothing yet but ``contenders``."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


class SideBySide:
    """Contenders that take turns.

    Attributes:
        names: Those that still take part.
        suite: What has been measured so far, a benchmark for each contender and measure.
    """

    def __init__(
        self,
        plan: Plan,
        say: Callable[[str], None] = print,
        names: Sequence[str] = tuple(CONTENDERS),
    ) -> None:
        """Say who cannot take part.

        Args:
            plan: How much to measure.
            say: Is told what is going on, a line at a time.
            names: Those who are to take part, the older way among them.
        """
        self._plan, self._say = plan, say
        self._num_train = len(load_mnist().train)
        self._machine = machine()
        self._benchmarks: list[pyperf.Benchmark] = []
        self.names = []
        for name in names:
            contender = CONTENDERS[name]
            reason = contenders.why_not(name)
            if reason is None:
                self.names.append(name)
            else:
                say(f"left out: {contender.label}: {reason}")

    @property
    def suite(self) -> pyperf.BenchmarkSuite:
        """All that was measured."""
        return pyperf.BenchmarkSuite(self._benchmarks)

    def run(self) -> None:
        """Measure everything.

        Raises:
            RuntimeError: If the older way, with which all are compared, failed.
        """
        with ExitStack() as stack:
            # A process for each library: TensorFlow and PyTorch together in one may crash it.
            modules = {CONTENDERS[name].module for name in self.names}
            workers = {module: stack.enter_context(worker()) for module in modules}
            pools = {name: workers[CONTENDERS[name].module] for name in self.names}
            for batch_size, num_filters in self._plan.cases():
                self._steps(pools, batch_size, num_filters)
                if (batch_size, num_filters) == self._plan.cases()[0]:
                    for number in self._plan.evaluated:
                        self._evaluation(pools, num_filters, number)
        self._starts()

    def _steps(
        self, pools: Mapping[str, Any], batch_size: int, num_filters: tuple[int, int]
    ) -> None:
        book = (batch_size, num_filters) == self._plan.cases()[0]
        task = make_task(batch_size, num_filters)
        for name in list(self.names):
            self._try(name, lambda n: pools[n].submit(contenders.build, n, task).result())

        def turn(name: str, number: int) -> float:
            order = self._order(batch_size, number, self._plan.steps(batch_size))
            seconds: float = pools[name].submit(contenders.train, name, order).result()
            return seconds / len(order)

        rounds = self._plan.rounds if book else self._plan.few_rounds
        self._take_turns(turn, rounds, "step", batch_size=batch_size, num_filters=num_filters[0])

    def _evaluation(
        self, pools: Mapping[str, Any], num_filters: tuple[int, int], num_images: int
    ) -> None:
        def turn(name: str, number: int) -> float:
            seconds: float = pools[name].submit(contenders.predict, name, num_images).result()
            return seconds

        what = {"num_filters": num_filters[0], "num_images": num_images}
        self._take_turns(turn, self._plan.few_rounds, "evaluation", **what)

    def _starts(self) -> None:
        batch_size, num_filters = self._plan.cases()[0]
        task = make_task(batch_size, num_filters)
        order = self._order(batch_size, 0, 51)
        found: dict[str, dict[str, list[float]]] = {name: {} for name in self.names}

        def turn(name: str) -> None:
            with worker() as pool:
                images = self._plan.evaluated[0]
                values = pool.submit(contenders.start, name, task, order, images).result()
            for measure, value in values.items():
                found[name].setdefault(measure, []).append(value)

        # No warm-up: what the first would read from the disk, earlier workers have read already.
        for _ in range(self._plan.few_rounds):
            for name in list(self.names):
                self._try(name, turn)
        for measure in found[BASELINE]:
            for name in self.names:
                values = found[name][measure]
                self._add(name, values, measure, batch_size=batch_size, num_filters=num_filters[0])
        self._say("measured: imports, first steps, memory")

    def _take_turns(
        self, turn: Callable[[str, int], float], rounds: int, measure: str, **what: int
    ) -> None:
        """One warm-up of each contender, then this many rounds of all."""
        began = time.perf_counter()
        values: dict[str, list[float]] = {name: [] for name in self.names}
        for number in range(rounds + 1):
            for name in list(self.names):
                self._try(name, lambda n: values[n].append(turn(n, number)))  # noqa: B023
        for name in self.names:
            warm_up, *measured = values[name]
            self._add(name, measured, measure, warm_up, **what)
        said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in what.items())
        self._say(f"measured: {measure}, {said}; {time.perf_counter() - began:.0f} s")

    def _try(self, name: str, action: Callable[[str], Any]) -> None:
        """Do something for a contender; one that fails is left out from then on."""
        try:
            action(name)
        except Exception as error:
            if name == BASELINE:
                raise RuntimeError(f"{CONTENDERS[name].label} failed: {error}") from error
            self.names.remove(name)
            self._say(f"left out: {CONTENDERS[name].label}: {type(error).__name__}: {error}")

    def _order(self, batch_size: int, number: int, count: int) -> np.ndarray[Any, Any]:
        from mnist_helpers import batch_indices

        return batch_indices(self._num_train, batch_size, number * count, count, SEED)

    def _add(
        self,
        name: str,
        values: Sequence[float],
        measure: str,
        warm_up: float | None = None,
        **what: int,
    ) -> None:
        sizes = {"batch_size": 0, "num_filters": 0, "num_images": 0} | what
        said = ", ".join(f"{key} {value}" for key, value in what.items())
        run = pyperf.Run(
            values,
            warmups=[] if warm_up is None else [(1, warm_up)],
            metadata={
                "name": f"{measure}, {said}: {name}",
                "unit": "byte" if measure == "memory" else "second",
                "measure": measure,
                "contender": name,
                **sizes,
                **self._machine,
            },
            collect_metadata=False,
        )
        self._benchmarks.append(pyperf.Benchmark([run]))


def machine() -> dict[str, str | float]:
    """What the times depend on; nothing that says whose machine it is."""
    known = pyperf.Run([1.0]).get_metadata()
    versions = {
        name: metadata.version(name) for name in ("tensorflow", "keras", "torch") if find_spec(name)
    }
    return {
        "cpu_model_name": str(known.get("cpu_model_name") or platform.machine()),
        "cpu_count": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python_version": platform.python_version(),
        **{f"{name}_version": version for name, version in versions.items()},
        # What else the machine did before: it should be near 0.
        "load_avg_1min": float(known.get("load_avg_1min", 0.0)),
    }


def table(suite: pyperf.BenchmarkSuite) -> dict[str, list[Any]]:
    """The study: a row for each benchmark, with its median and its range."""
    rows = []
    for benchmark in suite.get_benchmarks():
        known, values = benchmark.get_metadata(), benchmark.get_values()
        rows.append(
            {
                "measure": known["measure"],
                "contender": known["contender"],
                "label": CONTENDERS[known["contender"]].label,
                **{name: known[name] for name in ("batch_size", "num_filters", "num_images")},
                "median": float(f"{benchmark.median():.4g}"),
                "lowest": float(f"{min(values):.4g}"),
                "highest": float(f"{max(values):.4g}"),
                "rounds": len(values),
                "unit": benchmark.get_unit(),
                "machine": describe(known),
            }
        )
    return {name: [row[name] for row in rows] for name in rows[0]}


def describe(known: Mapping[str, Any]) -> str:
    """The machine in one line."""
    names = {"python": "Python", "tensorflow": "TensorFlow", "keras": "Keras", "torch": "PyTorch"}
    versions = [
        f"{said} {known[f'{name}_version']}"
        for name, said in names.items()
        if f"{name}_version" in known
    ]
    cpu = f"{known['cpu_model_name']}, {known['cpu_count']} cores, {known['system']}"
    return f"{cpu}; {', '.join(versions)}; load at the start {known['load_avg_1min']:.1f}"


def race(path: Path) -> dict[float, tuple[str, list[float]]]:
    """The times to each goal, from the table of the study ``race``.

    Args:
        path: The study's table, with a row for each recipe and seed.

    Returns:
        By goal, where a recipe reaches it in the median over its seeds: the quickest such
        recipe and its seconds, a number for each seed. Nothing where there is no such table.
    """
    if not path.is_file():
        return {}
    study = load_study(path)
    quickest: dict[float, tuple[str, list[float]]] = {}
    for recipe in np.unique(study["recipe"]):
        rows = study["recipe"] == recipe
        seconds = study["seconds"][rows].tolist()
        for goal in GOALS:
            reached = np.median(study["test_accuracy"][rows]) >= goal
            before = quickest.get(goal)
            if reached and (before is None or np.median(seconds) < np.median(before[1])):
                quickest[goal] = (str(recipe), seconds)
    return quickest


def add_race(rows: dict[str, list[Any]], times: Mapping[float, tuple[str, list[float]]]) -> None:
    """Append the times to each goal to the study, in place."""
    for goal, (recipe, seconds) in times.items():
        row = {
            "measure": f"to {goal:.1%}",
            "contender": recipe,
            "label": f"this book, recipe {recipe}",
            "batch_size": 0,
            "num_filters": 0,
            "num_images": 0,
            "median": float(f"{np.median(seconds):.4g}"),
            "lowest": min(seconds),
            "highest": max(seconds),
            "rounds": len(seconds),
            "unit": "second",
            "machine": "that of the study race",
        }
        for name, value in row.items():
            rows[name].append(value)


def renew_race(path: Path, race_path: Path) -> None:
    """Take the times to each goal again from the race; all that was measured stays as it is.

    Args:
        path: The table of this comparison, which is rewritten.
        race_path: The table of the study ``race``.
    """
    table = load_study(path)
    measured = [not measure.startswith("to ") for measure in table["measure"]]
    rows = {name: column[measured].tolist() for name, column in table.items()}
    add_race(rows, race(race_path))
    save_study(path, rows)


def lines(rows: Mapping[str, Sequence[Any]]) -> list[str]:
    """The table to read: each measure with the ratio to the older way."""
    said, heading, baseline = [], None, None
    for row in (
        dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)
    ):
        sizes = [f"{name.replace('_', ' ')} {row[name]}" for name in _SIZES if row[name]]
        if heading != (heading := ", ".join([row["measure"], *sizes])):
            said += ["", heading]
            baseline = None
        if row["contender"] == BASELINE:
            baseline = row["median"]
        value = row["median"]
        shown = f"{value / 1e6:9,.0f} MB" if row["unit"] == "byte" else _seconds(value)
        ratio = "" if baseline is None else f"  {value / baseline:5.2f}"
        said.append(f"  {row['label']:42} {shown}{ratio}")
    return said


_SIZES = ("batch_size", "num_filters", "num_images")


def _seconds(value: float) -> str:
    return f"{1000 * value:9.2f} ms" if value < 1 else f"{value:9.2f} s "


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Compare ways to train the book's network.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--long", action="store_true", help="measure more rounds")
    what.add_argument("--race", action="store_true", help="only take the race's times again")
    options = parser.parse_args(arguments)
    if options.race:
        renew_race(FOLDER / "benchmarks.csv", FOLDER / "race.csv")
        return 0
    try:
        load_mnist("mnist")
    except DataError as error:
        print(f"bench: this needs real MNIST: {error}", file=sys.stderr)
        return 1
    os.environ.pop("MNIST_SOURCE", None)
    began = time.perf_counter()
    comparison = SideBySide(LONG if options.long else Plan(), lambda line: print(line, flush=True))
    load = float(machine()["load_avg_1min"])
    if load > QUIET:
        print(f"The machine is busy (load {load:.1f}): wait, and measure when it is quiet.")
    comparison.run()
    rows = table(comparison.suite)
    add_race(rows, race(FOLDER / "race.csv"))
    comparison.suite.dump(str(RESULTS), replace=True)
    save_study(FOLDER / "benchmarks.csv", rows)
    print("\n".join(lines(rows)))
    print(f"\n{rows['machine'][0]}\nThat took {(time.perf_counter() - began) / 60:.1f} minutes.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
