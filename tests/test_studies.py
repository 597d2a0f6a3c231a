"""The stored tables of long runs: complete, readable, and what a run today gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import studies as tool
from hypothesis import given
from hypothesis import strategies as st

from mnist_helpers import (
    CHECKPOINT_ITERATIONS,
    ConvNet,
    Mnist,
    StudyError,
    Variant,
    build_variant,
    evaluate,
    load_study,
    optimize,
    save_study,
    train_variant,
)
from mnist_helpers.keras.variants import (
    CHANGES,
    INITIALIZERS,
    LOG_EVERY,
    NUM_ITERATIONS,
    SEEDS,
    variants,
)
from mnist_helpers.speed.race import NUM_SEEDS, RECIPES
from mnist_helpers.studies import FOLDER


def rows_of(table: dict[str, np.ndarray], changed: str, value: object, seed: int) -> np.ndarray:
    """Which rows of the table are of one run."""
    chosen = (table["changed"] == changed) & (table["value"] == str(value))
    return chosen & (table["seed"] == seed)


def test_every_run_of_the_parameter_study_is_stored_once() -> None:
    table = load_study("parameters")
    runs = [
        (changed, str(getattr(variant, changed, "none")), seed)
        for changed, variant in variants()
        for seed in SEEDS
    ]
    stored = zip(table["changed"], table["value"], table["seed"].tolist(), strict=True)
    iterations = range(LOG_EVERY, NUM_ITERATIONS + 1, LOG_EVERY)
    expected = [(*run, step) for run in runs for step in iterations]
    found = [(*key, step) for key, step in zip(stored, table["iterations"].tolist(), strict=True)]
    assert sorted(found) == sorted(expected)


def test_the_study_changes_one_thing_at_a_time_and_tries_every_value() -> None:
    book = Variant()
    seen = {name: {getattr(book, name)} for name in CHANGES}
    for changed, variant in variants():
        differing = [name for name in CHANGES if getattr(variant, name) != getattr(book, name)]
        assert differing == ([] if changed == "nothing" else [changed])
        if changed != "nothing":
            seen[changed].add(getattr(variant, changed))
    assert seen == {name: set(values) for name, values in CHANGES.items()}


@pytest.mark.needs_mnist
def test_a_run_gives_what_is_stored(mnist: Mnist) -> None:
    """Within what another processor, which rounds otherwise, may change."""
    table = load_study("parameters")
    again = train_variant(Variant(learning_rate=1e-3), mnist, seed=1, num_iterations=200)
    stored = rows_of(table, "learning_rate", 1e-3, 1)
    accuracy = table["validation_accuracy"][stored][:2]
    np.testing.assert_allclose(again["validation_accuracy"], accuracy, atol=0.01)
    np.testing.assert_allclose(again["loss"], table["loss"][stored][:2], rtol=0.05)


def test_ten_seeds_are_stored_at_every_checkpoint() -> None:
    table = load_study("seeds")
    found = sorted(zip(table["seed"].tolist(), table["iterations"].tolist(), strict=True))
    assert found == [(seed, n) for seed in range(tool.NUM_SEEDS) for n in CHECKPOINT_ITERATIONS]
    end = table["iterations"] == 10_000
    assert (table["test_accuracy"][end] > 0.98).all()


@pytest.mark.needs_mnist
def test_a_seeds_first_hundred_steps_give_what_is_stored(mnist: Mnist) -> None:
    table = load_study("seeds")
    net = ConvNet(seed=4)
    optimize(net, mnist.train, 100, seed=4, verbose=False)
    [row] = ((table["seed"] == 4) & (table["iterations"] == 100)).nonzero()[0]
    result = evaluate(net, mnist.test)
    assert result.accuracy == pytest.approx(table["test_accuracy"][row], abs=0.01)
    assert result.loss == pytest.approx(table["test_loss"][row], rel=0.02)


def test_three_longer_trainings_are_stored_from_end_to_end() -> None:
    table = load_study("longer")
    found = list(zip(table["seed"].tolist(), table["iterations"].tolist(), strict=True))
    assert found == [(seed, n) for seed in range(3) for n in tool.LONGER_ITERATIONS]
    assert (table["validation_accuracy"] > 0.98).all()
    # The network knows its training images better than the others.
    assert (table["loss"] < table["validation_loss"]).all()


def test_the_race_is_whole_and_its_figures_agree() -> None:
    table = load_study("race")
    runs = list(zip(table["recipe"].tolist(), table["seed"].tolist(), strict=True))
    assert sorted(runs) == sorted((name, seed) for name in RECIPES for seed in range(NUM_SEEDS))
    for name, iterations, mistakes, accuracy in zip(
        *(table[key] for key in ("recipe", "iterations", "mistakes", "test_accuracy")), strict=True
    ):
        recipe = RECIPES[name]
        assert iterations == round(recipe.epochs * 55_000 / recipe.batch_size)
        assert 1 - len(mistakes.split()) / 10_000 == pytest.approx(accuracy)
        assert 0.98 < accuracy < 1
    assert (table["older_step_ms"] > 0).all()


def test_a_table_is_its_own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored is not run again, and what is missing alone is."""
    ran = []

    def train(variant: Variant, data: object, seed: int) -> dict[str, np.ndarray]:
        ran.append((variant, seed))
        return {name: np.array([1, 2]) for name in ("iterations", "loss", "validation_accuracy")}

    monkeypatch.setattr("mnist_helpers.keras.variants.train_variant", train)
    path = tmp_path / "parameters.csv"
    tool.parameters(None, path)  # type: ignore[arg-type]
    whole, everything = path.read_bytes(), list(ran)
    assert len(everything) == len(list(variants())) * len(SEEDS)

    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-4]), encoding="utf-8")
    ran.clear()
    tool.parameters(None, path)  # type: ignore[arg-type]
    assert ran == everything[-2:]
    assert path.read_bytes() == whole


