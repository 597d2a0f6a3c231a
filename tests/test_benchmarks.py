"""Ways to train, side by side: all compute the same, and the table has every row."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import contenders
import numpy as np
import pyperf
import pytest
import side_by_side
from contenders import BASELINE, CONTENDERS

from mnist_helpers import ConvNet, Mnist, batch_indices, load_study, save_study
from mnist_helpers.studies import FOLDER

NUM_STEPS = 6
TINY = side_by_side.Plan(
    rounds=2,
    few_rounds=1,
    images=100,
    batch_sizes=(8, 4),
    num_filters=((16, 36), (2, 3)),
    evaluated=(300,),
)


def skip_without(name: str) -> None:
    reason = contenders.why_not(name)
    if reason is not None:
        pytest.skip(f"{CONTENDERS[name].label}: {reason}")


@pytest.fixture
def same_precision() -> Iterator[None]:
    """Set back what Keras computes with, which a contender sets for its whole process."""
    import keras

    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


@pytest.fixture(scope="module")
def reference(mnist: Mnist) -> tuple[contenders.Weights, np.ndarray]:
    """What the book's own way gives after the steps."""
    return run("ours", mnist, (16, 36))


def run(
    name: str, data: Mnist, num_filters: tuple[int, int]
) -> tuple[contenders.Weights, np.ndarray]:
    """The weights after some steps of a contender, and what it then reads in 300 images.

    PyTorch is in a process of its own: TensorFlow and PyTorch in one may end it.
    """
    task = side_by_side.make_task(8, num_filters)
    order = batch_indices(len(data.train), 8, 0, NUM_STEPS, contenders.SEED)
    with side_by_side.worker() if CONTENDERS[name].needs == "torch" else Here() as pool:
        pool.submit(contenders.build, name, task).result()
        # In two parts, for a contender is trained in turns.
        for part in (order[:2], order[2:]):
            pool.submit(contenders.train, name, part).result()
        found: tuple[contenders.Weights, np.ndarray]
        found = pool.submit(contenders.outcome, name, 300).result()
        return found


class Here(Executor):
    """Does at once, in this process, what a worker would be told to do."""

    def submit(self, function: Any, /, *arguments: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments, **more))
        return future


@pytest.mark.parametrize("name", [name for name in CONTENDERS if name != "ours"])
def test_every_contender_takes_the_same_steps(
    name: str,
    mnist: Mnist,
    reference: tuple[contenders.Weights, np.ndarray],
    same_precision: None,
) -> None:
    skip_without(name)
    # How far the weights may end from the book's, as a share of the way that they went. PyTorch's
    # Adam adds its epsilon elsewhere, which very small gradients feel. bfloat16 has 8 significant
    # bits, and Adam's first steps are as long for small gradients, whose sign the rounding may
    # change, as for large ones.
    share = {"torch": 0.1}.get(name, 0.02)
    if CONTENDERS[name].precision == "bfloat16":
        share = 0.35
    weights, classes = run(name, mnist, (16, 36))
    expected, expected_classes = reference
    start = ConvNet(seed=contenders.SEED).weights
    assert weights.keys() == expected.keys()
    for key, found in weights.items():
        went = np.linalg.norm(expected[key] - start[key].numpy())
        assert np.linalg.norm(found - expected[key]) < share * went, key
    assert (classes == expected_classes).mean() > 1 - share / 2


def test_every_way_can_have_other_numbers_of_filters(mnist: Mnist, same_precision: None) -> None:
    for name in ("older", "keras_50_untuned", "torch", "ours"):
        if contenders.why_not(name) is None:
            weights, _ = run(name, mnist, (2, 3))
            assert weights["conv1/weights"].shape == (5, 5, 1, 2), name
            assert weights["conv2/weights"].shape == (5, 5, 2, 3), name
            assert weights["fc1/weights"].shape == (147, 128), name


LOGITS = """
import sys
import numpy as np
import torch
from contenders import PyTorch, Task
from mnist_helpers.data import load_mnist

weights = dict(np.load(sys.argv[1]))
data = load_mnist()
way = PyTorch(Task(64, (16, 36), weights, 1e-4, 0.9, 0.999, 1e-7), data.train)
with torch.inference_mode():
    np.save(sys.argv[2], way.logits(torch.from_numpy(data.test.images[:100])))
"""


def test_pytorch_gives_the_same_logits(mnist: Mnist, tmp_path: Path) -> None:
    skip_without("torch")
    net = ConvNet(seed=contenders.SEED)
    np.savez(tmp_path / "w.npz", **side_by_side.make_task(64, (16, 36)).weights)
    command = [sys.executable, "-c", LOGITS, tmp_path / "w.npz", tmp_path / "logits.npy"]
    path = os.pathsep.join([str(Path(contenders.__file__).parent), *sys.path])
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": path})
    logits = np.load(tmp_path / "logits.npy")
    np.testing.assert_allclose(logits, net(mnist.test.images[:100]), atol=1e-5)


@pytest.fixture(scope="module")
def measured() -> tuple[side_by_side.SideBySide, list[str]]:
    """A tiny comparison in processes of their own, on the stand-in, without PyTorch."""
    said: list[str] = []
    real = importlib.util.find_spec
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_SOURCE", "digits")
        patch.setattr(
            "importlib.util.find_spec", lambda name: None if name == "torch" else real(name)
        )
        names = [BASELINE, "torch", "ours"]
        comparison = side_by_side.SideBySide(TINY, said.append, names)
        comparison.run()
    return comparison, said


