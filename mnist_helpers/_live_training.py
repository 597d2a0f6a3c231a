"""Training with buttons, for :func:`mnist_helpers.explore.watch_training`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

import ipywidgets
import numpy as np

from mnist_helpers._explorer import Explorer, as_html, joined, said
from mnist_helpers._style import Figure
from mnist_helpers.data import Split
from mnist_helpers.plots import plot_history, plot_rows

if TYPE_CHECKING:
    from mnist_helpers.network import Network
    from mnist_helpers.training import History

JUDGE_EVERY = 200
"""How many steps lie between two looks at the validation images."""

# Filters in a row, if they fill whole rows.
_IN_A_ROW = 8


class Training(Explorer):
    """Training that the reader starts and stops.

    Attributes:
        net: The network, intact whenever training pauses.
        history: What has been measured so far; ``None`` before the first step.
        is_running: Whether steps are being taken, or about to be.
    """

    # One at a time: a cell that is run again leaves nobody to stop the one before.
    _latest: ClassVar[Training | None] = None

    def __init__(
        self,
        net: Network,
        split: Split,
        validation: Split | None,
        history: History | None,
        every: int,
    ) -> None:
        """Make the controls; nothing runs yet."""
        self._take_over()
        self.net, self.split, self.validation = net, split, validation
        self.history, self.every, self.is_running = history, every, False
        self._thread: threading.Thread | None = None
        self._stop, self._drawn = threading.Event(), threading.Event()
        self._end, self._loop = "Ready.", _running_loop()
        self._start = ipywidgets.Button(description="Start", icon="play")
        self._pause = ipywidgets.Button(description="Pause", icon="pause", disabled=True)
        self._step = ipywidgets.Button(description="One step", icon="step-forward")
        self._rate = ipywidgets.FloatLogSlider(
            value=1e-4,
            min=-6,
            max=-1,
            step=0.25,
            readout_format=".1e",
            description="Learning rate",
            style={"description_width": "initial"},
        )
        self._note, self._picture = ipywidgets.HTML(), ipywidgets.HTML()
        self._start.on_click(lambda _: self.start())
        self._pause.on_click(lambda _: self.pause())
        self._step.on_click(lambda _: self.step())
        wrap = ipywidgets.Layout(flex_flow="row wrap")
        buttons = [self._start, self._pause, self._step, self._rate]
        rows = [ipywidgets.HBox(buttons, layout=wrap), self._note, self._picture]
        text = "Training that you can start, pause and watch."
        super().__init__(ipywidgets.VBox(rows), _training_figures(net, history), text)
        self._draw()
        self._finish(None)

    def start(self) -> None:
        """Take steps, and draw after every so many, until :meth:`pause`."""
        self._begin(self.every, once=False)

    def step(self) -> None:
        """Take a single step."""
        self._begin(1, once=True)

    def pause(self) -> None:
        """Stop, and wait for the steps in progress: then the network is intact."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._finish(self._thread)

    def _take_over(self) -> None:
        latest = Training._latest
        if latest is not None and latest is not self:
            latest.pause()
        Training._latest = self

    def _begin(self, steps: int, once: bool) -> None:
        if self.is_running:
            return
        self._take_over()
        self.is_running = True
        self._start.disabled = self._step.disabled = True
        self._pause.disabled = False
        self._note.value = said("Training. Pause stops it; interrupting the kernel does not.")
        self._stop.clear()
        # Not a daemon: the process waits for it, and it ends once the main thread has.
        self._thread = threading.Thread(target=self._train, args=(steps, once))
        self._thread.start()

    def _train(self, steps: int, once: bool) -> None:
        """What the thread does: steps, a picture, steps. It prints nothing."""
        self._end = "Paused."
        try:
            while not self._stop.is_set() and threading.main_thread().is_alive():
                self._take(steps)
                self._drawn.clear()
                self._tell(self._draw)
                if once:
                    break
                # Drawing waits while a cell runs, and so do the next steps.
                while not (self._drawn.wait(timeout=0.1) or self._stop.is_set()):
                    if not threading.main_thread().is_alive():
                        return
        except Exception as error:  # shown beside the controls: nobody would see a thread's
            self._end = f"{type(error).__name__}: {error}"
        thread = threading.current_thread()
        self._tell(lambda: self._finish(thread))

    def _take(self, steps: int) -> None:
        from mnist_helpers.training import optimize

        # Judging thousands of images takes as long as many steps.
        due = self.net.iterations // JUDGE_EVERY < (self.net.iterations + steps) // JUDGE_EVERY
        leg = optimize(
            self.net,
            self.split,
            steps,
            validation=self.validation if due else None,
            learning_rate=self._rate.value,
            log_every=steps,
            verbose=False,
        )
        self.history = leg if self.history is None else self.history + leg

    def _tell(self, call: Callable[[], None]) -> None:
        """Have the kernel's own thread do it, between two cells: only there is drawing safe."""
        if self._loop is None:
            call()
            return
        with suppress(RuntimeError):  # it is closed: nobody is looking any more
            self._loop.call_soon_threadsafe(call)

    @property
    def _progress(self) -> str:
        """How many iterations the network has had, in words."""
        count = self.net.iterations
        return f"{count:,} iteration{'s'[: count != 1]}"

    def _draw(self) -> None:
        alt = f"Loss, accuracy and filters after {self._progress}"
        self._picture.value = as_html(joined(_training_figures(self.net, self.history)), alt)
        self._drawn.set()

    def _finish(self, thread: threading.Thread | None) -> None:
        """Let the reader start again, unless another thread has begun since."""
        if thread is not self._thread:
            return
        self._thread, self.is_running = None, False
        self._start.disabled = self._step.disabled = False
        self._pause.disabled = True
        self._note.value = said(
            f"{self._end} The network has had {self._progress}; cells can use it now."
        )


def _training_figures(net: Network, history: History | None) -> list[Figure]:
    """Loss and accuracy, if there are any yet, and the filters of the first layer."""
    figures = []
    if history is not None:
        smooth = min(50, max(1, len(history.loss) // 10))
        figures.append(plot_history(history, smooth))
    filters = [w.numpy()[:, :, 0] for w in net.weights.values() if len(w.shape) == 4]
    if filters:
        tiles = np.moveaxis(filters[0], -1, 0)
        width = _IN_A_ROW if len(tiles) % _IN_A_ROW == 0 else len(tiles)
        starts = range(0, len(tiles), width)
        rows = {f"filters {n + 1} to {n + width}": tiles[n : n + width] for n in starts}
        figures.append(plot_rows(rows, two_signs=True))
    return figures


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """The kernel's loop, where there is a kernel."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
