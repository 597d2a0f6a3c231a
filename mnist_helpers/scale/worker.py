"""One worker of a job that trains in several processes.

    python -m mnist_helpers.scale.launcher --workers 2 -- -m mnist_helpers.scale.worker --folder job

Taught in ``notebooks/scale.ipynb``.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import re
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_helpers._files import replacing, user_path
from mnist_helpers._quiet import quiet
from mnist_helpers.batches import BATCH_SIZE
from mnist_helpers.checkpoints import CheckpointError
from mnist_helpers.data import DataError, load_mnist
from mnist_helpers.optimizer import LEARNING_RATE
from mnist_helpers.scale.launcher import bypass_proxy
from mnist_helpers.scale.trainer import DistributedTrainer

with quiet():
    import tensorflow as tf

_PATIENCE_SECONDS = 60.0
_RETRY_SECONDS = 0.1
_LOCAL = ("localhost", "::1")


class ClusterError(ValueError):
    """A ``TF_CONFIG`` from which no worker can be started, or whose workers did not meet."""


def read_cluster(text: str | None) -> tuple[list[str], int]:
    """Read the addresses of all workers, and the number of this one, from ``TF_CONFIG``.

    TensorFlow itself would take a wrong one without a word, and train alone or wait for ever.

    Args:
        text: The variable's value; ``None`` if it is not set.

    Returns:
        The addresses, ``host:port``, and the worker's number, from 0.

    Raises:
        ClusterError: If it is not set, or not what it should be.
    """
    example = (
        '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
        '"task": {"type": "worker", "index": 0}}'
    )
    try:
        config = json.loads(text or "")
        addresses, task = config["cluster"]["worker"], config["task"]
        kind, index = task["type"], task["index"]
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterError(
            f"TF_CONFIG must look like {example}, with a different index for each worker; got "
            f"{text}. On one machine, python -m mnist_helpers.scale.launcher sets it for you"
        ) from error
    if (
        kind != "worker"
        or not isinstance(addresses, list)
        or not all(map(_is_address, addresses))
        or len(set(addresses)) < len(addresses)
        or type(index) is not int
        or not 0 <= index < len(addresses)
    ):
        raise ClusterError(
            "TF_CONFIG needs different addresses, host:port, type worker, and an index "
            f"from 0 to one less than their number, as in {example}; got {text}"
        )
    return addresses, index


def _is_address(value: object) -> bool:
    if not isinstance(value, str) or not re.fullmatch(r"\S+:[0-9]{1,5}", value):
        return False
    return 0 < _host_and_port(value)[1] < 2**16


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def connect(patience: float = _PATIENCE_SECONDS) -> tf.distribute.MultiWorkerMirroredStrategy:
    """Meet the other workers of ``TF_CONFIG``.

    Must come before TensorFlow's first operation. On one machine with a GPU for each worker,
    each takes its own; with fewer, all compute on the processor. Workers on this machine are
    reached directly, even if the environment names a proxy.

    Args:
        patience: Seconds to wait until all others answer, and then for TensorFlow to connect
            to them. If TensorFlow has not connected by then, the whole process ends with exit
            code 1, because TensorFlow waits without letting any Python run.

    Returns:
        A strategy of which this process is one worker.

    Raises:
        ClusterError: If ``TF_CONFIG`` is not set, or not what it should be; if this worker's
            port is taken; or if another worker did not answer, with its address.
        RuntimeError: If TensorFlow has computed something in this process before.
    """
    addresses, index = read_cluster(os.environ.get("TF_CONFIG"))
    hosts = {_host_and_port(address)[0] for address in addresses}
    local = {host for host in hosts if host in _LOCAL or host.startswith("127.")}
    if local:
        os.environ.update(bypass_proxy(sorted(local)))
    _wait_for_others(addresses, index, patience)
    # Said beforehand, since nothing can be said when the timer below ends the process.
    print(
        f"all workers answer; if TensorFlow does not connect within {patience:g} s, this process "
        "ends: then look for a proxy in between (no_proxy must name the others' hosts), or for a "
        "worker with another version of TensorFlow",
        file=sys.stderr,
        flush=True,
    )
    if len(hosts) == 1:
        gpus = tf.config.list_physical_devices("GPU")
        own = gpus[index : index + 1] if len(gpus) >= len(addresses) else []
        tf.config.set_visible_devices(own, "GPU")
    # A timer of Python's own could not interrupt TensorFlow here.
    faulthandler.dump_traceback_later(patience, exit=True)
    try:
        with quiet():
            return tf.distribute.MultiWorkerMirroredStrategy()
    finally:
        faulthandler.cancel_dump_traceback_later()


def _wait_for_others(addresses: list[str], index: int, patience: float) -> None:
    """Wait until each of the other workers has answered; meanwhile answer them.

    TensorFlow would wait without a word and not say for whom.
    """
    silent = {number: "" for number in range(len(addresses)) if number != index}
    print(
        f"worker {index} of {len(addresses)} waits up to {patience:g} s for "
        f"{', '.join(addresses[number] for number in silent) or 'nobody'}",
        file=sys.stderr,
        flush=True,
    )
    end = time.monotonic() + patience
    with _answering(addresses[index]):
        while silent:
            for number in list(silent):
                try:
                    socket.create_connection(_host_and_port(addresses[number]), 1.0).close()
                    del silent[number]
                except OSError as error:
                    silent[number] = error.strerror or str(error)
            if silent and not time.monotonic() < end:
                who = ", ".join(
                    f"worker {number} at {addresses[number]} ({reason})"
                    for number, reason in silent.items()
                )
                raise ClusterError(
                    f"no answer within {patience:g} s from {who}: check that it was started, that "
                    "TF_CONFIG has its true address, and that no firewall is in between; if it "
                    "needs longer to start, raise --patience"
                )
            time.sleep(_RETRY_SECONDS)


def _answering(address: str) -> socket.socket:
    """Listen at this worker's address; nothing that is sent there is read."""
    _, port = _host_and_port(address)
    try:
        return socket.create_server(("", port))
    except OSError as error:
        raise ClusterError(
            f"cannot listen at {address}, this worker's address in TF_CONFIG: {error.strerror}; "
            "end the program that uses the port, or choose another port"
        ) from error


