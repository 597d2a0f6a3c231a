"""The older tutorials' way: the same network, the same steps, the same weights."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys

import numpy as np
import pytest

from mnist_helpers import ConvNet, Mnist, Split, evaluate, optimize
from mnist_helpers.speed.older import OlderTraining, TrainingWithoutOneDNN


def test_the_older_way_takes_the_same_steps() -> None:
    rng = np.random.default_rng(0)
    split = Split(rng.random([70, 784], np.float32), rng.integers(0, 10, 70))
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


def test_tensorflows_own_kernels_take_the_same_steps(mnist: Mnist) -> None:
    older, before = OlderTraining(seed=1), dict(os.environ)
    own = TrainingWithoutOneDNN(seed=1)
    assert dict(os.environ) == before
    (process,) = multiprocessing.active_children()
    for name, start in own.weights().items():
        np.testing.assert_array_equal(start, older.weights()[name])
    for count in (2, 1):
        own.train(count)
    older.train(mnist.train, 3)
    for name, weights in older.weights().items():
        np.testing.assert_allclose(own.weights()[name], weights, atol=5e-5)
        assert np.abs(weights - ConvNet(seed=1).weights[name].numpy()).max() > 2e-4
    process.kill()
    with pytest.raises(RuntimeError, match="has ended.*Make a new TrainingWithoutOneDNN"):
        own.train(1)


LEAVE = r"""
import multiprocessing, os, psutil
from mnist_helpers.speed.older import TrainingWithoutOneDNN
own = TrainingWithoutOneDNN()
(process,) = multiprocessing.active_children()
print(psutil.Process(process.pid).environ()["TF_ENABLE_ONEDNN_OPTS"], flush=True)
os._exit(0)
"""


def test_the_process_has_the_other_setting_and_ends_with_the_one_that_started_it() -> None:
    # It shares the pipe of the output, which is read until the last of both has ended.
    command = [sys.executable, "-c", LEAVE]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout == "0\n"
