"""Make the checkpoints that come with the package: `make checkpoints`.

Trains the book's network once on real MNIST and stores it along the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mnist_helpers import (
    CHECKPOINT_ITERATIONS,
    CHECKPOINT_SEED,
    ConvNet,
    Mnist,
    evaluate,
    load_mnist,
    optimize,
    save_checkpoint,
)

FOLDER = Path(__file__).parent.parent / "mnist_helpers" / "checkpoints"


def trained(data: Mnist, seed: int) -> Iterator[ConvNet]:
    """The book's network at each number of iterations, trained on from one to the next."""
    net = ConvNet(seed=seed)
    for iterations in CHECKPOINT_ITERATIONS:
        if iterations > net.iterations:
            missing = iterations - net.iterations
            optimize(net, data.train, missing, seed=seed, log_every=1_000, verbose=False)
        yield net


if __name__ == "__main__":
    data = load_mnist("mnist")
    FOLDER.mkdir(exist_ok=True)
    for net in trained(data, CHECKPOINT_SEED):
        save_checkpoint(net, FOLDER / f"{net.iterations}.npz")
        accuracy = evaluate(net, data.test).accuracy
        print(
            f"{net.iterations}.npz: {accuracy:.2%} of the test images are read correctly",
            flush=True,
        )
