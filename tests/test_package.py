"""The package as a whole: what an import costs, what it offers, and its silence."""

from __future__ import annotations

import ast
import gc
import importlib
import inspect
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

import mnist_helpers
from mnist_helpers import quiet

SOURCE = Path(mnist_helpers.__file__)


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a Python of its own, from which TensorFlow's variables are kept away."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


# Imports


@pytest.mark.parametrize(
    "statement",
    [
        "import mnist_helpers",
        "import mnist_helpers.data",
        "from mnist_helpers import quiet, load_mnist, DataError; dir(__import__('mnist_helpers'))",
    ],
)
def test_an_import_is_light(statement: str) -> None:
    heavy = ("tensorflow", "keras", "matplotlib", "sklearn", "scipy", "requests", "IPython")
    result = run(f"import sys\n{statement}\nprint([m for m in {heavy} if m in sys.modules])")
    assert result.stdout == "[]\n"
    assert result.stderr == ""


def test_plots_do_without_tensorflow() -> None:
    code = """
import sys
from mnist_helpers import plot_image
plot_image([0.0] * 784)
print("tensorflow" in sys.modules)
"""
    result = run(code, MPLBACKEND="agg")
    assert (result.stdout, result.stderr) == ("False\n", "")


def test_every_name_leads_to_what_its_module_defines() -> None:
    for name in mnist_helpers.__all__:
        value = getattr(mnist_helpers, name)
        module = importlib.import_module(f"mnist_helpers.{mnist_helpers._MODULE_OF[name]}")
        assert getattr(module, name) is value
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__name__ == name
            assert value.__module__ == module.__name__


def test_type_checkers_are_told_the_same_names() -> None:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    told = {
        alias.name: statement.module
        for statement in ast.walk(tree)
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
        if (statement.module or "").startswith("mnist_helpers.")
    }
    assert told == {
        name: f"mnist_helpers.{module}" for name, module in mnist_helpers._MODULE_OF.items()
    }


FLOORS = """
_checks _files _keras_door _style precision
_quiet data shapes studies
augmentation batches handwriting widgets
_tracing layers
optimizer
network
checkpoints evaluation
attribution training
plots
_explorer keras scale speed
_live_training exercises
explore
"""


def imported(path: Path) -> set[str]:
    """The first part of each name below ``mnist_helpers`` that a module imports, types included."""
    found = set()
    for statement in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(statement, ast.ImportFrom):
            names = [f"{statement.module}.{alias.name}" for alias in statement.names]
            found |= {name.split(".")[1] for name in names if name.startswith("mnist_helpers.")}
        elif isinstance(statement, ast.Import):
            assert not any(alias.name.startswith("mnist_helpers") for alias in statement.names)
    return found


def test_a_module_imports_from_the_floors_below_it_alone() -> None:
    """So that there is no circle, and a wing (a folder) needs no other wing."""
    floor = {
        name: number for number, line in enumerate(FLOORS.split("\n")) for name in line.split()
    }
    for path in SOURCE.parent.rglob("*.py"):
        own = path.relative_to(SOURCE.parent).with_suffix("").parts[0]
        for name in imported(path) - {own} if own != "__init__" else ():
            assert floor[name] < floor[own], f"{own} imports {name}"


def test_the_familiar_names_are_there() -> None:
    """The functions and classes that the book and older tutorials name."""
    familiar = """
        load_mnist DataError new_weights new_biases new_conv_layer flatten_layer new_fc_layer
        ConvNet optimize evaluate load_checkpoint plot_images plot_image plot_example_errors
        plot_confusion_matrix plot_conv_weights plot_conv_layer quiet
    """
    assert set(familiar.split()) <= set(dir(mnist_helpers))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'plot_everything'"):
        getattr(mnist_helpers, "plot_" + "everything")
    assert not hasattr(mnist_helpers, "tensorflow")


# Silence


@pytest.fixture(scope="module")
def started() -> subprocess.CompletedProcess[str]:
    """A process that imports TensorFlow and uses it, with what it says of itself."""
    return run("""
import gc
from mnist_helpers import quiet
with quiet():
    pass
print("frozen before:", gc.get_freeze_count())
with quiet():
    import tensorflow as tf
print("frozen:", gc.get_freeze_count() > 100_000)

mine = [[]]
frozen = gc.get_freeze_count()
with quiet():
    import tensorflow
print("more frozen later:", gc.get_freeze_count() > frozen)

from tensorflow.python.util import _pywrap_util_port
print("oneDNN:", _pywrap_util_port.IsMklEnabled())

assert float(tf.reduce_sum(tf.nn.relu(tf.random.normal([8, 8])))) > 0

@tf.function
def double(x):
    return tf.linalg.matmul(x, x) * 2

double(tf.eye(3))

from mnist_helpers import ConvNet, Split, evaluate, optimize
import numpy as np
split = Split(np.zeros((9, 784), np.float32), np.zeros(9, np.int64))
net = ConvNet(seed=0)
optimize(net, split, 2, batch_size=3, verbose=False)
print("used:", evaluate(net, split).num_correct >= 0)
""")


