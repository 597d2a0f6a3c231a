"""Training on several devices and in several processes: real processes, real sockets.

Every job has a time limit, after which the launcher kills it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_helpers import ConvNet, Mnist, Split, optimize
from mnist_helpers.checkpoints import CheckpointError
from mnist_helpers.scale.cost import (
    Link,
    all_reduce_bytes,
    all_reduce_seconds,
    fit_link,
    step_flops,
    step_seconds,
)
from mnist_helpers.scale.launcher import WorkerError, bypass_proxy, launch
from mnist_helpers.scale.trainer import MEASURED_BYTES, DistributedTrainer, local_devices
from mnist_helpers.scale.worker import ClusterError, connect, main, read_cluster, read_reports

laws = settings(max_examples=50, derandomize=True)

TIME_LIMIT = 900.0
DEAD_PROXY = "http://127.0.0.1:9"  # nothing listens there
STEPS = 20
# After 20 steps at the book's rate, adding up in another order has changed no weight by more
# than 1e-5. Later on a flipped ReLU can make the difference grow, as on one device.
TOLERANCE = 2e-5


def job(folder: Path, *more: str) -> list[str]:
    """What each worker of a job runs."""
    arguments = f"--steps {STEPS} --save-every 8 --patience {TIME_LIMIT} --folder {folder}"
    return ["-m", "mnist_helpers.scale.worker", *arguments.split(), *more]


def arrays(trainer: DistributedTrainer) -> list[npt.NDArray[Any]]:
    """Everything that training depends on: weights and the optimiser's memory."""
    memory = [variable.numpy() for variable in trainer.optimizer.variables]
    return [variable.numpy() for variable in trainer.net.weights.values()] + memory


def weights(net: ConvNet) -> npt.NDArray[np.float32]:
    return np.concatenate([variable.numpy().ravel() for variable in net.weights.values()])


def saved(folder: Path, split: Split) -> DistributedTrainer:
    trainer = DistributedTrainer(split)
    assert trainer.resume(folder) > 0
    return trainer


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(path: Path) -> str:
    """Wait until another process has written a file."""
    for _ in range(600):
        if path.is_file() and (text := path.read_text(encoding="utf-8")):
            return text
        time.sleep(0.05)
    raise TimeoutError(f"{path.name} was not written")


@pytest.fixture(scope="module")
def alone(mnist: Mnist) -> tuple[DistributedTrainer, npt.NDArray[np.float32]]:
    """One process with the whole batch, after 20 steps, and its losses."""
    trainer = DistributedTrainer(mnist.train)
    return trainer, trainer.train(STEPS).loss


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a job of two workers that ran through."""
    folder = tmp_path_factory.mktemp("straight")
    printed = launch(job(folder, "--measure"), time_limit=TIME_LIMIT)
    assert "step 8: loss" in printed[0]
    assert "step 20: loss" in printed[0]
    return folder


# One device


def test_one_device_does_what_optimize_does(
    mnist: Mnist, alone: tuple[DistributedTrainer, npt.NDArray[np.float32]]
) -> None:
    net = ConvNet(seed=0)
    history = optimize(net, mnist.train, STEPS, verbose=False)
    trainer, loss = alone
    assert np.abs(weights(net) - weights(trainer.net)).max() < TOLERANCE
    np.testing.assert_allclose(loss, history.loss, atol=1e-5)
    assert trainer.iterations == STEPS


def test_steps_in_two_legs_are_the_same_to_the_bit(
    mnist: Mnist, alone: tuple[DistributedTrainer, npt.NDArray[np.float32]]
) -> None:
    trainer = DistributedTrainer(mnist.train)
    loss = np.concatenate([trainer.train(7).loss, trainer.train(13).loss])
    np.testing.assert_array_equal(loss, alone[1])
    np.testing.assert_array_equal(weights(trainer.net), weights(alone[0].net))


def test_measuring_changes_nothing(mnist: Mnist) -> None:
    trainer = DistributedTrainer(mnist.train)
    before = arrays(trainer)
    parts = trainer.time_parts()
    after = arrays(trainer)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    assert parts["gradient_seconds"] > 0
    assert [size for size, _ in parts["all_reduce_seconds"]] == list(MEASURED_BYTES)


@pytest.mark.parametrize(
    "arguments", [{"batch_size": 0}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}]
)
def test_a_job_that_cannot_be_is_refused(mnist: Mnist, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="need at least one image"):
        DistributedTrainer(mnist.train, **arguments)
    empty = Split(np.zeros((0, 784), np.float32), np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="got 0 images"):
        DistributedTrainer(empty)


def test_no_step_is_no_training(mnist: Mnist) -> None:
    with pytest.raises(ValueError, match="num_iterations must be at least 1; got 0"):
        DistributedTrainer(mnist.train).train(0)


def test_a_loss_that_is_lost_is_told(mnist: Mnist) -> None:
    trainer = DistributedTrainer(mnist.train, batch_size=2, learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="smaller learning_rate"):
        trainer.train(5)


# Several devices in one process

ON_LOGICAL_DEVICES = f"""
import sys
from mnist_helpers.scale.trainer import DistributedTrainer, local_devices, tf
from mnist_helpers import load_mnist
devices = local_devices(3)
assert local_devices(3) == devices, "asked twice, it answers the same"
strategy = tf.distribute.MirroredStrategy(devices)
train = load_mnist().train
trainer = DistributedTrainer(train, strategy)
print(*trainer.train({STEPS}).loss)
trainer.save(sys.argv[1])
try:
    DistributedTrainer(train, strategy, batch_size=2)