def test_the_tool_refuses_a_study_that_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        tool.main(["everything"])
    assert "no study everything" in capsys.readouterr().err


@given(
    st.lists(
        st.tuples(st.integers(-(2**62), 2**62), st.floats(allow_nan=False), st.text("abc ,\"é'")),
        min_size=1,
    )
)
def test_a_table_comes_back_as_it_was_saved(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float, str]]
) -> None:
    path = tmp_path_factory.mktemp("study") / "table.csv"
    whole, real, words = (list(column) for column in zip(*rows, strict=True))
    save_study(path, {"whole": whole, "real": real, "words": [f"w{word}" for word in words]})
    table = load_study(path)
    assert table["whole"].dtype == np.int64 and table["whole"].tolist() == whole
    assert table["real"].dtype == np.float64 and table["real"].tolist() == real
    assert table["words"].tolist() == [f"w{word}" for word in words]


def test_saving_columns_of_unequal_length_leaves_the_old_table(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    save_study(path, {"step": [1, 2]})
    with pytest.raises(ValueError, match="shorter|longer"):
        save_study(path, {"step": [1, 2], "loss": [0.5]})
    assert load_study(path)["step"].tolist() == [1, 2]
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


@pytest.mark.parametrize("text", ["", "step,loss\n", "step,loss\n1,0.5\n2"])
def test_a_damaged_table_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StudyError, match="make studies"):
        load_study(path)


def test_an_unknown_study_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(StudyError, match="parameters"):
        load_study("everything")


def test_every_study_of_the_tool_is_stored() -> None:
    """And that of make bench, which has a tool of its own."""
    assert {path.stem for path in FOLDER.glob("*.csv")} == {*tool.STUDIES, "benchmarks"}


def test_relu_before_or_after_max_pooling_learns_the_same(mnist: Mnist) -> None:
    """max and ReLU may be swapped, and so may their gradients."""
    after = train_variant(Variant(), mnist, seed=0, num_iterations=100)
    before = train_variant(Variant(relu="before pooling"), mnist, seed=0, num_iterations=100)
    np.testing.assert_allclose(after["loss"], before["loss"], rtol=1e-3)


@pytest.mark.parametrize("changed, variant", list(variants()))
def test_every_variant_can_be_built(changed: str, variant: Variant) -> None:
    logits = build_variant(variant, seed=0)(np.zeros((3, 784), np.float32))
    assert logits.shape == (3, 10)
    if changed == "pooling":  # whatever halves the layers, they are as large as the book's
        count = build_variant(Variant()).count_params()
        assert build_variant(variant).count_params() == count


def test_weights_start_where_the_variant_says() -> None:
    """He's standard deviation of a filter with 25 inputs is the root of 2/25."""
    spread = {
        start: np.std(build_variant(Variant(initializer=start), seed=0).get_weights()[0])
        for start in INITIALIZERS
    }
    assert spread["zeros"] == 0
    assert spread["small"] == pytest.approx(0.044, abs=0.004)
    assert spread["He"] == pytest.approx(np.sqrt(2 / 25), rel=0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pooling": "min"},
        {"relu": "everywhere"},
        {"initializer": "ones"},
        {"optimizer": "Muon"},
        {"learning_rate": 0.0},
        {"dropout": 1.0},
        {"batch_size": 0},
        {"filter_size": 0},
    ],
)
def test_a_variant_that_cannot_be_built_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Variant(**wrong)  # type: ignore[arg-type]


def test_a_number_of_iterations_between_two_entries_is_refused(mnist: Mnist) -> None:
    with pytest.raises(ValueError, match="multiple of 100"):
        train_variant(Variant(), mnist, seed=0, num_iterations=150)


def test_a_table_is_written_and_read_where_its_path_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for path in ("~/mine.csv", "~/no ending", Path("~/table")):
        save_study(path, {"seed": [1, 2]})
        assert load_study(path)["seed"].tolist() == [1, 2]
    assert {found.name for found in tmp_path.iterdir()} == {"mine.csv", "no ending", "table"}
    with pytest.raises(FileNotFoundError, match=r"cannot write .*mine.csv: .* no folder .*missing"):
        save_study("~/missing/mine.csv", {"seed": [1]})
    with pytest.raises(
        StudyError, match=r"no study or file '~/gone.csv'; those that come with the book"
    ):
        load_study("~/gone.csv")
