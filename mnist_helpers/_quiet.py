"""How TensorFlow is started: quickly, without its log lines, and with its fastest kernels."""

from __future__ import annotations

import gc
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from mnist_helpers._keras_door import keras_door

_STDERR = 2
_X86 = {"x86_64", "AMD64"}


@contextmanager
def quiet() -> Iterator[None]:
    """Import TensorFlow without the log lines that it writes while it starts.

    TensorFlow's C++ code writes notices about the processor, oneDNN and CUDA straight
    to file descriptor 2, some of them whatever ``TF_CPP_MIN_LOG_LEVEL`` says. Inside
    this context they go to a temporary file; it is thrown away on success, and written
    to the real standard error when the body raises, so that no real error is hidden.

        with quiet():
            import tensorflow as tf

    On leaving, the devices are listed once, because the first look for a GPU writes
    more of the same. Later notices are suppressed by ``TF_CPP_MIN_LOG_LEVEL=1``
    (warnings and errors still show), unless you have set that variable yourself.

    On x86, TensorFlow is told to use oneDNN's kernels: ``TF_ENABLE_ONEDNN_OPTS`` is set to 1,
    unless you have set it yourself. Python's garbage collector rests meanwhile, which makes the
    import a fifth quicker.

    Raises:
        ImportError: When the body imports Keras and its settings, which another course may have
            left, are not this book's: the TensorFlow backend, channels last and float32.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    _choose_kernels()
    with _stderr_set_aside(), _without_garbage_collection(), keras_door():
        yield
        tensorflow = sys.modules.get("tensorflow")
        if tensorflow is not None:
            tensorflow.config.list_physical_devices()


def _choose_kernels() -> None:
    """On x86, where TensorFlow has two sets of kernels, choose oneDNN's; it reads this at startup.

    By itself it uses them only where the processor has AVX512-VNNI or newer instructions. But on
    processors with AVX2, too, they more than halve the time of a training step of this book's
    network, and both kinds of processor then round alike.
    """
    if platform.machine() in _X86:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Keep the collector from going through what importing TensorFlow makes, then or later.

    These are some 600,000 objects, and they stay. As their number grows the collector would go
    through all of them again and again, each time in vain.
    """
    if not gc.isenabled():
        yield
        return
    is_new = "tensorflow" not in sys.modules
    gc.disable()
    try:
        yield
        if is_new and "tensorflow" in sys.modules:
            gc.freeze()
    finally:
        gc.enable()


@contextmanager
def _stderr_set_aside() -> Iterator[None]:
    """Keep what is written to file descriptor 2, and write it there if the body raises."""
    with ExitStack() as stack:
        try:
            real = os.dup(_STDERR)
        except OSError:  # a program without a console, such as IDLE on Windows, has none
            real = None
        if real is None:
            yield
            return
        stack.callback(os.close, real)
        log = stack.enter_context(tempfile.TemporaryFile())
        _flush()
        os.dup2(log.fileno(), _STDERR)
        try:
            yield
        except BaseException:
            _flush()
            log.seek(0)
            os.write(real, log.read())
            raise
        finally:
            _flush()
            os.dup2(real, _STDERR)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
