"""Training and judging the network.

Taught in ``notebooks/loss.ipynb`` and ``notebooks/optimisation.ipynb``, where one step is
taken by hand before :func:`optimize` takes thousands.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from mnist_helpers._quiet import quiet
from mnist_helpers.data import Split
from mnist_helpers.distortion import Distortion, distort_images
from mnist_helpers.muon import hidden_weights, muon_step
from mnist_helpers.network import IMAGE_SIZE_FLAT, NUM_CLASSES, Network
from mnist_helpers.precision import Precision, check_precision

with quiet():
    import tensorflow as tf

LEARNING_RATE = 1e-4
BATCH_SIZE = 64
EVALUATION_BATCH_SIZE = 256

# Adam's constants: D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization"
# (2015), algorithm 1; epsilon as Keras has it.
BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-7

Optimizer = Literal["adam", "muon"]
"""What can turn gradients into steps."""

LONG_RUN = 1_000
"""From this many iterations on, a notebook shows a progress bar."""


def cross_entropy(logits: Any, labels: Any) -> tf.Tensor:
    """Compute how surprised the network is by each label.

    ``-log(softmax(logits)[label])``, from the logits at once, because the softmax written out
    overflows for large ones.

    Args:
        logits: ``[n, 10]``, float32.
        labels: Class numbers ``[n]``, int.

    Returns:
        One number for each image, ``[n]``, float32, in nats: 0 for a sure and right guess,
        log(10) = 2.303 for one that knows nothing.
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(labels, tf.int64), logits)