def test_a_contender_that_is_missing_is_left_out_with_a_line(
    measured: tuple[side_by_side.SideBySide, list[str]],
) -> None:
    comparison, said = measured
    assert said[0] == "left out: PyTorch: torch is not installed"
    assert comparison.names == [BASELINE, "ours"]


def test_the_table_has_every_row(
    measured: tuple[side_by_side.SideBySide, list[str]], tmp_path: Path
) -> None:
    rows = side_by_side.table(measured[0].suite)
    save_study(tmp_path / "benchmarks.csv", rows)
    table = load_study(tmp_path / "benchmarks.csv")
    columns = ("measure", "contender", "batch_size", "num_filters", "num_images", "rounds")
    found = sorted(zip(*(table[name].tolist() for name in columns), strict=True))
    each = [
        ("step", 8, 16, 0, 2),
        ("step", 4, 16, 0, 1),
        ("step", 8, 2, 0, 1),
        ("evaluation", 0, 16, 300, 1),
        ("import", 8, 16, 0, 1),
        ("first_step", 8, 16, 0, 1),
    ]
    if contenders.peak_memory():
        each.append(("memory", 8, 16, 0, 1))
    expected = [(row[0], name, *row[1:]) for row in each for name in (BASELINE, "ours")]
    assert found == sorted(expected)
    assert (table["lowest"] > 0).all()
    assert (table["lowest"] <= table["median"]).all()
    assert (table["median"] <= table["highest"]).all()
    memory = table["median"][table["measure"] == "memory"]
    assert ((1e8 < memory) & (memory < 1e10)).all()


def test_what_is_stored_says_nothing_of_the_machine_but_what_counts(
    measured: tuple[side_by_side.SideBySide, list[str]], tmp_path: Path
) -> None:
    path = tmp_path / "results.json"
    measured[0].suite.dump(str(path))
    suite = pyperf.BenchmarkSuite.load(str(path))
    allowed = {"name", "unit", "measure", "contender", "batch_size", "num_filters", "num_images"}
    for benchmark in suite.get_benchmarks():
        assert set(benchmark.get_metadata()) <= allowed | side_by_side.machine().keys()
    assert not {"hostname", "user", "python_executable"} & side_by_side.machine().keys()


def test_the_list_gives_ratios_to_the_older_way() -> None:
    row = {"batch_size": 64, "num_filters": 16, "num_images": 0, "unit": "second"}
    two = [
        {"measure": "step", "label": "the old one", "contender": BASELINE, "median": 0.004, **row},
        {"measure": "step", "label": "a new one", "contender": "ours", "median": 0.003, **row},
    ]
    said = side_by_side.lines({name: [row[name] for row in two] for name in two[0]})
    assert said[1:2] == ["step, batch size 64, num filters 16"]
    assert said[2].split() == ["the", "old", "one", "4.00", "ms", "1.00"]
    assert said[3].split() == ["a", "new", "one", "3.00", "ms", "0.75"]


@pytest.mark.parametrize("failing, stops", [(BASELINE, True), ("ours", False)])
def test_a_contender_that_fails_is_left_out_unless_all_are_compared_with_it(
    failing: str, stops: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    comparison = side_by_side.SideBySide(TINY, said.append, [BASELINE, "ours"])

    def action(name: str) -> None:
        raise ValueError("no luck")

    if stops:
        with pytest.raises(RuntimeError, match="session failed: no luck"):
            comparison._try(failing, action)
    else:
        comparison._try(failing, action)
        assert said == ["left out: this book: ValueError: no luck"]
        assert comparison.names == [BASELINE]


def test_the_quickest_recipe_that_reaches_a_goal_counts(tmp_path: Path) -> None:
    path = tmp_path / "race.csv"
    assert side_by_side.race(path) == {}
    save_study(
        path,
        {
            "recipe": ["slow"] * 3 + ["quick"] * 3 + ["lucky"] * 3,
            "seconds": [30.0, 31.0, 32.0, 2.0, 3.0, 4.0, 1.0, 1.0, 1.0],
            "test_accuracy": [0.995, 0.996, 0.994, 0.989, 0.988, 0.987, 0.999, 0.98, 0.98],
        },
    )
    times = side_by_side.race(path)
    assert {goal: recipe for goal, (recipe, _) in times.items()} == {
        0.988: "quick",
        0.99: "slow",
        0.995: "slow",
    }
    assert times[0.988][1] == [2.0, 3.0, 4.0]


def test_new_times_of_the_race_leave_the_rest_to_the_byte(tmp_path: Path) -> None:
    stored = (FOLDER / "benchmarks.csv").read_text(encoding="utf-8")
    path, race = tmp_path / "benchmarks.csv", tmp_path / "race.csv"
    path.write_text(stored, encoding="utf-8")
    side_by_side.renew_race(path, FOLDER / "race.csv")
    assert path.read_text(encoding="utf-8") == stored

    save_study(race, {"recipe": ["new"], "seconds": [7.0], "test_accuracy": [0.99]})
    side_by_side.renew_race(path, race)
    old, new = (text.splitlines() for text in (stored, path.read_text(encoding="utf-8")))
    measured = [line for line in old if not line.startswith("to ")]
    assert new[:-2] == measured
    assert [line.split(",")[:2] for line in new[-2:]] == [["to 98.8%", "new"], ["to 99.0%", "new"]]


def test_the_stored_study_holds_the_older_way_and_ours_for_each_measure() -> None:
    table = load_study("benchmarks")
    assert (FOLDER / "benchmarks.csv").stat().st_size < 100_000
    for measure in ("step", "evaluation", "import", "first_step", "memory"):
        names = table["contender"][table["measure"] == measure]
        assert {BASELINE, "ours"} <= set(names.tolist()), measure
