"""Training and judging: the laws of the batches, of Adam, and of stopping and going on."""

from __future__ import annotations

import io
import logging
import math
import os
import re
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import log_softmax

from mnist_helpers import (
    ConvNet,
    Evaluation,
    History,
    Mnist,
    Split,
    batch_indices,
    cross_entropy,
    evaluate,
    optimize,
)
from mnist_helpers._quiet import quiet
from mnist_helpers.augmentation import Distortion
from mnist_helpers.checkpoints import load_training, save_training
from mnist_helpers.optimizer import one_cycle
from mnist_helpers.precision import Precision, fastest_precision

with quiet():
    import tensorflow as tf

laws = settings(max_examples=50, derandomize=True)


def tiny_problem(n: int, seed: int = 0) -> Split:
    """Images of ten rough shapes, one for each class, with noise; easy to learn."""
    shapes = np.random.default_rng(99).random((10, 784)) > 0.7
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    images = np.clip(0.6 * shapes[labels] + 0.4 * rng.random((n, 784)), 0, 1)
    return Split(images.astype(np.float32), labels)


TRAIN = tiny_problem(50)
VALIDATION = tiny_problem(23, seed=1)


def train(net: ConvNet, num_iterations: int, **arguments: Any) -> History:
    """Train quickly: few images a step and large steps."""
    arguments = {"batch_size": 8, "learning_rate": 1e-3, "verbose": False, **arguments}
    return optimize(net, TRAIN, num_iterations, **arguments)


def weights(net: ConvNet) -> list[npt.NDArray[np.float32]]:
    return [variable.numpy() for variable in net.weights.values()]


@pytest.fixture(scope="module")
def net() -> ConvNet:
    return ConvNet(seed=1)


class Leg:
    """A network trained for 12 steps at once, its history and what was printed."""

    def __init__(self) -> None:
        self.net = ConvNet(seed=0)
        printed = io.StringIO()
        with redirect_stdout(printed):
            self.history = train(
                self.net, 12, validation=VALIDATION, log_every=5, seed=7, verbose=True
            )
        self.printed = printed.getvalue()


@pytest.fixture(scope="module")
def leg() -> Leg:
    return Leg()


# Batches


@given(st.integers(1, 60), st.integers(1, 25), st.integers(1, 4), st.integers(0, 2**31))
@laws
def test_every_image_comes_once_an_epoch(
    num_images: int, batch_size: int, num_epochs: int, seed: int
) -> None:
    count = math.ceil(num_epochs * num_images / batch_size)
    stream = batch_indices(num_images, batch_size, 0, count, seed).ravel()
    for epoch in range(num_epochs):
        one_epoch = stream[epoch * num_images : (epoch + 1) * num_images]
        assert sorted(one_epoch) == list(range(num_images))


@given(
    st.integers(1, 60),
    st.integers(1, 25),
    st.integers(0, 50),
    st.lists(st.integers(1, 8), min_size=1, max_size=5),
)
@laws
def test_batches_do_not_depend_on_how_the_range_is_cut(
    num_images: int, batch_size: int, start: int, counts: list[int]
) -> None:
    whole = batch_indices(num_images, batch_size, 0, start + sum(counts))
    pieces = [
        batch_indices(num_images, batch_size, start + sum(counts[:i]), count)
        for i, count in enumerate(counts)
    ]
    for piece, count in zip(pieces, counts, strict=True):
        assert piece.shape == (count, batch_size)
        assert piece.dtype == np.int32
    np.testing.assert_array_equal(np.concatenate(pieces), whole[start:])


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    first, second = batch_indices(1_000, 1_000, 0, 2, seed=1)
    (other,) = batch_indices(1_000, 1_000, 0, 1, seed=2)
    for order in (first, second, other):
        # About 1 of 1,000 images stays where it was; 20 do once in 10**18 shuffles.
        assert (order == np.arange(1_000)).sum() < 20
    assert (first == second).sum() < 20
    assert (first == other).sum() < 20


