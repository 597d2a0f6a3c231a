"""Silence for TensorFlow's start-up."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2


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
    more of the same. Notices that come later are kept away by ``TF_CPP_MIN_LOG_LEVEL=1``
    (warnings and errors still show), unless you have set that variable yourself.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    sys.stderr.flush()
    saved = os.dup(_STDERR)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), _STDERR)
        try:
            yield
            tensorflow = sys.modules.get("tensorflow")
            if tensorflow is not None:
                tensorflow.config.list_physical_devices()
        except BaseException:
            sys.stderr.flush()
            log.seek(0)
            os.write(saved, log.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, _STDERR)
            os.close(saved)