except ValueError as error:
    print(error)
try:
    local_devices(4)
except RuntimeError as error:
    print(error)
"""


def test_three_devices_give_the_weights_of_one(
    mnist: Mnist,
    alone: tuple[DistributedTrainer, npt.NDArray[np.float32]],
    tmp_path: Path,
) -> None:
    result = subprocess.run(
        [sys.executable, "-c", ON_LOGICAL_DEVICES, str(tmp_path)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIME_LIMIT,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    losses, too_few, too_late = result.stdout.splitlines()
    trainer, loss = alone
    # 64 images on three devices are 22, 21 and 21: no even share is needed.
    np.testing.assert_allclose(np.array(losses.split(), float), loss, atol=1e-5)
    other = saved(tmp_path, mnist.train)
    assert np.abs(weights(other.net) - weights(trainer.net)).max() < TOLERANCE
    assert "for each of 3 devices" in too_few
    assert "restart the kernel" in too_late


def test_no_device_is_refused() -> None:
    with pytest.raises(ValueError, match="count must be at least 1; got 0"):
        local_devices(0)


# Several processes


def test_two_workers_give_the_weights_of_one_process(
    mnist: Mnist, alone: tuple[DistributedTrainer, npt.NDArray[np.float32]], straight: Path
) -> None:
    trainer, loss = alone
    other = saved(straight, mnist.train)
    assert other.iterations == STEPS
    assert np.abs(weights(other.net) - weights(trainer.net)).max() < TOLERANCE
    for report in read_reports(straight):
        np.testing.assert_allclose(report["loss"], loss, atol=1e-5)


def test_workers_report_what_they_measured(straight: Path) -> None:
    reports = read_reports(straight)
    assert [report["start"] for report in reports] == [0, 0]
    for report in reports:
        assert len(report["step_seconds"]) == STEPS
        assert min(report["step_seconds"]) > 0
        assert report["gradient_seconds"] > 0
        assert [size for size, _ in report["all_reduce_seconds"]] == list(MEASURED_BYTES)


def test_a_stopped_job_goes_on_from_its_last_checkpoint_to_the_bit(
    mnist: Mnist, straight: Path, tmp_path: Path
) -> None:
    with pytest.raises(WorkerError, match="worker 1 was killed") as stopped:
        launch(job(tmp_path, "--fail-at", "13"), time_limit=TIME_LIMIT)
    # Worker 0 may have noticed, and failed, before the launcher could stop it.
    message = str(stopped.value)
    assert "the others were stopped" in message or "worker 0 failed" in message
    assert saved(tmp_path, mnist.train).iterations == 8
    with pytest.raises(FileNotFoundError):
        read_reports(tmp_path)
    launch(job(tmp_path), time_limit=TIME_LIMIT)
    for report, through in zip(read_reports(tmp_path), read_reports(straight), strict=True):
        assert report["start"] == 8, "only the steps since the last checkpoint are lost"
        assert report["loss"] == through["loss"][8:]
    resumed, through = (arrays(saved(folder, mnist.train)) for folder in (tmp_path, straight))
    assert len(resumed) >= 3 * 8, "eight variables, and two means of each"
    for one, other in zip(resumed, through, strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_number_of_devices_can_go_on(mnist: Mnist, straight: Path) -> None:
    trainer = saved(straight, mnist.train)
    trainer.train(2)
    net = ConvNet(seed=0)
    optimize(net, mnist.train, STEPS + 2, verbose=False)
    assert np.abs(weights(trainer.net) - weights(net)).max() < 2 * TOLERANCE


def test_a_checkpoint_of_another_network_is_refused(mnist: Mnist, tmp_path: Path) -> None:
    from mnist_helpers.scale.trainer import tf

    other = tf.train.Checkpoint(elsewhere=tf.Variable(1.0))
    tf.train.CheckpointManager(other, str(tmp_path), max_to_keep=1).save()
    with pytest.raises(CheckpointError, match="belongs to another network"):
        DistributedTrainer(mnist.train).resume(tmp_path)


def test_a_damaged_checkpoint_is_refused(mnist: Mnist, tmp_path: Path) -> None:
    trainer = DistributedTrainer(mnist.train)
    trainer.save(tmp_path)
    (data,) = tmp_path.glob("*.data-*")
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="is damaged"):
        trainer.resume(tmp_path)


@pytest.mark.parametrize(
    ("instead", "told"),
    [
        # It is not started: the address does not answer.
        ("pass", "no answer within 3 s from worker 1 at 127.0.0.1:"),
        # It answers, but is no TensorFlow.
        ("import socket; server = socket.create_server(('', port))", "look for a proxy"),
    ],
)
def test_a_missing_worker_ends_the_job_with_a_clear_error(
    instead: str, told: str, tmp_path: Path
) -> None:
    script = f"""
