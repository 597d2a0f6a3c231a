"""Start the processes of one distributed job on this machine, and see to it that they end.

    python -m mnist_helpers.scale.launcher --workers 2 -- -m mnist_helpers.scale.worker --folder job

Each process is told by the environment variable ``TF_CONFIG`` where all of them listen, and
which of them it is; that is all that ``tf.distribute.MultiWorkerMirroredStrategy`` needs. On
several machines, start one process on each, with addresses that the others can reach. The
workers reach each other on this machine directly, whatever proxy the environment names.

This module needs nothing but Python: it does not import TensorFlow.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import IO

TIME_LIMIT = 300.0  # seconds after which a job that has not ended is killed

_POLL_SECONDS = 0.05
_LAST_LINES = 12


class WorkerError(RuntimeError):
    """A worker failed, or the job did not end in time."""


def launch(
    arguments: Sequence[str],
    num_workers: int = 2,
    *,
    time_limit: float = TIME_LIMIT,
    capture: bool = True,
) -> list[str]:
    """Run the same Python program in several processes, and wait for all of them.

    The processor's cores are shared out among the workers, as numbers of threads. When one
    worker fails, the others are killed: without it they would wait. When this function
    returns or raises, none of them is left.

    Args:
        arguments: What to run, as after ``python``: ``["-m", "mnist_helpers.scale.worker", …]``.
        num_workers: How many processes; number 0 is the chief.
        time_limit: Seconds for the whole job. Then every worker is killed by a signal that
            cannot be ignored: a worker whose peer never starts waits for ever, deaf to others.
        capture: Whether to collect what the workers print; if not, it goes where this program's
            own output goes.

    Returns:
        What each worker printed, standard output and standard error together, in order of
        their numbers; empty without ``capture``.

    Raises:
        WorkerError: If a worker failed or the time was up. It says which one, how it ended,
            and, with ``capture``, what it printed last.
    """
    if not arguments or num_workers < 1 or not time_limit > 0:
        raise ValueError(
            "need something to run, at least 1 worker and a positive time limit; got "
            f"{list(arguments)}, num_workers={num_workers} and time_limit={time_limit}"
        )
    with ExitStack() as stack:
        logs: list[IO[bytes] | None] = [
            stack.enter_context(tempfile.TemporaryFile()) if capture else None
            for _ in range(num_workers)
        ]
        processes: list[subprocess.Popen[bytes]] = []
        stack.callback(_kill, processes)
        for environment, log in zip(_environments(num_workers), logs, strict=True):
            processes.append(
                subprocess.Popen(
                    [sys.executable, *arguments],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=None if log is None else subprocess.STDOUT,
                )
            )
        problem, culprits = _wait(processes, time_limit)
        _kill(processes)
        printed = [_read(log) for log in logs]
    if problem:
        for number in culprits:
            last = printed[number].splitlines()[-_LAST_LINES:]
            if last:
                problem += f"\nThe last lines of worker {number}:\n" + "\n".join(last)
        raise WorkerError(problem)
    return printed


def _environments(num_workers: int) -> list[dict[str, str]]:
    """The environment of each worker: the addresses of all, its own number, its threads."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in _free_ports(num_workers)]}
    # With as many threads as cores each, the workers would take the cores from each other.
    threads = str(max(1, _num_cores() // num_workers))
    return [
        {
            **os.environ,
            "TF_CONFIG": json.dumps(
                {"cluster": cluster, "task": {"type": "worker", "index": index}}
            ),
            "TF_NUM_INTRAOP_THREADS": threads,
            **bypass_proxy(["127.0.0.1", "localhost"]),
        }
        for index in range(num_workers)
    ]


def bypass_proxy(
    hosts: Iterable[str], environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Give the variable that exempts these hosts from a proxy, besides those exempt already.

    TensorFlow's workers talk over gRPC, which sends even 127.0.0.1 through the proxy in
    ``grpc_proxy``, ``https_proxy`` or ``http_proxy``. It skips the hosts in ``no_grpc_proxy`` or,
    where that is not set, in ``no_proxy``, and ignores names in capital letters. Only gRPC reads
    ``no_grpc_proxy``, so setting it leaves downloads as they are.
    """
    names = ("no_grpc_proxy", "no_proxy", "NO_PROXY")
    exempt = next((environment[name] for name in names if environment.get(name)), "")
    listed = [host.strip() for host in exempt.split(",") if host.strip()]
    return {"no_grpc_proxy": ",".join(dict.fromkeys([*listed, *hosts]))}


def _num_cores() -> int:
    """How many cores this process may use, which in a container can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _free_ports(count: int) -> list[int]:
    """Find ports on which nobody listens, different ones each time."""
    with ExitStack() as stack:
        # All are held until the last is found, so that none is found twice.
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait(processes: list[subprocess.Popen[bytes]], time_limit: float) -> tuple[str, list[int]]:
    """Wait until all have ended well (then the problem is empty), one has failed, or time is up.

    Returns:
        What went wrong, as a sentence, and the numbers of the workers that it is about.
    """
    end = time.monotonic() + time_limit
    while True:
        codes = [process.poll() for process in processes]
        failed = [number for number, code in enumerate(codes) if code]
        if failed:
            how = " and ".join(
                f"worker {number} {_how_it_ended(codes[number])}" for number in failed
            )
            others = "; the others were stopped" if len(failed) < len(codes) else ""
            return f"{how}{others}", failed
        running = [number for number, code in enumerate(codes) if code is None]
        if not running:
            return "", []
        if time.monotonic() > end:
            who = ", ".join(map(str, running))
            return (
                f"not done after {time_limit:g} s: killed worker {who}. If the job needs longer, "
                "raise the time limit; if a worker was waiting for another, find out why "
                "that one did not start",
                running,
            )
        time.sleep(_POLL_SECONDS)


def _how_it_ended(code: int | None) -> str:
    """How a process ended, in words."""
    if code is not None and code < 0:
        try:
            return f"was killed ({signal.Signals(-code).name})"
        except ValueError:
            return f"was killed (signal {-code})"
    return f"failed (exit code {code})"


def _kill(processes: list[subprocess.Popen[bytes]]) -> None:
    """Kill whatever is still running, at once and for certain."""
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()


def _read(log: IO[bytes] | None) -> str:
    if log is None:
        return ""
    log.seek(0)
    return log.read().decode("utf-8", errors="replace")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the launcher from the command line; give the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m mnist_helpers.scale.launcher",
        description="Start the processes of one distributed job on this machine.",
    )
    parser.add_argument("--workers", type=int, default=2, help="how many (2)")
    parser.add_argument(
        "--time-limit", type=float, default=TIME_LIMIT, help=f"in seconds ({TIME_LIMIT:g})"
    )
    parser.add_argument(
        "command",
        nargs="+",
        metavar="-- -m MODULE …",
        help="what each worker runs, as after python",
    )
    options = parser.parse_args(arguments)
    # However it is asked to end, it must not leave its workers behind.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        launch(options.command, options.workers, time_limit=options.time_limit, capture=False)
    except ValueError as error:
        parser.error(str(error))
    except WorkerError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{parser.prog}: stopped, and every worker with it", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