@pytest.mark.parametrize(
    "bad", [{"num_images": 0}, {"batch_size": 0}, {"start": -1}, {"count": 0}, {"count": -2}]
)
def test_batches_of_nothing_are_refused(bad: dict[str, int]) -> None:
    arguments = {"num_images": 5, "batch_size": 2, "start": 0, "count": 1, **bad}
    ((name, value),) = bad.items()
    with pytest.raises(ValueError, match=f"{name} must be at least .; got {value}"):
        batch_indices(**arguments)
    with pytest.raises(TypeError, match=f"{name} must be a whole number; got 1.5"):
        batch_indices(**{**arguments, name: 1.5})


# Cross-entropy


@given(
    hnp.arrays(np.float32, (4, 10), elements=st.floats(-1e4, 1e4, width=32)),
    hnp.arrays(np.int64, 4, elements=st.integers(0, 9)),
)
@laws
def test_cross_entropy_is_minus_the_log_of_the_labels_probability(
    logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> None:
    surprise = cross_entropy(logits, labels)
    expected = -log_softmax(logits.astype(float), axis=1)[np.arange(4), labels]
    assert surprise.shape == (4,)
    assert surprise.dtype == tf.float32
    assert np.isfinite(surprise).all()
    np.testing.assert_allclose(surprise, expected, rtol=1e-5, atol=1e-5)


def test_cross_entropy_of_what_can_be_said_beforehand() -> None:
    logits = np.zeros((3, 10), np.float32)
    logits[1, 4] = 1e4  # sure
    logits[2, 5] = 1e4  # sure, and of another class
    np.testing.assert_allclose(
        cross_entropy(logits, [0, 4, 4]), [math.log(10), 0, 1e4], rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_cross_entropy_takes_whole_numbers_of_any_size(dtype: type) -> None:
    logits = np.eye(10, dtype=np.float32)
    np.testing.assert_array_equal(
        cross_entropy(logits, np.arange(10).astype(dtype)), cross_entropy(logits, range(10))
    )


# Evaluation


def test_evaluation_equals_a_count_by_hand(net: ConvNet) -> None:
    result = evaluate(net, TRAIN)
    assert isinstance(result, Evaluation)
    logits = net(TRAIN.images).numpy().astype(float)
    predictions = [max(range(10), key=lambda digit: row[digit]) for row in logits]
    right = [guess == true for guess, true in zip(predictions, TRAIN.labels, strict=True)]

    assert result.predictions.dtype == np.int64
    assert result.predictions.tolist() == predictions
    assert result.num_correct == sum(right)
    assert result.accuracy == sum(right) / 50
    assert 0 < result.num_correct < 50
    assert result.probabilities.shape == (50, 10)
    np.testing.assert_allclose(result.probabilities, np.exp(log_softmax(logits, axis=1)), rtol=1e-4)
    surprise = -log_softmax(logits, axis=1)[np.arange(50), TRAIN.labels]
    assert result.loss == pytest.approx(surprise.mean(), rel=1e-5)


@given(st.integers(1, 60), st.integers(1, 50))
@settings(max_examples=10, derandomize=True)
def test_batch_size_does_not_change_the_result(net: ConvNet, batch_size: int, n: int) -> None:
    split = Split(TRAIN.images[:n], TRAIN.labels[:n])
    one, other = evaluate(net, split), evaluate(net, split, batch_size)
    np.testing.assert_array_equal(one.predictions, other.predictions)
    assert one.num_correct == other.num_correct
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)
    assert one.loss == pytest.approx(other.loss, rel=1e-4)


@pytest.mark.parametrize(("batch_size", "expected"), [(20, [20, 20, 10]), (50, [50]), (256, [50])])
def test_no_more_than_a_batch_is_in_memory_at_once(batch_size: int, expected: list[int]) -> None:
    sizes: list[int] = []

    class Counting(ConvNet):
        def layer_outputs(self, images: Any) -> dict[str, tf.Tensor]:
            tf.py_function(lambda n: sizes.append(int(n)), [tf.shape(images)[0]], [])
            return super().layer_outputs(images)

    evaluate(Counting(seed=1), TRAIN, batch_size)
    assert sizes == expected


def test_evaluation_leaves_the_network_alone(net: ConvNet) -> None:
    before = weights(net)
    evaluate(net, VALIDATION)
    for one, other in zip(before, weights(net), strict=True):
        np.testing.assert_array_equal(one, other)
    assert net.iterations == 0


def test_an_evaluation_of_nothing_is_refused(net: ConvNet) -> None:
    empty = Split(TRAIN.images[:0], TRAIN.labels[:0])
    with pytest.raises(ValueError, match="split has no images"):
        evaluate(net, empty)
    with pytest.raises(ValueError, match="batch_size must be at least 1; got 0"):
        evaluate(net, TRAIN, batch_size=0)


# Training


def test_optimize_is_adam_step_by_step() -> None:
    """The same twelve steps in eager mode, Adam's formulas written out in NumPy.

    At a small learning rate: a large one parts the two where rounding flips a ReLU.
    """
    trained, net = ConvNet(seed=0), ConvNet(seed=0)
    history = train(trained, 12, learning_rate=1e-4, seed=7)
    start = weights(net)
    variables = list(net.weights.values())
    means = [np.zeros(v.shape) for v in variables]
    squares = [np.zeros(v.shape) for v in variables]
    for step, batch in enumerate(batch_indices(50, 8, 0, 12, seed=7), start=1):
        with tf.GradientTape() as tape:
            logits = net(TRAIN.images[batch])
            loss = tf.reduce_mean(
                tf.nn.softmax_cross_entropy_with_logits(TRAIN.one_hot[batch], logits)
            )
        right = logits.numpy().argmax(axis=1) == TRAIN.labels[batch]
        assert history.loss[step - 1] == pytest.approx(float(loss), rel=1e-4)
        assert history.accuracy[step - 1] == right.mean()

        for i, gradient in enumerate(tape.gradient(loss, variables)):
            g = gradient.numpy().astype(float)
            means[i] = 0.9 * means[i] + 0.1 * g
            squares[i] = 0.999 * squares[i] + 0.001 * g**2
            rate = 1e-4 * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            variables[i].assign_sub(rate * means[i] / (np.sqrt(squares[i]) + 1e-7))

    for expected, found, first in zip(weights(net), weights(trained), start, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert np.abs(found - first).max() > 1e-4, "twelve steps go farther than the tolerance"


def test_a_hundred_fast_steps_give_the_readable_networks_weights() -> None:
    """The chapters' own network and Keras's Adam, a step at a time, on full batches."""
    split = tiny_problem(500)
    trained, net = ConvNet(seed=3), ConvNet(seed=3)
    start = weights(net)
    optimize(trained, split, 100, verbose=False)
    adam = tf.keras.optimizers.Adam(1e-4)
    variables = list(net.weights.values())

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(cross_entropy(net(images), labels))
        adam.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    for batch in batch_indices(500, 64, 0, 100):
        step(tf.constant(split.images[batch]), tf.constant(split.labels[batch]))
    for expected, found, first in zip(weights(net), weights(trained), start, strict=True):
        # Adam takes steps as long for the smallest gradients, where all is rounding: a change of
        # the images by a ten-millionth parts two runs by up to 0.6% of the way they went.
        assert np.linalg.norm(found - expected) < 0.03 * np.linalg.norm(found - first)


@pytest.mark.skipif(fastest_precision() != "bfloat16", reason="no instructions for bfloat16")
def test_bfloat16_learns_the_same_with_weights_in_float32() -> None:
    split = tiny_problem(500)
    nets = {precision: ConvNet(seed=3) for precision in ("float32", "bfloat16")}
    for precision, net in nets.items():
        history = optimize(net, split, 100, learning_rate=1e-3, precision=precision, verbose=False)
        assert all(
            v.dtype == tf.float32 for v in (*net.weights.values(), *net.training_state.means)
        )
        assert history.loss[-1] < 0.5
    one, other = (evaluate(net, VALIDATION, precision=p) for p, net in nets.items())
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=0.05)
    assert not np.array_equal(one.probabilities, other.probabilities)


@pytest.mark.parametrize(("cuts", "log_every"), [([5, 7], 5), ([1, 10, 1], 100)])
def test_several_legs_are_one(leg: Leg, cuts: list[int], log_every: int) -> None:
    net = ConvNet(seed=0)
    histories = [
        train(net, count, validation=VALIDATION, log_every=log_every, seed=7) for count in cuts
    ]
    assert net.iterations == 12
    for one, other in zip(weights(net), weights(leg.net), strict=True):
        np.testing.assert_array_equal(one, other)

    joined = histories[0]
    for later in histories[1:]:
        joined = joined + later
    np.testing.assert_array_equal(joined.iterations, leg.history.iterations)
    np.testing.assert_array_equal(joined.loss, leg.history.loss)
    np.testing.assert_array_equal(joined.accuracy, leg.history.accuracy)
    assert joined.seconds == pytest.approx(sum(history.seconds for history in histories))
    if log_every == 5:
        for name in ("validation_iterations", "validation_loss", "validation_accuracy"):
            np.testing.assert_array_equal(getattr(joined, name), getattr(leg.history, name))
    else:
        assert joined.validation_iterations.tolist() == [1, 11, 12]


def test_the_same_seed_gives_the_same_weights_and_another_others(leg: Leg) -> None:
    same, other = ConvNet(seed=0), ConvNet(seed=0)
    history = train(same, 12, seed=7)
    train(other, 12, seed=8)
    np.testing.assert_array_equal(history.loss, leg.history.loss)
    for one, two, three in zip(weights(leg.net), weights(same), weights(other), strict=True):
        np.testing.assert_array_equal(one, two)
        assert not np.array_equal(one, three)


def test_history_holds_every_step(leg: Leg) -> None:
    history = leg.history
    assert history.iterations.tolist() == list(range(1, 13))
    assert history.loss.shape == history.accuracy.shape == (12,)
    assert history.loss.dtype == history.accuracy.dtype == np.float32
    # Before the first step a network knows nothing.
    assert history.loss[0] == pytest.approx(math.log(10), abs=0.3)
    assert set(history.accuracy * 8) <= set(range(9))
    assert history.seconds > 0


def test_validation_images_are_judged_at_round_numbers_and_at_the_end(leg: Leg) -> None:
    history = leg.history
    assert history.validation_iterations.tolist() == [5, 10, 12]
    result = evaluate(leg.net, VALIDATION)
    assert history.validation_accuracy[-1] == result.accuracy
    assert history.validation_loss[-1] == pytest.approx(result.loss, rel=1e-6)

    halfway = ConvNet(seed=0)
    train(halfway, 5, seed=7)
    assert history.validation_accuracy[0] == evaluate(halfway, VALIDATION).accuracy


def test_without_validation_images_nothing_is_judged() -> None:
    history = train(ConvNet(seed=0), 2)
    assert len(history.validation_iterations) == 0
    assert len(history.validation_loss) == len(history.validation_accuracy) == 0


def test_progress_is_printed_at_round_numbers(leg: Leg) -> None:
    *lines, last = leg.printed.splitlines()
    history = leg.history
    assert lines == [
        f"Iteration {step:6,}: batch loss {history.loss[step - 1]:.3f}, "
        f"batch accuracy {history.accuracy[step - 1]:6.1%}, "
        f"validation accuracy {accuracy:6.1%}"
        for step, accuracy in zip([5, 10, 12], history.validation_accuracy, strict=True)
    ]
    assert re.fullmatch(r"12 iterations took \d+\.\d s", last)


def test_a_second_leg_prints_at_the_same_round_numbers(
    leg: Leg, capsys: pytest.CaptureFixture[str]
) -> None:
    net = ConvNet(seed=0)
    train(net, 3)
    assert capsys.readouterr().out == ""
    train(net, 4, log_every=5, verbose=True)
    printed = capsys.readouterr().out
    assert re.findall(r"Iteration +(\d+):", printed) == ["5", "7"]
    assert "validation" not in printed


def test_a_long_run_outside_a_notebook_prints_lines_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    import ipykernel  # noqa: F401  (as a library may have done: that makes no notebook)

    train(ConvNet(seed=0), 1_000, batch_size=1, log_every=500, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == ["Iteration    500", "Iteration  1,000"]
    assert lines[2].startswith("1,000 iterations took")
    assert len(lines) == 3


def test_training_learns_a_tiny_problem() -> None:
    net = ConvNet(seed=0)
    before = evaluate(net, VALIDATION)
    history = train(net, 150)
    after = evaluate(net, VALIDATION)
    assert before.accuracy < 0.5
    assert after.accuracy > 0.9, "images that it has not seen"
    assert after.loss < before.loss / 3
    assert history.loss[-10:].mean() < history.loss[:10].mean() / 3


def test_other_sizes_of_numbers_are_converted() -> None:
    one, other = ConvNet(seed=0), ConvNet(seed=0)
    wide: Any = Split(TRAIN.images.astype(np.float64), TRAIN.labels.astype(np.uint8))
    first = optimize(one, wide, 2, batch_size=8, verbose=False)
    second = optimize(other, TRAIN, 2, batch_size=8, verbose=False)
    np.testing.assert_array_equal(first.loss, second.loss)
    assert evaluate(one, wide).loss == evaluate(other, TRAIN).loss


def test_one_graph_serves_every_batch_size_and_number_of_steps() -> None:
    net = ConvNet(seed=0)
    graphs = set()
    for batch_size, count in [(8, 1), (3, 4), (64, 2)]:
        train(net, count, batch_size=batch_size)
        assert net.training_state is not None
        [(_, loop)] = net.training_state.loops._graphs.values()
        graphs.add(loop.graph)
    assert len(graphs) == 1


def test_training_many_networks_writes_no_warning(capfd: pytest.CaptureFixture[str]) -> None:
    handler = logging.StreamHandler()  # to standard error as it is now, which capfd reads
    tf.get_logger().addHandler(handler)
    try:
        for seed in range(7):
            train(ConvNet(seed=seed), 2)
    finally:
        tf.get_logger().removeHandler(handler)
    assert capfd.readouterr().err == ""


def test_ctrl_c_leaves_a_network_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted while the graph runs: its steps are taken and must be counted."""
    split = Split(np.eye(50, 784, dtype=np.float32), np.arange(50) % 10)
    whole, net = ConvNet(seed=4), ConvNet(seed=4)
    optimize(whole, split, 30, log_every=10, verbose=False)
    optimize(net, split, 5, log_every=10, verbose=False)

    calls = []
    [(_, train_steps)] = net.training_state.loops._graphs.values()

    def interrupted(*arguments: object) -> object:
        result = train_steps(*arguments)
        calls.append(result)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return result

    monkeypatch.setattr(net.training_state.loops, "look_up", lambda *_: interrupted)
    # A process that was started in the background ignores the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt, match="stopped after iteration 20"):
            optimize(net, split, 25, log_every=10, verbose=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert net.iterations == 20
    optimize(net, split, 10, log_every=10, verbose=False)
    for name, variable in whole.weights.items():
        assert variable.numpy().tobytes() == net.weights[name].numpy().tobytes(), name


def test_a_later_call_keeps_batch_size_and_order_of_the_images() -> None:
    split = Split(np.eye(50, 784, dtype=np.float32), np.arange(50) % 10)
    whole, net = ConvNet(seed=4), ConvNet(seed=4)
    optimize(whole, split, 6, batch_size=7, seed=3, verbose=False)
    optimize(net, split, 2, batch_size=7, seed=3, verbose=False)
    optimize(net, split, 4, verbose=False)
    for name, variable in whole.weights.items():
        assert variable.numpy().tobytes() == net.weights[name].numpy().tobytes(), name


def test_a_loss_that_is_no_number_is_named_by_its_iteration() -> None:
    # Step 1 is sound; the biases that it leaves give the logits of step 2 an infinity.
    with pytest.raises(
        FloatingPointError,
        match=r"at iteration 2 the loss .*smaller learning_rate \(it was 1e\+38\)",
    ):
        train(ConvNet(seed=0), 10, learning_rate=1e38)


def test_the_iteration_is_counted_from_the_untrained_network() -> None:
    net = ConvNet(seed=0)
    train(net, 3)
    net.fc2.biases.assign(np.full(10, np.inf))
    with pytest.raises(FloatingPointError, match="at iteration 4 the loss"):
        train(net, 5)


class SoundLoss(ConvNet):
    """Its loss looks sound whatever its weights become, as where ReLU turns NaN into zeros.

    oneDNN's ReLU does, other kernels hand NaN on.
    """

    def fast_logits(
        self, images: Any, precision: Precision = "float32", training: bool = False
    ) -> tf.Tensor:
        """Zeros in the place of what is no finite number."""
        logits = super().fast_logits(images, precision, training)
        return tf.where(tf.math.is_finite(logits), logits, 0.0)


def test_weights_that_are_lost_behind_a_sound_loss_are_found() -> None:
    images = TRAIN.images.copy()
    spoilt = batch_indices(50, 8, 0, 3)[2, 0]
    images[spoilt] = np.nan
    split = Split(TRAIN.images, TRAIN.labels)
    object.__setattr__(split, "images", images)  # a split itself refuses NaN
    assert np.isfinite(evaluate(SoundLoss(seed=0), split).loss)
    net = SoundLoss(seed=0)
    with pytest.raises(FloatingPointError, match=r"at iteration 4 .*weights that you set"):
        optimize(net, split, 10, batch_size=8, verbose=False, log_every=2)


EMPTY = Split(TRAIN.images[:0], TRAIN.labels[:0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_iterations": 0}, "num_iterations must be at least 1; got 0"),
        ({"num_iterations": -3}, "num_iterations must be at least 1; got -3"),
        ({"log_every": 0}, "log_every must be at least 1; got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1; got 0"),
        ({"seed": -1}, "seed must be at least 0; got -1"),
        ({"split": EMPTY}, "split has no images"),
        ({"validation": EMPTY}, "validation has no images"),
        ({"learning_rate": 0.0}, "learning_rate must be positive and finite; got 0 "),
        ({"learning_rate": -1e-4}, "learning_rate must be positive and finite; got -0.0001"),
        ({"learning_rate": math.nan}, "learning_rate must be positive and finite; got nan"),
        ({"learning_rate": [1e-4, 0], "num_iterations": 2}, "got 0 for step 2"),
        ({"learning_rate": [1e-4] * 3, "num_iterations": 2}, "one for each of the 2 steps"),
        ({"label_smoothing": 1.5}, "label_smoothing must be from 0 to 1; got 1.5"),
        ({"precision": "float8"}, "one of float32, bfloat16; got 'float8'"),
    ],
)
def test_bad_arguments_are_refused_before_the_first_step(
    net: ConvNet, arguments: dict[str, Any], message: str
) -> None:
    before = weights(net)
    with pytest.raises(ValueError, match=re.escape(message)):
        optimize(net, **{"split": TRAIN, "num_iterations": 1, **arguments})
    assert net.iterations == 0
    for one, other in zip(before, weights(net), strict=True):
        np.testing.assert_array_equal(one, other)


MNIST = Mnist(TRAIN, VALIDATION, VALIDATION, "digits")


class KerasSchedule:
    """Called with a step's number, it gives the rate, as Keras's schedules do."""

    def __call__(self, step: int) -> float:
        """Give a rate."""
        return 1e-3 / (step + 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_iterations": 100.0}, "num_iterations must be a whole number; got 100.0"),
        ({"batch_size": "64"}, "batch_size must be a whole number; got '64'"),
        ({"log_every": None}, "log_every must be a whole number; got None"),
        ({"seed": 0.5}, "seed must be a whole number; got 0.5"),
        ({"batch_size": np.ones(1000)}, "batch_size must be a whole number; got array("),
        ({"learning_rate": KerasSchedule()}, "[float(schedule(step)) for step in range(1)]"),
        ({"learning_rate": "1e-3"}, "learning_rate must be one number"),
        ({"learning_rate": None}, "must be positive and finite; got nan"),
        ({"learning_rate": {"peak": 1}}, "learning_rate must be one number"),
        ({"learning_rate": math.inf}, "must be positive and finite; got inf"),
        ({"split": MNIST}, "split must be one split, but this is the whole data set: pass data.tr"),
        ({"validation": MNIST}, "validation must be one split, but this is the whole data set"),
        ({"split": TRAIN.images}, "split must be a Split, such as data.train or Split(images, l"),
        ({"net": TRAIN}, "pass the network first, then the split"),
        ({"net": MNIST}, "pass the network first, then the split"),
        ({"net": tf.keras.Sequential()}, "a ConvNet, or another Network; got Sequential"),
    ],
)
def test_what_is_of_another_kind_is_refused_in_one_sentence(
    net: ConvNet, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)) as error:
        optimize(**{"net": net, "split": TRAIN, "num_iterations": 1, **arguments})
    assert len(str(error.value)) < 250
    assert "\n" not in str(error.value)
    assert net.iterations == 0


@pytest.mark.parametrize("wrong", [MNIST, TRAIN.images, None])
def test_an_evaluation_says_what_it_needs(net: ConvNet, wrong: Any) -> None:
    with pytest.raises(TypeError, match="split must be"):
        evaluate(net, wrong)
    with pytest.raises(TypeError, match="pass the network first"):
        evaluate(wrong, net)
    with pytest.raises(TypeError, match="batch_size must be a whole number; got 2.5"):
        evaluate(net, TRAIN, batch_size=2.5)  # type: ignore[arg-type]


def test_whole_numbers_of_any_kind_are_counts() -> None:
    net = ConvNet(seed=np.int64(0))
    history = optimize(net, TRAIN, np.int32(2), batch_size=np.uint8(8), seed=np.int64(1))
    assert len(history.loss) == 2
    assert evaluate(net, TRAIN, np.int16(7)).loss > 0


@pytest.mark.parametrize("refused", [{"batch_size": 0}, {"seed": -1}])
def test_a_refused_argument_is_not_remembered(
    net: ConvNet, tmp_path: Path, refused: dict[str, int]
) -> None:
    optimize(net, TRAIN, 1, batch_size=8, seed=3, verbose=False)
    with pytest.raises(ValueError, match="must be at least"):
        optimize(net, TRAIN, 1, **refused)
    save_training(net, tmp_path / "state.npz")
    state = load_training(tmp_path / "state.npz").training_state
    assert state is not None
    assert (state.batch_size, state.seed) == (8, 3)


# Recipes


def test_a_rate_for_each_step_is_used_in_its_step() -> None:
    constant, listed, halves = ConvNet(seed=0), ConvNet(seed=0), ConvNet(seed=0)
    train(constant, 6)
    train(listed, 6, learning_rate=[1e-3] * 6, log_every=4)
    for found, expected in zip(weights(listed), weights(constant), strict=True):
        np.testing.assert_array_equal(found, expected)
    rates = np.linspace(1e-3, 1e-4, 6)
    falling = ConvNet(seed=0)
    train(falling, 6, learning_rate=rates)
    for part in (rates[:2], rates[2:]):
        train(halves, len(part), learning_rate=part)
    for found, expected, other in zip(
        weights(halves), weights(falling), weights(constant), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
        assert not np.array_equal(found, other)


@given(st.integers(1, 500), st.floats(1e-5, 1), st.floats(0, 1))
@laws
def test_one_cycle_rises_to_its_peak_and_falls_to_its_end(
    num_iterations: int, peak: float, warm_up: float
) -> None:
    rates = one_cycle(num_iterations, peak, warm_up)
    assert rates.shape == (num_iterations,)
    assert (rates > 0).all()
    assert rates.max() <= peak * 1.000001
    top = int(rates.argmax())
    assert (np.diff(rates[: top + 1]) >= 0).all()
    assert (np.diff(rates[top:]) <= 0).all()
    if warm_up < 1:
        assert rates[-1] == pytest.approx(peak / 100, rel=1e-5)


def test_one_cycle_by_hand() -> None:
    np.testing.assert_allclose(one_cycle(8, 0.4, 0.25), [0.2, 0.4, *np.linspace(0.334, 0.004, 6)])


def test_distortions_do_not_depend_on_how_training_is_cut() -> None:
    whole, pieces, still = ConvNet(seed=0), ConvNet(seed=0), ConvNet(seed=0)
    train(whole, 7, distortion=Distortion())
    for count in (3, 4):
        train(pieces, count, distortion=Distortion())
    train(still, 7)
    for found, expected, other in zip(weights(pieces), weights(whole), weights(still), strict=True):
        np.testing.assert_array_equal(found, expected)
        assert not np.array_equal(found, other)


@pytest.mark.parametrize("smoothing", [0.05, 1.0])
def test_label_smoothing_is_cross_entropy_against_smoothed_labels(smoothing: float) -> None:
    net = ConvNet(seed=0)
    batch = batch_indices(50, 8, 0, 1)[0]
    target = (1 - smoothing) * TRAIN.one_hot[batch] + smoothing / 10
    expected = -(target * log_softmax(net(TRAIN.images[batch]).numpy(), axis=1)).sum(1).mean()
    history = train(net, 1, label_smoothing=smoothing)
    assert history.loss[0] == pytest.approx(expected, rel=1e-5)


def test_images_kept_as_whole_numbers_train_the_same() -> None:
    pixels = np.rint(TRAIN.images * 255).astype(np.uint8)
    split = Split(pixels / np.float32(255), TRAIN.labels)
    as_floats = Split(split.images * np.float32(0.9999999), TRAIN.labels)
    assert split.pixels is not None
    assert as_floats.pixels is None
    one, other = ConvNet(seed=0), ConvNet(seed=0)
    optimize(one, split, 5, batch_size=8, verbose=False)
    optimize(other, as_floats, 5, batch_size=8, verbose=False)
    for found, expected in zip(weights(one), weights(other), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_another_split_is_learned_from_at_once() -> None:
    net, other = ConvNet(seed=0), ConvNet(seed=0)
    train(net, 3)
    history = optimize(net, VALIDATION, 1, batch_size=23, verbose=False)
    train(other, 3)
    before = evaluate(other, VALIDATION)
    assert history.loss[0] == pytest.approx(before.loss, rel=1e-4)
    assert history.loss[0] != pytest.approx(evaluate(other, TRAIN).loss, rel=1e-3)


def test_images_that_are_learned_from_cannot_be_changed_unseen() -> None:
    split = Split(TRAIN.images.copy(), TRAIN.labels)
    optimize(ConvNet(seed=0), split, 1, batch_size=8, verbose=False)
    for array in (split.images, split.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.needs_mnist
@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted otherwise elsewhere")
def test_training_on_all_of_mnist_stays_under_one_and_a_half_gigabytes() -> None:
    # Not getrusage: its peak is inherited from the process that starts this one.
    code = """
from pathlib import Path
from mnist_helpers import ConvNet, evaluate, load_mnist, optimize
data = load_mnist()
net = ConvNet(seed=0)
for num_iterations in (1, 9):
    optimize(net, data.train, num_iterations, verbose=False)
evaluate(net, data.test)
[peak] = [line for line in Path("/proc/self/status").open() if line.startswith("VmHWM")]
print(int(peak.split()[1]) * 1024)
"""
    peak = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    assert 0.5e9 < int(peak) < 1.5e9