def batch_indices(
    num_images: int, batch_size: int, start: int, count: int, seed: int = 0
) -> npt.NDArray[np.int32]:
    """Choose the images of some consecutive batches.

    The images come in a random order, each once before any comes again; then in another
    random order, and so on. What does not fill a batch at the end of one epoch begins the
    next epoch's first. The choice depends on the arguments alone, so that training can stop
    and go on anywhere.

    Args:
        num_images: How many there are to choose from.
        batch_size: Images in each batch.
        start: Number of the first batch wanted, from 0.
        count: How many batches are wanted.
        seed: The same seed gives the same batches.

    Returns:
        Row numbers ``[count, batch_size]``, int32, each in ``0 … num_images - 1``.

    Raises:
        ValueError: If there are no images, a size is not positive, or the seed is negative.
    """
    if num_images < 1 or batch_size < 1 or start < 0 or count < 1 or seed < 0:
        raise ValueError(
            "num_images, batch_size and count must be at least 1, start and seed at least 0; got "
            f"num_images={num_images}, batch_size={batch_size}, start={start}, count={count}, "
            f"seed={seed}"
        )
    first, last = start * batch_size, (start + count) * batch_size
    first_epoch = first // num_images
    order = np.concatenate(
        [
            np.random.default_rng([seed, epoch]).permutation(num_images)
            for epoch in range(first_epoch, (last - 1) // num_images + 1)
        ]
    )
    offset = first_epoch * num_images
    return order[first - offset : last - offset].reshape(count, batch_size).astype(np.int32)


def batches_of(
    images: tf.Tensor, labels: tf.Tensor, order: npt.NDArray[np.int32]
) -> tf.data.Dataset:
    """Hand out batches in a given order, as Keras's ``fit`` takes them.

    Args:
        images: ``[n, …]``.
        labels: ``[n]``.
        order: Row numbers ``[count, batch_size]``, see :func:`batch_indices`.

    Returns:
        ``count`` pairs of ``batch_size`` images and their labels.
    """
    return tf.data.Dataset.from_tensor_slices(order).map(
        lambda batch: (tf.gather(images, batch), tf.gather(labels, batch))
    )


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


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How a network judges a split.

    Attributes:
        predictions: The class that it gives each image, ``[n]``, int64.
        probabilities: The softmax of its logits, ``[n, 10]``, float32.
        num_correct: How many predictions equal the label.
        accuracy: Their share, 0 to 1.
        loss: Mean cross-entropy, in nats.
    """

    predictions: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32] = field(repr=False)
    num_correct: int
    accuracy: float
    loss: float

    @classmethod
    def of(
        cls,
        split: Split,
        probabilities: npt.NDArray[np.float32],
        losses: npt.NDArray[np.float32],
    ) -> Evaluation:
        """Compare what a network gave each image with the labels.

        Args:
            split: The images and their labels.
            probabilities: ``[n, 10]``; the class with the largest is the prediction.
            losses: The cross-entropy of each image, ``[n]``.
        """
        predictions = probabilities.argmax(axis=1)
        num_correct = int((predictions == split.labels).sum())
        return cls(
            predictions=predictions,
            probabilities=probabilities,
            num_correct=num_correct,
            accuracy=num_correct / len(split),
            loss=float(losses.mean(dtype=np.float64)),
        )


def evaluate(
    net: Network,
    split: Split,
    batch_size: int = EVALUATION_BATCH_SIZE,
    precision: Precision = "float32",
) -> Evaluation:
    """Let the network judge every image of a split.

    The images go through in batches, because the layer outputs of all of them together would
    need gigabytes.

    Args:
        net: The network.
        split: Images and labels, such as ``data.test``.
        batch_size: Images at a time; changes memory and time, not the result.
        precision: What the layers compute with; see :func:`optimize`.

    Returns:
        Predictions, probabilities, accuracy and loss.

    Raises:
        ValueError: If the split is empty, the batch size is not positive, or the processor
            cannot compute with that precision.
    """
    if len(split) == 0 or batch_size < 1:
        raise ValueError(
            f"need at least one image and a positive batch size; got {len(split)} images "
            f"and batch_size={batch_size}"
        )
    judge = net.in_batches[check_precision(precision)]
    logits = judge(split.images, batch_size).numpy()
    losses = cross_entropy(logits, split.labels).numpy()
    return Evaluation.of(split, tf.nn.softmax(logits).numpy(), losses)


class TrainingState:
    """What optimisation remembers from step to step, beside the weights.

    Attributes:
        steps: How many steps Adam has taken, an int64 variable.
        means: For each of the network's variables, the running mean of its gradient; Muon's
            momentum where Muon changes it.
        squares: The running mean of the squared gradient, which Muon has no use for.
        batch_size: Images in each step, as :func:`optimize` was last told.
        seed: Decides the order of the images, as it was last told.
        loops: The loop over steps as a graph, for each :class:`Recipe` so far.
        tensors: The split that was last learned from, its images and its labels.
    """

    def __init__(self, net: Network) -> None:
        """Start with no memory of any gradient."""
        variables = list(net.weights.values())
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.means = [tf.Variable(tf.zeros_like(v), trainable=False) for v in variables]
        self.squares = [tf.Variable(tf.zeros_like(v), trainable=False) for v in variables]
        self.batch_size = BATCH_SIZE
        self.seed = 0
        self.loops: dict[Recipe, Callable[..., Any]] = {}
        self.tensors: tuple[Split, tf.Tensor, tf.Tensor] | None = None

    def tensors_of(self, split: Split) -> tuple[tf.Tensor, tf.Tensor]:
        """Make tensors of a split's images and labels, or take those of the call before.

        The images stay whole numbers where nothing is lost by it: a quarter of the memory.
        """
        if self.tensors is None or self.tensors[0] is not split:
            images = split.images if split.pixels is None else split.pixels
            self.tensors = split, tf.constant(images), tf.constant(split.labels, tf.int64)
        return self.tensors[1:]


@dataclass(frozen=True)
class Recipe:
    """What a step of optimisation does, and so needs a graph of its own.

    Attributes:
        image_type: Type of the images' numbers, ``tf.uint8`` (0..255) or ``tf.float32`` (0..1).
        precision: What the network computes with.
        label_smoothing: See :func:`optimize`.
        distortion: See :func:`optimize`.
        optimizer: See :func:`optimize`.
    """

    image_type: tf.DType = tf.float32
    precision: Precision = "float32"
    label_smoothing: float = 0.0
    distortion: Distortion | None = None
    optimizer: Optimizer = "adam"


def one_cycle(
    num_iterations: int, peak: float, warm_up: float = 0.25, end: float = 0.01
) -> npt.NDArray[np.float32]:
    """Make a learning rate for each step that first rises, then falls, both in a straight line.

    L. N. Smith and N. Topin, "Super-Convergence" (2018).

    Args:
        num_iterations: How many steps.
        peak: The highest rate.
        warm_up: Share of the steps in which it rises, 0 to 1.
        end: The last rate as a share of the highest, 0 to 1.

    Returns:
        ``[num_iterations]``, float32, each above 0.
    """
    top = warm_up * num_iterations
    steps = np.arange(1, num_iterations + 1)
    rates = np.interp(steps, [0, top, num_iterations], [0, peak, peak * end])
    return rates.astype(np.float32)


def _take_step(
    variables: list[tf.Variable],
    gradients: list[tf.Tensor],
    state: TrainingState,
    rate: tf.Tensor,
    recipe: Recipe,
) -> None:
    """Change each variable, given its gradient, by Muon or as Adam does.

    Adam's one fused operation for each variable does ``m = β1·m + (1 - β1)·g``,
    ``v = β2·v + (1 - β2)·g²`` and ``w = w - rate·√(1 - β2ᵗ)/(1 - β1ᵗ) · m/(√v + ε)``.
    """
    step = tf.cast(state.steps.assign_add(1), tf.float32)
    beta1, beta2, epsilon = tf.constant(BETA1), tf.constant(BETA2), tf.constant(EPSILON)
    is_hidden = hidden_weights(variables)
    for variable, gradient, mean, square, hidden in zip(
        variables, gradients, state.means, state.squares, is_hidden, strict=True
    ):
        if hidden and recipe.optimizer == "muon":
            muon_step(variable, gradient, mean, rate, recipe.precision)
            continue
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=mean.handle,
            v=square.handle,
            beta1_power=beta1**step,
            beta2_power=beta2**step,
            lr=rate,
            beta1=beta1,
            beta2=beta2,
            epsilon=epsilon,
            grad=gradient,
        )


def _training_loop(net: Network, state: TrainingState, recipe: Recipe) -> Callable[..., Any]:
    """Build the graph that takes many steps in one call.

    A loop inside the graph saves going back to Python, and copying a batch, for each step.
    """
    variables = list(net.weights.values())

    def cost(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        losses = cross_entropy(logits, labels)
        if recipe.label_smoothing:
            every_class = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=1)
            losses += recipe.label_smoothing * (every_class - losses)
        return tf.reduce_mean(losses)

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
            batch_images = tf.gather(images, batches[step])
            if recipe.distortion is not None:
                batch_images = distort_images(batch_images, recipe.distortion, [seed, state.steps])
            batch_images = tf.cast(batch_images, recipe.precision)
            if recipe.image_type == tf.uint8:
                batch_images /= 255
            with tf.GradientTape() as tape:
                logits = net.fast_logits(batch_images, recipe.precision, training=True)
                loss = cost(logits, batch_labels)
            gradients = tape.gradient(loss, variables)
            with tf.name_scope(recipe.optimizer):
                _take_step(variables, gradients, state, rates[step], recipe)
            correct = tf.argmax(logits, axis=1) == batch_labels
            losses = losses.write(step, loss)
            accuracies = accuracies.write(step, tf.reduce_mean(tf.cast(correct, tf.float32)))
        return losses.stack(), accuracies.stack()

    # Traced here and once: TensorFlow would warn of a function that is traced again and again
    # when several networks are trained one after the other.
    return train_steps.get_concrete_function()  # type: ignore[no-any-return]


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
    optimizer: Optimizer = "adam",
    precision: Precision = "float32",
    log_every: int = 100,
    verbose: bool = True,
) -> History:
    """Improve the network's weights, one batch of images a step, with Adam or with Muon.

    Called again, it goes on where it stopped: the same steps in one call or in several give
    the same weights. (A network from :func:`~mnist_helpers.checkpoints.load_checkpoint` goes
    on with the batches that come next, but Adam starts anew: a checkpoint holds weights
    only. :func:`~mnist_helpers.checkpoints.save_training` keeps all of it.) The same network,
    data and seed give the same weights on the same machine.

    Stopped by Ctrl-C, it leaves the network as the last step made it.

    Args:
        net: The network; its weights and ``iterations`` are changed.
        split: Images and labels to learn from, ``data.train``.
        num_iterations: How many steps to take.
        validation: Images to judge every ``log_every`` steps, ``data.validation``.
        learning_rate: Adam's; about how far a weight can move in one step. One number, or one
            for each of the steps, ``[num_iterations]``, such as :func:`one_cycle` gives.
        batch_size: Images in each step; as in the call before, at first 64.
        seed: Decides the order of the images, see :func:`batch_indices`; as in the call
            before, at first 0.
        label_smoothing: Share of certainty, 0 to 1, that the loss spreads over all classes
            (C. Szegedy et al., "Rethinking the Inception Architecture", 2016, section 7).
        distortion: Distort each image at random, in another way each time that it comes; see
            :func:`~mnist_helpers.distortion.distort_images`.
        optimizer: What turns gradients into steps: ``"adam"``, or ``"muon"`` for all weights
            but the first layer's and the last's, see :mod:`mnist_helpers.muon`.
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
        ValueError: If a count or the learning rate is not positive, the seed is negative, a
            split is empty, there is no such optimizer, or the processor cannot compute with that
            precision.
        FloatingPointError: If the loss is no longer a finite number, or, looked at every
            ``log_every`` steps, a weight; it names the step.
        KeyboardInterrupt: If it was stopped; it names the step.
    """
    if num_iterations < 1 or log_every < 1:
        raise ValueError(
            "num_iterations and log_every must be at least 1; got "
            f"num_iterations={num_iterations}, log_every={log_every}"
        )
    rates = np.asarray(learning_rate, np.float32)
    if rates.shape not in ((), (num_iterations,)):
        raise ValueError(
            f"learning_rate must be one number, or one for each of the {num_iterations:,} steps; "
            f"got {rates.shape}"
        )
    rates = np.broadcast_to(rates, num_iterations)
    if not (rates > 0).all():
        raise ValueError(f"learning_rate must be positive; got {learning_rate!r}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must lie in 0 to 1; got {label_smoothing}")
    if optimizer not in get_args(Optimizer):
        raise ValueError(
            f"optimizer must be one of {', '.join(get_args(Optimizer))}; got {optimizer!r}"
        )
    if validation is not None and len(validation) == 0:
        raise ValueError("validation has no images; leave it out to train without")
    precision = check_precision(precision)
    if net.training_state is None:
        net.training_state = TrainingState(net)
    state = net.training_state
    batch_size = state.batch_size if batch_size is None else batch_size
    seed = state.seed if seed is None else seed
    images, labels = state.tensors_of(split)
    recipe = Recipe(images.dtype, precision, label_smoothing, distortion, optimizer)
    began = time.perf_counter()
    if recipe not in state.loops:
        state.loops[recipe] = _training_loop(net, state, recipe)
    train_steps = state.loops[recipe]
    tracing_seconds = time.perf_counter() - began
    first, end = net.iterations, net.iterations + num_iterations
    # Steps that the network had before this Adam: those of a checkpoint.
    forgotten = first - int(state.steps.numpy())
    losses: list[npt.NDArray[np.float32]] = []
    accuracies: list[npt.NDArray[np.float32]] = []
    judged: list[tuple[int, Evaluation]] = []
    bar = _progress_bar(num_iterations) if verbose and num_iterations >= LONG_RUN else None
    began = time.perf_counter()
    try:
        while net.iterations < end:
            # Up to the next round number, so that a line's number does not depend on the start.
            count = min(log_every - net.iterations % log_every, end - net.iterations)
            batches = tf.constant(
                batch_indices(len(split), batch_size, net.iterations, count, seed)
            )
            # Only what can choose a batch is remembered for the next call, and stored.
            state.batch_size, state.seed = batch_size, seed
            leg = rates[net.iterations - first : net.iterations - first + count]
            results = train_steps(
                images, labels, batches, tf.constant(leg), tf.constant(seed, tf.int64)
            )
            loss, accuracy = (result.numpy() for result in results)
            net.iterations += count
            # The weights too: ReLU turns NaN into 0, so that the loss of a network whose filters
            # are lost may look sound.
            lost = ~np.isfinite(loss)
            if lost.any() or not all(np.isfinite(v.numpy()).all() for v in net.weights.values()):
                step = (
                    net.iterations - count + 1 + int(lost.argmax())
                    if lost.any()
                    else net.iterations
                )
                raise FloatingPointError(
                    f"at iteration {step:,} the loss or a weight is no longer a finite number: "
                    "training went astray. Start again from a new network with a smaller "
                    f"learning_rate (it was {rates[step - first - 1]:g}); if that does not help, "
                    "look for numbers in the images that are not finite."
                )
            losses.append(loss)
            accuracies.append(accuracy)
            line = f"Iteration {net.iterations:6,}: batch loss {loss[-1]:.3f}, "
            line += f"batch accuracy {accuracy[-1]:6.1%}"
            if validation is not None:
                result = evaluate(net, validation, precision=precision)
                judged.append((net.iterations, result))
                line += f", validation accuracy {result.accuracy:6.1%}"
            if verbose:
                print(line)
            if bar is not None:
                bar.progress = net.iterations - first
    except KeyboardInterrupt:
        # Python hears of Ctrl-C when the graph has taken its steps, perhaps before they are
        # counted; Adam's own count is always right.
        net.iterations = forgotten + int(state.steps.numpy())
        raise KeyboardInterrupt(
            f"training was stopped after iteration {net.iterations:,}. The network is whole and "
            "can be used; optimize(…) goes on from there"
        ) from None
    seconds = time.perf_counter() - began
    if verbose:
        print(f"{num_iterations:,} iteration{'s'[: num_iterations > 1]} took {seconds:.1f} s")
    return History(
        iterations=np.arange(first + 1, end + 1),
        loss=np.concatenate(losses),
        accuracy=np.concatenate(accuracies),
        validation_iterations=np.array([step for step, _ in judged], np.int64),
        validation_loss=np.array([result.loss for _, result in judged], np.float64),
        validation_accuracy=np.array([result.accuracy for _, result in judged], np.float64),
        seconds=seconds,
        tracing_seconds=tracing_seconds,
    )


def _progress_bar(total: int) -> Any:
    """Show a progress bar where there is a notebook to show it in.

    Returns:
        An object whose ``progress`` is to be set; ``None`` outside a notebook, where the
        printed lines tell as much.
    """
    ipython = sys.modules.get("IPython")
    if ipython is None or not hasattr(ipython.get_ipython(), "kernel"):
        return None
    bar: Any = ipython.display.ProgressBar(total)
    bar.display()
    return bar
