"""The older tutorials' way: the same network, the same steps, the same weights."""

from __future__ import annotations

import numpy as np

from mnist_helpers import ConvNet, Split, evaluate, optimize
from mnist_helpers.older import OlderTraining


def test_the_older_way_takes_the_same_steps() -> None:
    rng = np.random.default_rng(0)
    split = Split(rng.integers(0, 256, [70, 784]) / np.float32(255), rng.integers(0, 10, 70))
    older, net = OlderTraining(seed=2, batch_size=16), ConvNet(seed=2)
    for name, start in older.weights().items():
        np.testing.assert_array_equal(start, net.weights[name])
    for count in (4, 6):
        older.train(split, count)
    optimize(net, split, 10, batch_size=16, seed=2, verbose=False)
    for name, found in older.weights().items():
        np.testing.assert_allclose(found, net.weights[name], atol=1e-4)
        assert np.abs(found - ConvNet(seed=2).weights[name].numpy()).max() > 5e-4
    np.testing.assert_array_equal(older.predict(split, 32), evaluate(net, split).predictions)