import json, os, sys, time
from pathlib import Path
config = json.loads(os.environ["TF_CONFIG"])
index = config["task"]["index"]
port = int(config["cluster"]["worker"][index].rpartition(":")[2])
Path(sys.argv[1], str(index)).write_text(str(os.getpid()))
if index:
    {instead}
    time.sleep({TIME_LIMIT})
from mnist_helpers.scale.worker import main
main(["--folder", sys.argv[1], "--patience", "3"])
"""
    with pytest.raises(WorkerError, match="worker 0 failed .* the others were stopped") as error:
        launch(["-c", script, str(tmp_path)], time_limit=TIME_LIMIT)
    assert told in str(error.value)
    for index in (0, 1):
        assert not is_running(int((tmp_path / str(index)).read_text()))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """Three workers on this machine: this process is the first, and only the second listens."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 0}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(config))
        monkeypatch.setenv("no_grpc_proxy", "")
        sockets[0].close()
        sockets[2].close()
        yield sockets


def test_only_the_worker_that_did_not_answer_is_named(cluster: list[socket.socket]) -> None:
    addresses, _ = read_cluster(os.environ["TF_CONFIG"])
    with pytest.raises(ClusterError, match="check that it was started") as error:
        connect(patience=0.2)
    assert f"worker 2 at {addresses[2]}" in str(error.value)
    assert addresses[1] not in str(error.value)


def test_a_port_that_is_taken_is_named(cluster: list[socket.socket]) -> None:
    taken, _ = read_cluster(os.environ["TF_CONFIG"])
    with socket.create_server(("", int(taken[0].rpartition(":")[2]))):
        with pytest.raises(ClusterError, match=f"cannot listen at {taken[0]}.*another port"):
            connect(patience=0.2)


def test_a_name_that_nobody_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = ["127.0.0.1:4711", "nobody.invalid:4711"]
    config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    monkeypatch.setenv("no_grpc_proxy", "")
    with pytest.raises(ClusterError, match=r"worker 1 at nobody\.invalid:4711 \(.+\)"):
        connect(patience=0.2)


def test_behind_a_dead_proxy_a_short_job_runs_in_a_new_folder_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, DEAD_PROXY)
    options = ["--folder", "~/new/job", "--steps", "3", "--patience", str(TIME_LIMIT)]
    launch(["-m", "mnist_helpers.scale.worker", *options], time_limit=TIME_LIMIT)
    reports = read_reports("~/new/job")
    assert [len(report["loss"]) for report in reports] == [3, 3]
    # Once more, as if each were started by hand: then nobody but the worker sees to the proxy.
    script = f"""
import os
del os.environ["no_grpc_proxy"]
from mnist_helpers.scale.worker import main
main({options})
"""
    printed = launch(["-c", script], time_limit=TIME_LIMIT)
    assert "has had 3 steps already: nothing to do" in printed[0]
    assert read_reports("~/new/job") == reports
    assert (tmp_path / "new" / "job" / "worker-1.json").is_file()


