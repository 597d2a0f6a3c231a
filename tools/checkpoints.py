"""Make the checkpoints that come with the package: `make checkpoints`.

Trains the book's network once on real MNIST and stores it on the way.
"""

from __future__ import annotations

from pathlib import Path

from mnist_helpers import (
    CHECKPOINT_ITERATIONS,
    CHECKPOINT_SEED,
    ConvNet,
    evaluate,
    load_mnist,
    optimize,
    save_checkpoint,
)

FOLDER = Path(__file__).parent.parent / "mnist_helpers" / "checkpoints"


def main() -> None:
    """Train, and write one file for each number of iterations."""
    data = load_mnist("mnist")
    net = ConvNet(seed=CHECKPOINT_SEED)
    FOLDER.mkdir(exist_ok=True)
    for iterations in CHECKPOINT_ITERATIONS:
        if iterations > net.iterations:
            missing = iterations - net.iterations
            optimize(net, data.train, missing, seed=CHECKPOINT_SEED, log_every=1_000)
        save_checkpoint(net, FOLDER / f"{iterations}.npz")
        accuracy = evaluate(net, data.test).accuracy
        print(f"{iterations}.npz: {accuracy:.2%} of the test images are right")


if __name__ == "__main__":
    main()
