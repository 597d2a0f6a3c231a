"""Training the network.

Taught in ``notebooks/loss.ipynb`` and ``notebooks/optimisation.ipynb``, where one step is
taken by hand before :func:`optimize` takes thousands.
"""

from __future__ import annotations

import reprlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_helpers._checks import check_count
from mnist_helpers._quiet import quiet
from mnist_helpers.augmentation import Distortion, distort_images
from mnist_helpers.batches import batch_indices
from mnist_helpers.data import IMAGE_SIZE_FLAT, Split
from mnist_helpers.evaluation import Evaluation, check_kinds, cross_entropy, evaluate
from mnist_helpers.network import Network
from mnist_helpers.optimizer import LEARNING_RATE, TrainingState, take_step
from mnist_helpers.precision import Precision, check_precision

with quiet():
    import tensorflow as tf


LONG_RUN = 1_000  # from this many iterations on, a notebook shows a progress bar


@dataclass(frozen=True, eq=False)
class History:
    """What :func:`optimize` measured.

    Attributes:
        iterations: The number of each step taken, ``[k]``, counted from the untrained network.
        loss: Mean cross-entropy of the step's batch before the step, ``[k]``, in nats.
        accuracy: Share of the step's batch that was right before the step, ``[k]``, 0 to 1.
        validation_iterations: After which steps the validation images were judged, ``[m]``.
        validation_loss: Their mean cross-entropy, ``[m]``.
        validation_accuracy: Share of them that was right, ``[m]``.
        seconds: Time used for the steps and for judging the validation images.
        tracing_seconds: Time used before them to build the graph.
    """

    iterations: npt.NDArray[np.int64] = field(repr=False)
    loss: npt.NDArray[np.float32] = field(repr=False)
    accuracy: npt.NDArray[np.float32] = field(repr=False)
    validation_iterations: npt.NDArray[np.int64] = field(repr=False)
    validation_loss: npt.NDArray[np.float64] = field(repr=False)
    validation_accuracy: npt.NDArray[np.float64] = field(repr=False)
    seconds: float
    tracing_seconds: float = 0.0

    def __add__(self, later: History) -> History:
        """Join the history of a first leg and of the leg after it."""
        times = {"seconds", "tracing_seconds"}
        joined: dict[str, Any] = {
            name: getattr(self, name) + getattr(later, name)
            if name in times
            else np.concatenate([getattr(self, name), getattr(later, name)])
            for name in self.__dataclass_fields__
        }
        return History(**joined)


@dataclass(frozen=True)
class Recipe:
    """What a step of optimisation does. Each recipe needs a graph of its own.

    The images' numbers are ``tf.uint8`` (0..255) or ``tf.float32`` (0..1); for the rest see
    :func:`optimize`.
    """

    image_type: tf.DType = tf.float32
    precision: Precision = "float32"
    label_smoothing: float = 0.0
    distortion: Distortion | None = None


def _cost(logits: tf.Tensor, labels: tf.Tensor, label_smoothing: float) -> tf.Tensor:
    """The mean cross-entropy of a batch, its labels smoothed."""
    losses = cross_entropy(logits, labels)
    if label_smoothing:
        every_class = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=1)
        losses += label_smoothing * (every_class - losses)
    return tf.reduce_mean(losses)


