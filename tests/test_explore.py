"""Controls that ask the kernel, from Python; in a browser they are in test_jupyterlab.py."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import pytest
import tensorflow as tf
from matplotlib import rcParams
from PIL import Image, ImageDraw

from mnist_helpers import (
    ConvNet,
    Mnist,
    Split,
    draw_digit,
    evaluate,
    explore_layers,
    load_checkpoint,
    load_mnist,
    optimize,
    plot_image,
    prepare_digit,
    try_filter,
    watch_training,
)
from mnist_helpers._explorer import VIEW, Explorer
from mnist_helpers._live_training import Training

PATIENCE = 120
TWO = np.eye(10)[[2]]


@pytest.fixture(scope="module")
def data() -> Mnist:
    return load_mnist("digits")


@pytest.fixture(scope="module")
def net() -> ConvNet:
    return load_checkpoint(10_000)


@pytest.fixture(autouse=True)
def _at_rest() -> Iterator[None]:
    yield
    if Training._latest is not None:
        Training._latest.pause()


def parts(explorer: Explorer, kind: type[Any]) -> list[Any]:
    """The widgets of a kind, in order."""
    found, waiting = [], [explorer.controls]
    while waiting:
        widget = waiting.pop(0)
        if type(widget) is kind:
            found.append(widget)
        waiting = [*getattr(widget, "children", ()), *waiting]
    return found


def button(explorer: Explorer, description: str) -> Any:
    return next(b for b in parts(explorer, ipywidgets.Button) if b.description == description)


def said(explorer: Explorer) -> str:
    """The sentence beside the controls."""
    values = [html.value for html in parts(explorer, ipywidgets.HTML)]
    (text,) = [found[1] for v in values if (found := re.search(r'role="status"[^>]*>(.*?)</p>', v))]
    return text


def pictures(explorer: Explorer) -> list[str]:
    values = [html.value for html in parts(explorer, ipywidgets.HTML)]
    return [v for v in values if "<img" in v]


def pixels(html: str) -> Any:
    (encoded,) = re.findall(r"base64,([^\"]+)", html)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))


def explorers(data: Mnist, net: ConvNet) -> dict[str, Explorer]:
    return {
        "pad": draw_digit(net),
        "layers": explore_layers(net, data.test),
        "filter": try_filter(data.test.images[0]),
        "training": watch_training(ConvNet(seed=0), data.train),
    }


def test_each_shows_a_widget_and_a_still_with_words(data: Mnist, net: ConvNet) -> None:
    for name, explorer in explorers(data, net).items():
        bundle, metadata = explorer._repr_mimebundle_()
        assert set(bundle) == {"text/plain", "image/png", VIEW}, name
        assert bundle[VIEW]["model_id"] == explorer.controls.model_id
        assert "run this cell in a notebook" in repr(explorer) == bundle["text/plain"]
        still = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
        shown = metadata["image/png"]
        assert still.size == (2 * shown["width"], 2 * shown["height"])
        assert min(still.size) > 200 and len(still.convert("L").getcolors() or []) > 10, name
        assert explorer.figures


def test_every_picture_says_what_it_shows(data: Mnist, net: ConvNet) -> None:
    for name, explorer in explorers(data, net).items():
        assert pictures(explorer), name
        for html in pictures(explorer):
            assert len(re.search(r'alt="([^"]+)"', html)[1].split()) >= 5, html[:99]  # type: ignore[index]


# The pad


def test_a_pad_gives_what_prepare_digit_gives(net: ConvNet) -> None:
    pad = draw_digit(net)
    (strokes,) = [w for w in _leaves(pad) if hasattr(w, "strokes")]
    strokes.strokes = [[0.2, 0.2, 0.8, 0.2, 0.45, 0.9]]
    assert said(pad) == "Read as 7."
    shown = 1 - pixels(pictures(pad)[0]) / 255
    # In MNIST's box, and centred by mass, wherever it was drawn.
    rows, columns = np.nonzero(shown)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (20, 21)
    assert np.average(np.arange(28), weights=shown.sum(0)) == pytest.approx(14, abs=1)
    before = shown
    strokes.strokes = [[0.5 + 0.5 * v for v in (0.2, 0.2, 0.8, 0.2, 0.45, 0.9)]]
    smaller = 1 - pixels(pictures(pad)[0]) / 255
    assert said(pad) == "Read as 7."
    assert smaller.shape == before.shape
    bars = [html.value for html in parts(pad, ipywidgets.HTML) if "<table" in html.value][0]
    assert bars.count("<tr>") == 10


def _leaves(explorer: Explorer) -> list[Any]:
    waiting, found = [explorer.controls], []
    while waiting:
        widget = waiting.pop(0)
        found.append(widget)
        waiting += getattr(widget, "children", ())
    return found


def test_a_pad_says_why_it_cannot_read() -> None:
    pad = draw_digit(lambda images: TWO)
    (strokes,) = [w for w in _leaves(pad) if hasattr(w, "strokes")]
    strokes.strokes = [[0.1, 0.1, 0.1, 0.9], [0.9, 0.1, 0.9, 0.9]]
    assert "instead of one digit" in said(pad)
    assert not pictures(pad)
    button(pad, "Clear").click()
    assert (strokes.strokes, said(pad)) == ([], "Draw a digit.")


def test_a_pad_takes_a_function_and_gives_it_one_image() -> None:
    seen = []

    def reader(images: Any) -> Any:
        seen.append(images)
        return TWO

    pad = draw_digit(reader)
    assert said(pad) == "Read as 2."
    assert all(images.shape == (1, 784) and images.dtype == np.float32 for images in seen)
    with pytest.raises(ValueError, match=r"ten shares, \[1, 10\], .* got \[1, 3\]"):
        draw_digit(lambda images: [[0.2, 0.3, 0.5]])


def test_a_pad_asks_for_no_tensorflow_where_the_reader_does_not() -> None:
    code = "import sys, numpy as np; from mnist_helpers import draw_digit; "
    code += "draw_digit(lambda images: np.eye(10)[[2]]); print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.parametrize("kind", [dict, tuple])
def test_a_photograph_is_read_as_each_ipywidgets_hands_it_over(kind: Any, net: ConvNet) -> None:
    photo = Image.new("L", (600, 800), 235)
    ImageDraw.Draw(photo).line([(180, 230), (430, 210), (270, 590)], fill=40, width=44)
    buffer = io.BytesIO()
    photo.save(buffer, format="PNG")

    def files(content: bytes) -> Any:
        entry = {"name": "seven.png", "content": memoryview(content)}
        return {"seven.png": entry} if kind is dict else (entry,)

    pad = draw_digit(net)
    (upload,) = parts(pad, ipywidgets.FileUpload)
    upload.notify_change({"name": "value", "new": files(buffer.getvalue()), "type": "change"})
    assert said(pad) == "Read as 7."
    expected = np.uint8(255 * (1 - prepare_digit(photo))).reshape(28, 28)
    assert np.array_equal(pixels(pictures(pad)[0]), expected)
    upload.notify_change({"name": "value", "new": files(b"no picture"), "type": "change"})
    assert "save the picture as JPEG or PNG" in said(pad)


# Layers


def test_layers_of_the_chosen_image_and_moment(data: Mnist, net: ConvNet) -> None:
    moments = {100: load_checkpoint(100), 10_000: net}
    layers = explore_layers(moments, data.test)
    (number,) = parts(layers, ipywidgets.BoundedIntText)
    (moment,) = parts(layers, ipywidgets.SelectionSlider)
    number.value = 5
    for name, network in moments.items():
        moment.value = name
        shares = network.activations(data.test.images[5:6])["probabilities"][0]
        expected = (
            f"Image 5: a {data.test.labels[5]}, read as {shares.argmax()} ({shares.max():.0%})."
        )
        assert said(layers) == expected
    before = pictures(layers)
    moment.value = 100
    assert pictures(layers) != before


def test_the_next_image_is_of_the_class_and_the_next_mistake_is_one(
    data: Mnist, net: ConvNet
) -> None:
    layers = explore_layers(net, data.test)
    (number,) = parts(layers, ipywidgets.BoundedIntText)
    (of_class,) = parts(layers, ipywidgets.Dropdown)
    places = np.flatnonzero(data.test.labels == 3)
    of_class.value = 3
    for expected in [*places[places > 0][:2]]:
        button(layers, "Next image").click()
        assert number.value == expected
    number.value = int(places[-1])
    button(layers, "Next image").click()
    assert number.value == places[0], "after the last comes the first"
    of_class.value = None
    wrong = np.flatnonzero(evaluate(net, data.test).predictions != data.test.labels)
    number.value = int(wrong[0])
    button(layers, "Next mistake").click()
    assert number.value == wrong[1]


def test_where_there_is_no_mistake_it_says_so(data: Mnist, net: ConvNet) -> None:
    right = np.flatnonzero(evaluate(net, data.test).predictions == data.test.labels)[:5]
    layers = explore_layers(net, Split(data.test.images[right], data.test.labels[right]))
    button(layers, "Next mistake").click()
    assert said(layers) == "There are none."
    with pytest.raises(ValueError, match="at least one network"):
        explore_layers({}, data.test)


def test_a_network_of_ones_own_shows_its_own_layers(data: Mnist) -> None:
    class Blind(ConvNet):
        def layer_outputs(self, images: Any) -> Any:
            mine = tf.constant(images)[:, :128]
            return {"mine": mine, "logits": self.fc2(mine)}

    (figure,) = explore_layers(Blind(seed=0), data.test).figures
    titles = [ax.get_title() for ax in figure.axes]
    assert [title for title in titles if title] == ["image", "mine", "logits", "probabilities"]


# A filter


def test_a_filter_gives_what_two_loops_give(data: Mnist) -> None:
    image = data.test.images[0].reshape(28, 28).astype(float)
    explorer = try_filter(image)
    sliders = parts(explorer, ipywidgets.FloatSlider)
    weights = np.arange(9).reshape(3, 3) / 4 - 1
    for slider, value in zip(sliders, weights.flat, strict=True):
        slider.value = value
    assert str(weights.tolist()) in pictures(explorer)[0]
    framed = np.pad(image, 1)
    by_hand = [
        [(framed[i : i + 3, j : j + 3] * weights).sum() for j in range(28)] for i in range(28)
    ]
    (figure,) = try_filter(image, weights).figures
    drawn = figure.axes[2].images[0].get_array()
    assert np.allclose(drawn, by_hand)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_a_preset_is_what_it_is_called_in_each_size(size: int, data: Mnist) -> None:
    explorer = try_filter(data.test.images[0], np.zeros([size, size]))
    sliders = parts(explorer, ipywidgets.FloatSlider)
    assert len(sliders) == size**2
    if size < 3:
        assert not parts(explorer, ipywidgets.Button)
        return
    before = pictures(explorer)
    button(explorer, "No change").click()
    assert sum(slider.value for slider in sliders) == 1
    assert pictures(explorer) != before
    button(explorer, "Blur").click()
    assert sum(slider.value for slider in sliders) == pytest.approx(1)


@pytest.mark.parametrize("image, kernel", [(np.zeros(5), None), (np.eye(9), np.zeros([2, 3]))])
def test_a_filter_of_another_shape_is_refused(image: Any, kernel: Any) -> None:
    with pytest.raises(ValueError, match="square kernel"):
        try_filter(image, kernel)


# Training


def weights_of(net: ConvNet) -> list[Any]:
    return [variable.numpy() for variable in net.weights.values()]


def test_steps_by_button_are_those_of_optimize(data: Mnist) -> None:
    watched, plain = ConvNet(seed=0), ConvNet(seed=0)
    training = watch_training(watched, data.train, data.validation)
    for rate in (1e-4, 1e-2):
        training._rate.value = rate
        training.step()
        assert training._thread is None or training._thread.join(PATIENCE) is None
        training.pause()
        optimize(plain, data.train, 1, learning_rate=rate, verbose=False)
    assert all(map(np.array_equal, weights_of(watched), weights_of(plain)))
    assert training.history is not None and len(training.history.loss) == watched.iterations == 2
    # And optimize goes on from there.
    for net in (watched, plain):
        optimize(net, data.train, 2, verbose=False)
    assert all(map(np.array_equal, weights_of(watched), weights_of(plain)))


def test_training_goes_on_until_it_is_paused(data: Mnist, capfd: Any) -> None:
    """In a kernel: drawing waits for the loop, and steps wait for the drawing."""
    net = ConvNet(seed=0)
    seen: list[int] = []

    async def reader() -> None:
        training = watch_training(net, data.train, data.validation, every=3)
        assert training._pause.disabled and not training._start.disabled
        changed = asyncio.Event()
        training._picture.observe(lambda _: (seen.append(net.iterations), changed.set()), "value")
        button(training, "Start").click()
        button(training, "Start").click()
        assert training._start.disabled and not training._pause.disabled
        while net.iterations < 9:
            changed.clear()
            await asyncio.wait_for(changed.wait(), PATIENCE)
        button(training, "Pause").click()
        paused = net.iterations
        # What the thread had asked for comes, and changes nothing.
        await asyncio.sleep(0)
        assert paused % 3 == 0 and net.iterations == paused
        assert said(training).startswith(f"Paused. The network has had {paused} iterations")
        assert training._pause.disabled and not training._start.disabled
        # Again, and at once: what is left of the thread before does not end this one.
        training.start()
        await asyncio.sleep(0)
        assert training.is_running
        training.pause()

    asyncio.run(reader())
    assert seen == sorted(seen) and len(seen) >= 3
    assert capfd.readouterr() == ("", "")


def test_training_that_goes_astray_says_so_and_can_be_had_anew(data: Mnist) -> None:
    net = ConvNet(seed=0)
    training = watch_training(net, data.train)
    net.conv1.weights.assign(np.full([5, 5, 1, 16], np.nan))
    training.start()
    assert training._thread is None or training._thread.join(PATIENCE) is None
    assert said(training).startswith("FloatingPointError: at iteration")
    assert not training.is_running


def test_a_second_one_pauses_the_first(data: Mnist) -> None:
    async def reader() -> None:
        first = watch_training(ConvNet(seed=0), data.train, every=1)
        first.start()
        assert first.is_running
        second = watch_training(ConvNet(seed=0), data.train, every=1)
        assert not first.is_running
        second.start()
        assert first.is_running is False and second.is_running
        first.step()
        assert first.is_running and not second.is_running
        first.pause()

    asyncio.run(reader())


def test_what_was_measured_before_is_shown_with_what_follows(data: Mnist) -> None:
    net = ConvNet(seed=0)
    history = optimize(net, data.train, 20, verbose=False)
    training = watch_training(net, data.train, history=history)
    assert [len(figure.axes) for figure in training.figures] == [2, 2]
    training.step()
    training.pause()
    assert training.history is not None and len(training.history.loss) == net.iterations
    assert len(watch_training(ConvNet(seed=0), data.train).figures) == 1


def test_wrong_arguments_are_refused_in_words(data: Mnist) -> None:
    with pytest.raises(TypeError, match="pass the network first"):
        watch_training(data.train, ConvNet(seed=0))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="every must be at least 1"):
        watch_training(ConvNet(seed=0), data.train, every=0)


def test_the_readers_plot_settings_stay(data: Mnist, net: ConvNet) -> None:
    rcParams["lines.linewidth"] = 7
    try:
        explorers(data, net)
        assert rcParams["lines.linewidth"] == 7
    finally:
        rcParams["lines.linewidth"] = 1.5
    assert plot_image(data.test.images[0]).axes


def test_a_process_ends_while_training_runs(tmp_path: Path) -> None:
    code = """
from mnist_helpers import ConvNet, load_mnist, watch_training
training = watch_training(ConvNet(seed=0), load_mnist("digits").train, every=1)
training.start()
print("the end")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "the end\n", "")