def test_tensorflow_is_quiet_from_its_import_to_its_first_uses(
    started: subprocess.CompletedProcess[str],
) -> None:
    assert started.returncode == 0, started.stderr
    *others, last = started.stdout.splitlines()
    told = ["frozen before", "frozen", "more frozen later", "oneDNN"]
    assert [line.partition(":")[0] for line in others] == told
    assert (last, started.stderr) == ("used: True", "")


def test_the_collector_passes_over_what_tensorflow_brings_and_nothing_else(
    started: subprocess.CompletedProcess[str],
) -> None:
    lines = started.stdout.splitlines()
    assert lines[:3] == ["frozen before: 0", "frozen: True", "more frozen later: False"]


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="oneDNN is for x86")
def test_tensorflow_starts_with_onednn_unless_told_not_to(
    started: subprocess.CompletedProcess[str],
) -> None:
    code = """
from mnist_helpers import ConvNet
from tensorflow.python.util import _pywrap_util_port
print("oneDNN:", _pywrap_util_port.IsMklEnabled())
"""
    assert "oneDNN: True\n" in started.stdout
    other = run(code, TF_ENABLE_ONEDNN_OPTS="0")
    assert (other.stdout, other.stderr) == ("oneDNN: False\n", "")


@pytest.mark.xfail(
    Version(version("tensorflow")) < Version("2.21"),
    reason="TensorFlow 2.18 to 2.20 write two lines in the first session, whatever the log level",
)
def test_tensorflow_is_quiet_in_a_session() -> None:
    code = """
from mnist_helpers import quiet
with quiet():
    import tensorflow as tf

with tf.Graph().as_default():
    x = tf.compat.v1.placeholder(tf.float32, [None, 3])
    y = tf.linalg.matmul(x, tf.compat.v1.get_variable("w", [3, 2]))
    with tf.compat.v1.Session() as session:
        session.run(tf.compat.v1.global_variables_initializer())
        print(session.run(y, {x: [[1, 2, 3]]}).shape)
"""
    result = run(code)
    assert result.returncode == 0, result.stderr
    assert (result.stdout, result.stderr) == ("(1, 2)\n", "")


WRITE = "import os, sys; os.write(2, b'from below, '); print('from above', file=sys.stderr)"


def test_nothing_is_replayed_when_all_is_well() -> None:
    code = f"""
from mnist_helpers import quiet
with quiet():
    {WRITE}
print("heard again", file=sys.stderr)
"""
    assert run(code).stderr == "heard again\n"


@pytest.mark.parametrize("error", ["ImportError('broken')", "KeyboardInterrupt()", "SystemExit(3)"])
def test_what_was_written_is_replayed_when_the_body_raises(error: str) -> None:
    code = f"""
from mnist_helpers import quiet
try:
    with quiet():
        {WRITE}
        raise {error}
except BaseException as error:
    assert error.__context__ is None
    print(repr(error))
print(" and heard again", file=sys.stderr)
"""
    result = run(code)
    assert result.stdout.strip() == error
    assert result.stderr == "from below, from above\n and heard again\n"


def test_quiet_within_quiet() -> None:
    code = f"""
from mnist_helpers import quiet
try:
    with quiet():
        with quiet():
            {WRITE}
        os.write(2, b"outer")
        raise ValueError
except ValueError:
    pass
"""
    assert run(code).stderr == "outer"


def test_a_program_without_standard_error_can_import_the_layers() -> None:
    code = """
import os, sys
os.close(2)
sys.stderr = None
from mnist_helpers import quiet
try:
    with quiet():
        raise KeyError("seen")
except KeyError as error:
    print(error, error.__context__)
"""
    result = run(code)
    assert (result.returncode, result.stdout) == (0, "'seen' None\n")


def open_files() -> int:
    count = 0
    for number in range(256):
        try:
            os.fstat(number)
        except OSError:
            continue
        count += 1
    return count


def test_quiet_leaves_no_file_open() -> None:
    before, target = open_files(), os.fstat(2)
    for _ in range(20):
        with quiet():
            pass
        with pytest.raises(KeyError), quiet():
            raise KeyError
    assert open_files() == before
    assert os.path.samestat(os.fstat(2), target)


def test_garbage_is_collected_again_after_quiet() -> None:
    assert gc.isenabled()
    with quiet():
        assert not gc.isenabled()
        with quiet():
            pass
        assert not gc.isenabled(), "the inner one would end the outer one's rest"
    assert gc.isenabled()
    with pytest.raises(KeyError), quiet():
        raise KeyError
    assert gc.isenabled()


def test_quiet_leaves_a_collector_off_that_was_off() -> None:
    gc.disable()
    try:
        with quiet():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_quiet_keeps_a_log_level_that_is_set() -> None:
    code = """
import os
from mnist_helpers import quiet
with quiet():
    pass
print(os.environ["TF_CPP_MIN_LOG_LEVEL"])
"""
    assert run(code).stdout == "1\n"
    assert run(code, TF_CPP_MIN_LOG_LEVEL="3").stdout == "3\n"