def _training_loop(net: Network, state: TrainingState, recipe: Recipe) -> Callable[..., Any]:
    """Build the graph that takes many steps in one call.

    A loop inside the graph saves going back to Python, and copying a batch, for each step.
    """

    def prepare(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        if recipe.distortion is not None:
            images = distort_images(images, recipe.distortion, [seed, state.steps])
        images = tf.cast(images, recipe.precision)
        return images / 255 if recipe.image_type == tf.uint8 else images

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, IMAGE_SIZE_FLAT], recipe.image_type),
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None], tf.float32),
            tf.TensorSpec([], tf.int64),
        ]
    )
    def train_steps(
        images: tf.Tensor, labels: tf.Tensor, batches: tf.Tensor, rates: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        num_steps = tf.shape(batches)[0]
        losses = tf.TensorArray(tf.float32, num_steps)
        accuracies = tf.TensorArray(tf.float32, num_steps)
        for step in tf.range(num_steps):
            batch_labels = tf.gather(labels, batches[step])
            batch_images = prepare(tf.gather(images, batches[step]), seed)
            with tf.GradientTape() as tape:
                logits = net.quickest_logits(batch_images, recipe.precision, training=True)
                loss = _cost(logits, batch_labels, recipe.label_smoothing)
            # A subclass may leave out a layer; what no logit depends on stays as it is.
            gradients = tape.gradient(loss, state.variables, unconnected_gradients="zero")
            with tf.name_scope("adam"):
                take_step(gradients, state, rates[step])
            correct = tf.argmax(logits, axis=1) == batch_labels
            losses = losses.write(step, loss)
            accuracies = accuracies.write(step, tf.reduce_mean(tf.cast(correct, tf.float32)))
        return losses.stack(), accuracies.stack()

    # Traced here and once: TensorFlow would warn of a function that is traced again and again
    # when several networks are trained one after the other.
    return train_steps.get_concrete_function()  # type: ignore[no-any-return]


def _rates_of_steps(learning_rate: Any, num_iterations: int) -> npt.NDArray[np.float32]:
    """Give each step its learning rate, ``[num_iterations]``, refusing what cannot be one."""
    if callable(learning_rate) or isinstance(learning_rate, str):
        raise TypeError(
            "learning_rate must be one number, or one for each step; for a schedule pass "
            f"one_cycle({num_iterations}, peak) or [float(schedule(step)) for step in "
            f"range({num_iterations})]; got {type(learning_rate).__name__}"
        )
    try:
        rates = np.asarray(learning_rate, np.float32)
    except (TypeError, ValueError):
        raise TypeError(
            "learning_rate must be one number, or one for each step; got "
            f"{reprlib.repr(learning_rate)}"
        ) from None
    if rates.shape not in ((), (num_iterations,)):
        raise ValueError(
            f"learning_rate must be one number, or one for each of the {num_iterations:,} steps; "
            f"got shape {rates.shape}"
        )
    rates = np.broadcast_to(rates, num_iterations)
    wrong = ~(np.isfinite(rates) & (rates > 0))
    if wrong.any():
        raise ValueError(
            f"learning_rate must be positive and finite; got {rates[wrong][0]:g} for step "
            f"{wrong.argmax() + 1:,}"
        )
    return rates


def _state_of(net: Network) -> TrainingState:
    """Pick up what the last call remembered, or start afresh if that is for other variables."""
    before = net.training_state
    if before is not None and before.is_of(list(net.weights.values())):
        return before
    state = net.training_state = TrainingState(list(net.weights.values()))
    if before is not None:
        state.batch_size, state.seed = before.batch_size, before.seed
    return state


def optimize(
    net: Network,
    split: Split,
    num_iterations: int,
    *,
    validation: Split | None = None,
    learning_rate: float | npt.ArrayLike = LEARNING_RATE,
    batch_size: int | None = None,
    seed: int | None = None,
    label_smoothing: float = 0.0,
    distortion: Distortion | None = None,
    precision: Precision = "float32",
    log_every: int = 100,
    verbose: bool = True,
) -> History:
    """Improve the network's weights, one batch of images a step, with Adam.

    Called again, it carries on where it left off: the same steps in one call or in several give
    the same weights. (A network from :func:`~mnist_helpers.checkpoints.load_checkpoint` goes
    on with the batches that come next, but Adam starts afresh: a checkpoint holds weights
    only. :func:`~mnist_helpers.checkpoints.save_training` keeps all of it.) The same network,
    data and seed give the same weights on the same machine.

    Stopped by Ctrl-C, it leaves the network as the last step made it. If a variable of the
    network has been replaced since, the optimiser starts afresh.

    Args:
        net: The network; its weights and ``iterations`` are changed.
        split: Images and labels to learn from, ``data.train``.
        num_iterations: How many steps to take.
        validation: Images to judge every ``log_every`` steps, ``data.validation``.
        learning_rate: Adam's; about how far a weight can move in one step. One number, or one
            for each of the steps, ``[num_iterations]``, such as :func:`one_cycle` gives.
        batch_size: Images in each step; by default as in the call before, or 64 in the first.
            Where the split has fewer, some come twice in a step.
        seed: Decides the order of the images, see :func:`batch_indices`; by default as in
            the call before, or 0 in the first.
        label_smoothing: Share of certainty, 0 to 1, that the loss spreads over all classes
            (C. Szegedy et al., "Rethinking the Inception Architecture", 2016, section 7).
        distortion: Distort each image at random, in a different way each time it comes; see
            :func:`~mnist_helpers.augmentation.distort_images`.
        precision: What the layers compute with: ``"float32"``, or ``"bfloat16"`` where the
            processor has instructions for it, see
            :func:`~mnist_helpers.precision.fastest_precision`. Weights, loss and Adam stay
            float32.
        log_every: Print a line, and judge the validation images, after every so many steps
            and after the last.
        verbose: Whether to print; a long run in a notebook then shows a progress bar too.

    Returns:
        Loss and accuracy of each step, and those of the validation images.

    Raises:
        FloatingPointError: If the loss, or a weight (checked every ``log_every`` steps), is no
            longer a finite number; it names the step.
        KeyboardInterrupt: If it was stopped; it names the step.
    """
    check_kinds(net, split=split, **({} if validation is None else {"validation": validation}))
    num_iterations = check_count("num_iterations", num_iterations)
    log_every = check_count("log_every", log_every)
    batch_size = None if batch_size is None else check_count("batch_size", batch_size)
    seed = None if seed is None else check_count("seed", seed, least=0)
    rates = _rates_of_steps(learning_rate, num_iterations)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be from 0 to 1; got {label_smoothing}")
    precision = check_precision(precision)
    state = _state_of(net)
    state.batch_size = state.batch_size if batch_size is None else batch_size
    state.seed = state.seed if seed is None else seed
    images, _ = state.tensors_of(split)
    recipe = Recipe(images.dtype, precision, label_smoothing, distortion)
    began = time.perf_counter()
    train_steps = net.look_up(state.loops, recipe, lambda: _training_loop(net, state, recipe))
    tracing_seconds = time.perf_counter() - began

    # Steps that the network had before this optimiser: those of a checkpoint.
    forgotten = net.iterations - int(state.steps.numpy())
    report = _Report(net, validation, precision, num_iterations, verbose)
    began = time.perf_counter()
    try:
        for loss, accuracy in _take_legs(net, state, split, train_steps, rates, log_every):
            report.add(loss, accuracy)
    except KeyboardInterrupt:
        # Python hears of Ctrl-C when the graph has taken its steps, perhaps before they are
        # counted; the optimiser's own count is always right.
        net.iterations = forgotten + int(state.steps.numpy())
        raise KeyboardInterrupt(
            f"training was stopped after iteration {net.iterations:,}. The network is intact and "
            "can be used; optimize(…) goes on from there"
        ) from None
    return report.finish(time.perf_counter() - began, tracing_seconds)


def _take_legs(
    net: Network,
    state: TrainingState,
    split: Split,
    train_steps: Callable[..., Any],
    rates: npt.NDArray[np.float32],
    log_every: int,
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    """Take the steps, some at a time: up to each round number, and to the end.

    After each leg come the loss and the accuracy of its steps, ``[count]`` each.
    """
    images, labels = state.tensors_of(split)
    seed = tf.constant(state.seed, tf.int64)
    first, end = net.iterations, net.iterations + len(rates)
    while net.iterations < end:
        # Up to the next round number, so that a line's number does not depend on the start.
        count = min(log_every - net.iterations % log_every, end - net.iterations)
        batches = batch_indices(len(split), state.batch_size, net.iterations, count, state.seed)
        leg = rates[net.iterations - first : net.iterations - first + count]
        results = train_steps(images, labels, tf.constant(batches), tf.constant(leg), seed)
        loss, accuracy = (result.numpy() for result in results)
        net.iterations += count
        _check_finite(net, loss, leg)
        yield loss, accuracy


def _check_finite(
    net: Network, loss: npt.NDArray[np.float32], rates: npt.NDArray[np.float32]
) -> None:
    """Stop where a loss of the last steps, or a weight after them, is not finite.

    The weights too: ReLU turns NaN into 0, so that the loss of a network whose filters are lost
    may look sound.
    """
    lost = ~np.isfinite(loss)
    if not lost.any() and all(np.isfinite(v.numpy()).all() for v in net.weights.values()):
        return
    place = int(lost.argmax()) if lost.any() else len(loss) - 1
    raise FloatingPointError(
        f"at iteration {net.iterations - len(loss) + 1 + place:,} the loss or a weight is no "
        "longer a finite number: training went astray. Start again from a new network with a "
        f"smaller learning_rate (it was {rates[place]:g}); if that does not help, look at weights "
        "that you set yourself, and at layers of your own."
    )


class _Report:
    """What is measured, and what is printed of it, as training goes on."""

    def __init__(
        self,
        net: Network,
        validation: Split | None,
        precision: Precision,
        num_iterations: int,
        verbose: bool,
    ) -> None:
        self._net, self._validation, self._precision = net, validation, precision
        self._verbose = verbose
        self._losses: list[npt.NDArray[np.float32]] = []
        self._accuracies: list[npt.NDArray[np.float32]] = []
        self._judged: list[tuple[int, Evaluation]] = []
        self._first, self._num_iterations = net.iterations, num_iterations
        is_long = verbose and num_iterations >= LONG_RUN
        self._bar = _progress_bar(num_iterations) if is_long else None

    def add(self, loss: npt.NDArray[np.float32], accuracy: npt.NDArray[np.float32]) -> None:
        """Take in a leg, and judge the validation images after it."""
        iteration = self._net.iterations
        self._losses.append(loss)
        self._accuracies.append(accuracy)
        line = f"Iteration {iteration:6,}: batch loss {loss[-1]:.3f}, "
        line += f"batch accuracy {accuracy[-1]:6.1%}"
        if self._validation is not None:
            result = evaluate(self._net, self._validation, precision=self._precision)
            self._judged.append((iteration, result))
            line += f", validation accuracy {result.accuracy:6.1%}"
        if self._verbose:
            print(line)
        if self._bar is not None:
            self._bar.progress = iteration - self._first

    def finish(self, seconds: float, tracing_seconds: float) -> History:
        """Print the time, and put together what was measured."""
        count = self._num_iterations
        if self._verbose:
            print(f"{count:,} iteration{'s'[: count > 1]} took {seconds:.1f} s")
        return History(
            iterations=np.arange(self._first + 1, self._first + count + 1),
            loss=np.concatenate(self._losses),
            accuracy=np.concatenate(self._accuracies),
            validation_iterations=np.array([step for step, _ in self._judged], np.int64),
            validation_loss=np.array([result.loss for _, result in self._judged]),
            validation_accuracy=np.array([result.accuracy for _, result in self._judged]),
            seconds=seconds,
            tracing_seconds=tracing_seconds,
        )


def _progress_bar(total: int) -> Any:
    """Show a progress bar, whose ``progress`` is to be set, where there is a notebook.

    Elsewhere there is none, and the printed lines tell as much.
    """
    ipython = sys.modules.get("IPython")
    if ipython is None or not hasattr(ipython.get_ipython(), "kernel"):
        return None
    bar: Any = ipython.display.ProgressBar(total)
    bar.display()
    return bar