def test_a_folder_that_is_a_file_is_told_with_the_error(tmp_path: Path) -> None:
    (tmp_path / "job").touch()
    with pytest.raises(WorkerError, match=r"cannot keep the job in .*job: it is a file\. Choose"):
        launch(job(tmp_path / "job"), 1, time_limit=TIME_LIMIT)


EXAMPLE: dict[str, Any] = {
    "cluster": {"worker": ["a:1", "b:2"]},
    "task": {"type": "worker", "index": 1},
}


def test_a_good_cluster_is_read() -> None:
    assert read_cluster(json.dumps(EXAMPLE)) == (["a:1", "b:2"], 1)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "no JSON",
        "[]",
        "{}",
        json.dumps({"cluster": EXAMPLE["cluster"]}),
        json.dumps({"task": EXAMPLE["task"]}),
        json.dumps(EXAMPLE | {"cluster": {"worker": []}}),
        json.dumps(EXAMPLE | {"cluster": {"worker": "a:1"}}),
        json.dumps(EXAMPLE | {"cluster": {"worker": ["a", "b"]}}),
        json.dumps(EXAMPLE | {"cluster": {"worker": ["a:1", "a:1"]}}),
        json.dumps(EXAMPLE | {"cluster": {"worker": ["a:1", "b:65536"]}}),
        json.dumps(EXAMPLE | {"cluster": {"worker": ["a:1", ":2"]}}),
        json.dumps(EXAMPLE | {"cluster": {"worker": [["a:1"], ["b:2"]]}}),
        json.dumps(EXAMPLE | {"task": {"type": "worker", "index": 2}}),
        json.dumps(EXAMPLE | {"task": {"type": "worker", "index": -1}}),
        json.dumps(EXAMPLE | {"task": {"type": "worker", "index": "1"}}),
        json.dumps(EXAMPLE | {"task": {"type": "worker", "index": True}}),
        json.dumps(EXAMPLE | {"task": {"type": "ps", "index": 0}}),
    ],
)
def test_a_bad_cluster_is_refused_with_an_example(text: str | None) -> None:
    with pytest.raises(ClusterError, match=r"10\.0\.0\.1:2222") as error:
        read_cluster(text)
    assert str(text) in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "--folder"),
        (["--folder", "unused", "--steps", "0"], "must be positive"),
        (["--folder", "unused", "--patience", "nan"], "must be positive"),
        (["--folder", "unused", "--steps", "many"], "--steps"),
    ],
)
def test_bad_arguments_are_refused(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert told in capsys.readouterr().err


def test_a_worker_without_a_cluster_says_so() -> None:
    inherited = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    result = subprocess.run(
        [sys.executable, "-m", "mnist_helpers.scale.worker", "--folder", "unused"],
        env=inherited,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=TIME_LIMIT,
        check=False,
    )
    assert result.returncode == 2
    assert "python -m mnist_helpers.scale.launcher sets it for you" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_worker_that_is_too_late_to_connect_is_told_and_lives_on() -> None:
    # TensorFlow has computed something in this process; the timer would end it.
    script = (
        "import time, tensorflow as tf; from mnist_helpers.scale.worker import connect\n"
        "tf.constant(1) + 1\n"
        "try: connect(patience=1)\n"
        "except RuntimeError as error: print('startup' in str(error))\n"
        "time.sleep(3); print('still there')"
    )
    (printed,) = launch(["-c", script], 1, time_limit=TIME_LIMIT)
    assert {"True", "still there"} <= set(printed.splitlines())


# The launcher, with programs that need no TensorFlow

INDEX = 'import json, os, sys, time; i = json.loads(os.environ["TF_CONFIG"])["task"]["index"]\n'


def test_each_worker_is_told_who_it_is() -> None:
    printed = launch(["-c", 'import os; print(os.environ["TF_CONFIG"])'], 3, time_limit=TIME_LIMIT)
    clusters = [read_cluster(text) for text in printed]
    assert [index for _, index in clusters] == [0, 1, 2]
    addresses = clusters[0][0]
    assert all(others == addresses for others, _ in clusters)
    assert len(set(addresses)) == 3
    again = {
        launch(["-c", 'import os; print(os.environ["TF_CONFIG"])'], 1, time_limit=TIME_LIMIT)[0]
        for _ in range(3)
    }
    assert len(again) > 1, "another port each time, but by chance the same once"


@pytest.mark.parametrize(
    ("environment", "exempt"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"no_proxy": ""}, "127.0.0.1,localhost"),
        ({"no_proxy": ".school, 10.0.0.1"}, ".school,10.0.0.1,127.0.0.1,localhost"),
        ({"NO_PROXY": ".school"}, ".school,127.0.0.1,localhost"),
        ({"no_proxy": "localhost", "NO_PROXY": ".school"}, "localhost,127.0.0.1"),
        ({"no_grpc_proxy": "a", "no_proxy": "b"}, "a,127.0.0.1,localhost"),
    ],
)
def test_what_is_exempt_from_the_proxy_stays_exempt(
    environment: dict[str, str], exempt: str
) -> None:
    assert bypass_proxy(["127.0.0.1", "localhost"], environment) == {"no_grpc_proxy": exempt}


