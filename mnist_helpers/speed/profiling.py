"""Where the time of a run goes, operation by operation.

Taught in ``notebooks/speed.ipynb``.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from mnist_helpers._quiet import quiet

with quiet():
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

# Operations of a loop are called "while/body/_1/…"; those that find gradients lie under
# "gradient_tape", with the scope that they belong to after it.
_LOOP = re.compile(r"while/body/_\d+/")
_NOISE = re.compile(r"gradient_tape/|while/|_\d+$")


def time_by_operation(run: Callable[[], object]) -> dict[str, float]:
    """Let TensorFlow's profiler watch a run, and add up the time of each operation.

    Args:
        run: Does what is to be looked at, a loop of steps such as
            :func:`~mnist_helpers.training.optimize` takes; it should have run before, or its
            tracing would be in the figures.

    Returns:
        Seconds by operation, the longest first. Operations are named by their scope and kind,
        ``"conv2/Conv2D"``; ``"gradient of "`` stands before those that find gradients. Several
        that run at the same time are all counted in full.

    Raises:
        RuntimeError: If no loop over steps ran.
    """
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        try:
            run()
        finally:
            tf.profiler.experimental.stop()
        seconds: Counter[str] = Counter()
        for path in Path(folder).rglob("*.xplane.pb"):
            for plane in xplane_pb2.XSpace.FromString(path.read_bytes()).planes:
                names = {number: data.name for number, data in plane.event_metadata.items()}
                for line in plane.lines:
                    for event in line.events:
                        if name := _operation(names[event.metadata_id]):
                            seconds[name] += event.duration_ps / 1e12
    if not seconds:
        raise RuntimeError("the profiler saw no operation of a loop: did the run take steps?")
    return dict(seconds.most_common())


def _operation(name: str) -> str | None:
    """What to call an operation of the loop; ``None`` for anything else."""
    if not _LOOP.match(name):
        return None
    path = _LOOP.sub("", name.partition(":")[0])
    short = _NOISE.sub("", path.replace("while/", ""))
    return f"gradient of {short}" if "gradient_tape" in path else short