def _make_folder(folder: str) -> Path:
    """Make a job's folder, and check whether this worker can write there."""
    path = user_path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        problem = "it is a file" if path.is_file() else error.strerror
        raise OSError(
            f"cannot keep the job in {path}: {problem}. Choose a folder that you can write to"
        ) from error
    return path


def _work(options: argparse.Namespace) -> None:
    """Train as one worker of a job, from the last checkpoint on, and write a report.

    A job that has had all its steps keeps the report of those steps.
    """
    # First, so that a folder that will not do ends the job at once.
    folder = _make_folder(options.folder)
    strategy = connect(options.patience)
    addresses, index = read_cluster(os.environ.get("TF_CONFIG"))
    trainer = DistributedTrainer(
        load_mnist().train,
        strategy,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        seed=options.seed,
    )
    start = trainer.resume(folder)
    last = index == len(addresses) - 1
    losses, seconds, parts = [], [], {}
    while trainer.iterations < options.steps:
        next_save = (trainer.iterations // options.save_every + 1) * options.save_every
        stops = [next_save, options.steps]
        if options.fail_at is not None and options.fail_at > trainer.iterations:
            stops.append(options.fail_at)
        if options.measure:
            stops.append(trainer.iterations + 1)
        steps = trainer.train(min(stops) - trainer.iterations)
        losses += steps.loss.tolist()
        seconds += steps.seconds.tolist()
        if options.measure:
            parts = trainer.time_parts()
        if trainer.iterations == options.fail_at and last:
            # As if the plug were pulled: nothing is saved, nobody is told.
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        if trainer.iterations in (next_save, options.steps):
            trainer.save(folder)
            if index == 0:
                print(f"step {trainer.iterations}: loss {losses[-1]:.3f}, saved", flush=True)
    path = folder / f"worker-{index}.json"
    if not losses and path.exists():
        if index == 0:
            print(f"{folder} has had {start} steps already: nothing to do", flush=True)
        return
    report = {"workers": len(addresses), "start": start, "loss": losses, "step_seconds": seconds}
    report |= parts
    with replacing(path, "w") as file:
        json.dump(report, file)


def read_reports(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read what the workers of the last job in a folder wrote about themselves.

    Returns:
        For each worker: ``workers``, their number; ``start``, the step it went on from;
        ``loss`` and ``step_seconds`` of each step since; and, if it was told to measure, what
        :meth:`DistributedTrainer.time_parts` returns.

    Raises:
        FileNotFoundError: If no job has ended there.
    """
    reports: list[dict[str, Any]] = []
    while not reports or len(reports) < reports[0]["workers"]:
        path = user_path(folder) / f"worker-{len(reports)}.json"
        reports.append(json.loads(path.read_text(encoding="utf-8")))
    return reports


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m mnist_helpers.scale.worker",
        description="Train the book's network as one worker of a job; TF_CONFIG says which.",
    )
    add = parser.add_argument
    add("--folder", required=True, help="for checkpoints and reports; a job resumes from them")
    add("--steps", type=int, default=100, help="how many steps the network is to have (100)")
    add("--save-every", type=int, default=50, help="steps between two checkpoints (50)")
    add("--batch-size", type=int, default=BATCH_SIZE, help=f"over all workers ({BATCH_SIZE})")
    add("--learning-rate", type=float, default=LEARNING_RATE, help=f"({LEARNING_RATE:g})")
    add("--seed", type=int, default=0, help="of the starting weights and the images' order (0)")
    add("--patience", type=float, default=_PATIENCE_SECONDS, help="seconds to wait for the others")
    add("--measure", action="store_true", help="time gradients and all-reduces between the steps")
    add("--fail-at", type=int, help="kill the last worker after this step, to see what happens")
    options = parser.parse_args(arguments)
    if options.steps < 1 or options.save_every < 1 or not options.patience > 0:
        parser.error("--steps, --save-every and --patience must be positive")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one worker from the command line. Ends the process."""
    options = _options(arguments)
    code = 0
    try:
        _work(options)
    except (ClusterError, CheckpointError, DataError, FloatingPointError, OSError) as error:
        print(f"python -m mnist_helpers.scale.worker: {error}", file=sys.stderr)
        code = 2
    except BaseException:
        traceback.print_exc()
        code = 1
    # The ordinary way out would wait for workers that may be gone.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