def test_the_cores_are_shared_out() -> None:
    code = 'import os; print(os.environ["TF_NUM_INTRAOP_THREADS"])'
    one, many = (launch(["-c", code], n, time_limit=TIME_LIMIT)[0] for n in (1, 2))
    assert int(many) == max(1, int(one) // 2)


def test_when_one_worker_fails_the_others_are_killed(tmp_path: Path) -> None:
    script = INDEX + (
        'open(f"{sys.argv[1]}/{i}", "w").write(str(os.getpid()))\n'
        f"if i != 1: time.sleep({TIME_LIMIT})\n"
        f"while len(os.listdir(sys.argv[1])) < 3: time.sleep(0.01)\n"
        'print("what it said last"); sys.exit(7)'
    )
    with pytest.raises(WorkerError) as error:
        launch(["-c", script, str(tmp_path)], 3, time_limit=TIME_LIMIT)
    assert str(error.value) == (
        "worker 1 failed (exit code 7); the others were stopped\n"
        "The last lines of worker 1:\nwhat it said last"
    )
    for index in range(3):
        assert not is_running(int((tmp_path / str(index)).read_text()))


def test_a_job_that_does_not_end_is_killed_though_it_is_deaf(tmp_path: Path) -> None:
    script = INDEX + (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        'open(f"{sys.argv[1]}/{i}", "w").write(str(os.getpid()))\n'
        f"if i: time.sleep({TIME_LIMIT})"
    )
    with pytest.raises(WorkerError, match=r"not done after 30 s: killed worker 1\. .*time limit"):
        launch(["-c", script, str(tmp_path)], time_limit=30)
    for index in (0, 1):
        assert not is_running(int((tmp_path / str(index)).read_text()))


@pytest.mark.parametrize(
    ("arguments", "number", "time_limit"),
    [([], 2, 9.0), (["-c", ""], 0, 9.0), (["-c", ""], 2, 0.0), (["-c", ""], 2, float("nan"))],
)
def test_a_launch_that_cannot_be_is_refused(
    arguments: list[str], number: int, time_limit: float
) -> None:
    with pytest.raises(ValueError, match="need something to run"):
        launch(arguments, number, time_limit=time_limit)


# In one piece: an unbuffered print writes its line's end apart, and the workers' lines mix.
WELL = r"import os; os.write(1, b'all is well\n')"


def launcher(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mnist_helpers.scale.launcher", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--", "-c", WELL], 0, "all is well\nall is well\n"),
        (["--workers", "1", "--", "-c", WELL], 0, "all is well\n"),
        (["--", "-c", INDEX + "sys.exit(3 * i)"], 1, "worker 1 failed (exit code 3)"),
        (["--workers", "0", "--", "-c", ""], 2, "at least 1 worker"),
        ([], 2, "usage"),
    ],
)
def test_the_launcher_as_a_command(arguments: list[str], code: int, told: str) -> None:
    process = launcher(*arguments)
    stdout, stderr = process.communicate(timeout=TIME_LIMIT)
    assert process.returncode == code
    assert told in (stderr if code else stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another matter there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_launcher_that_is_told_to_end_ends_every_worker(tmp_path: Path, number: int) -> None:
    script = INDEX + (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        'open(f"{sys.argv[1]}/{i}", "w").write(str(os.getpid()))\n'
        f"time.sleep({TIME_LIMIT})"
    )
    process = launcher("--", "-c", script, str(tmp_path))
    pids = [int(wait_for(tmp_path / index)) for index in "01"]
    process.send_signal(number)
    _, stderr = process.communicate(timeout=TIME_LIMIT)
    assert process.returncode == 130
    assert "stopped, and every worker with it" in stderr
    assert not any(is_running(pid) for pid in pids)


# The cost model

links = st.builds(
    Link, latency=st.floats(1e-6, 1e-2), bandwidth=st.floats(1e6, 1e11, allow_subnormal=False)
)


def ring(parts: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], list[int]]:
    """Add up arrays ``[n, n, k]``, n pieces each, round a ring; count the numbers sent."""
    n = len(parts)
    parts, sent = parts.copy(), [0] * n
    for phase in ("add", "hand on"):
        for turn in range(n - 1):
            shift = turn if phase == "add" else turn - 1
            messages = [((w - shift) % n, parts[w, (w - shift) % n].copy()) for w in range(n)]
            for worker, (piece, numbers) in enumerate(messages):
                neighbour = (worker + 1) % n
                sent[worker] += numbers.size
                if phase == "add":
                    parts[neighbour, piece] += numbers
                else:
                    parts[neighbour, piece] = numbers
    return parts, sent


