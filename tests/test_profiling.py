"""The profile of a run: its operations are named, and their times add up."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_helpers import ConvNet, Split, optimize
from mnist_helpers.speed.profiling import time_by_operation


def test_the_operations_of_a_training_are_found_by_their_layers() -> None:
    split = Split(np.zeros([64, 784], np.float32), np.zeros(64, np.int64))
    net = ConvNet(seed=0)
    optimize(net, split, 1, verbose=False)
    history = []
    seconds = time_by_operation(lambda: history.append(optimize(net, split, 5, verbose=False)))
    assert {"conv1/Conv2D", "conv2/Conv2D", "conv2/MaxPool2d"} <= seconds.keys()
    assert "gradient of conv2/Conv2DBackpropFilter" in seconds
    assert any(name.startswith("adam/ResourceApplyAdam") for name in seconds)
    assert list(seconds.values()) == sorted(seconds.values(), reverse=True)
    assert all(0 < value < history[0].seconds for value in seconds.values())
    assert net.iterations == 6


def test_a_run_without_steps_is_told_from_an_empty_profile() -> None:
    with pytest.raises(RuntimeError, match="no operation of a loop"):
        time_by_operation(lambda: None)