@laws
@given(n=st.integers(1, 9), k=st.integers(1, 5), seed=st.integers(0, 99))
def test_the_bytes_are_those_of_a_ring_that_is_really_run(n: int, k: int, seed: int) -> None:
    parts = np.random.default_rng(seed).integers(-9, 9, (n, n, k)).astype(float)
    reduced, sent = ring(parts)
    for one in reduced:
        np.testing.assert_array_equal(one, parts.sum(axis=0))
    assert sent == [all_reduce_bytes(n * k, n)] * n


@laws
@given(st.integers(2, 1000), st.floats(1, 1e12), links)
def test_laws_of_the_all_reduce(num_workers: int, num_bytes: float, link: Link) -> None:
    assert num_bytes <= all_reduce_bytes(num_bytes, num_workers) < 2 * num_bytes
    seconds = all_reduce_seconds(num_bytes, num_workers, link)
    assert all_reduce_seconds(num_bytes, num_workers + 1, link) > seconds
    assert all_reduce_seconds(num_bytes, 1, link) == 0
    assert step_seconds(0.25, num_bytes, num_workers, link) == 0.25 + seconds
    assert step_seconds(0.25, num_bytes, 1, link) == 0.25


@laws
@given(links, st.integers(2, 100))
def test_a_fit_finds_the_link_that_made_the_times(link: Link, num_workers: int) -> None:
    sizes = [link.latency * link.bandwidth * share for share in (0.1, 0.5, 1, 2, 20)]
    pairs = [(size, all_reduce_seconds(size, num_workers, link)) for size in sizes]
    found = fit_link(pairs, num_workers)
    assert found.latency == pytest.approx(link.latency, rel=0.01)
    assert found.bandwidth == pytest.approx(link.bandwidth, rel=0.01)


@pytest.mark.parametrize(
    ("pairs", "num_workers", "told"),
    [
        ([(4, 1.0), (8, 2.0)], 1, "at least 2 workers"),
        ([(4, 1.0), (4, 2.0)], 2, "2 sizes"),
        ([], 2, "2 sizes"),
        ([(4, 2.0), (8, 1.0)], 2, "took no longer"),
    ],
)
def test_a_fit_that_cannot_be_is_refused(
    pairs: list[tuple[float, float]], num_workers: int, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        fit_link(pairs, num_workers)


def test_no_worker_sends_nothing_and_is_refused() -> None:
    with pytest.raises(ValueError, match="num_workers must be at least 1; got 0"):
        all_reduce_bytes(8, 0)


def test_the_operations_of_the_books_network() -> None:
    multiply_adds = 28**2 * 25 * 16 + 14**2 * 25 * 16 * 36 + 1764 * 128 + 128 * 10
    # An image in 64 forward, and backward without the first layer's input.
    exact = 64 * 2 * (3 * multiply_adds - 28**2 * 25 * 16)
    assert exact == pytest.approx(1.25e9, rel=0.01)
    assert step_flops(multiply_adds, 64) == pytest.approx(exact, rel=0.04)
