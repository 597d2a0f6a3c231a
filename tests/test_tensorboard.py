"""The chapter on TensorBoard writes what it says, and shows pictures of real pages."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorboard_pictures
from notebook_format import read_notebook
from PIL import Image
from playwright.sync_api import Browser
from tensorboard.compat.proto import event_pb2, graph_pb2
from tensorboard_pictures import (
    NOTEBOOK,
    PICTURES,
    TABS,
    WIDTH,
    chapter_code,
    take_pictures,
    write_logs,
)

from mnist_helpers import new_weights, quiet

with quiet():
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

pytest_plugins = ["browser"]

ITERATIONS = 100
# The page that shows the pictures is to load quickly.
MAX_BYTES = 80_000
# Images that are sent through the network when its insides are written.
RECORDED = 10

WEIGHTS = {
    "1st_layer/conv1_layer": [5, 5, 1, 32],
    "2nd_layer/conv2_layer": [5, 5, 32, 64],
    "fc1_layer": [3136, 1024],
    "fc2_layer": [1024, 10],
}
OUTPUTS = {
    "1st_layer/conv1_layer": RECORDED * 28 * 28 * 32,
    "2nd_layer/conv2_layer": RECORDED * 14 * 14 * 64,
    "fc1_layer": RECORDED * 1024,
    "fc2_layer": RECORDED * 10,
}
PICTURE_SHAPES = {
    "input/preprocess": (1, 28, 28),
    "1st_layer/conv1_layer/filters": (32, 5, 5),
    "1st_layer/conv1_layer/convolved": (32, 28, 28),
    "1st_layer/pool1_layer/pooled": (32, 14, 14),
    "2nd_layer/conv2_layer/filters": (64, 5, 5),
    "2nd_layer/conv2_layer/convolved": (64, 14, 14),
    "2nd_layer/pool2_layer/pooled": (64, 7, 7),
}
SCORES = {"cross_entropy", "accuracy"}
PARAMETERS = {f"{layer}/{kind}" for layer in WEIGHTS for kind in ("weight", "bias")}
STATISTICS = {f"{name}/{s}" for name in PARAMETERS for s in ("mean", "stddev", "max", "min")}
HISTOGRAMS = {f"{name}/histogram" for name in PARAMETERS} | {
    f"{layer}/activations/{kind}" for layer in WEIGHTS for kind in ("activations", "preactivations")
}
SLOW = "fc1_layer/weight/histogram"
KINDS = (
    dict.fromkeys(SCORES | STATISTICS | {"dropout/keep_probability"}, "scalars")
    | dict.fromkeys(HISTOGRAMS, "histograms")
    | dict.fromkeys(PICTURE_SHAPES, "images")
)


@dataclass
class Run:
    """What the event files of one writer hold."""

    values: dict[str, dict[int, Any]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    graphs: list[bytes] = field(default_factory=list)


def read(folder: Path) -> Run:
    run = Run()
    for path in sorted(folder.glob("*tfevents*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = event_pb2.Event.FromString(record.numpy())
            if event.graph_def:
                run.graphs.append(event.graph_def)
            for value in event.summary.value:
                steps = run.values.setdefault(value.tag, {})
                assert event.step not in steps, f"{value.tag} was written twice at {event.step}"
                steps[event.step] = tf.make_ndarray(value.tensor)
                run.kinds[value.tag] = value.metadata.plugin_data.plugin_name
    return run


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Logs of the chapter's own code, with few steps and on the few digits of the stand-in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_SOURCE", "digits")
        yield write_logs(tmp_path_factory.mktemp("chapter"), chapter_code(ITERATIONS))


@pytest.fixture(scope="module")
def runs(logs: Path) -> dict[str, Run]:
    return {name: read(logs / name) for name in ("train", "test")}


def test_there_are_two_runs_and_no_other(logs: Path) -> None:
    assert {path.name for path in logs.iterdir()} == {"train", "test"}


def test_every_tag_is_written_as_what_it_is(runs: dict[str, Run]) -> None:
    assert runs["train"].kinds == KINDS
    assert runs["test"].kinds == {tag: kind for tag, kind in KINDS.items() if tag != SLOW}


def test_values_are_at_the_steps_at_which_they_were_written(runs: dict[str, Run]) -> None:
    every_100 = list(range(0, ITERATIONS + 1, 100))
    for name, run in runs.items():
        for tag, steps in run.values.items():
            expected = every_100
            if name == "train" and tag in SCORES:
                expected = list(range(10, ITERATIONS + 1, 10))
            elif tag == SLOW:
                expected = [0]
            assert list(steps) == expected, (name, tag)


def test_training_drops_half_and_testing_nothing(runs: dict[str, Run]) -> None:
    for name, keep in {"train": 0.5, "test": 1.0}.items():
        assert set(map(float, runs[name].values["dropout/keep_probability"].values())) == {keep}


def test_scores_are_those_of_a_network_that_learns(runs: dict[str, Run]) -> None:
    for run in runs.values():
        losses, accuracies = (list(run.values[tag].values()) for tag in sorted(SCORES)[::-1])
        assert 0 < losses[-1] < losses[0]
        assert 0 <= accuracies[0] < accuracies[-1] <= 1


@pytest.mark.parametrize("name", ["train", "test"])
def test_statistics_are_those_of_the_parameters(name: str, runs: dict[str, Run]) -> None:
    values = runs[name].values
    for number, (layer, shape) in enumerate(WEIGHTS.items()):
        weights = new_weights(shape, stddev=0.1, seed=[0, number]).numpy()
        expected = {"mean": weights.mean(), "stddev": weights.std()}
        expected |= {"max": weights.max(), "min": weights.min()}
        for statistic, value in expected.items():
            found = values[f"{layer}/weight/{statistic}"][0]
            assert found == pytest.approx(value, abs=1e-5), (layer, statistic)
            start = 0.0 if statistic == "stddev" else 0.1
            assert values[f"{layer}/bias/{statistic}"][0] == pytest.approx(start, abs=1e-6)
        assert values[f"{layer}/weight/mean"][100] != values[f"{layer}/weight/mean"][0]


@pytest.mark.parametrize("name", ["train", "test"])
def test_histograms_count_every_number_once(name: str, runs: dict[str, Run]) -> None:
    sizes = {f"{layer}/weight/histogram": int(np.prod(shape)) for layer, shape in WEIGHTS.items()}
    sizes |= {f"{layer}/bias/histogram": shape[-1] for layer, shape in WEIGHTS.items()}
    for kind in ("activations", "preactivations"):
        sizes |= {f"{layer}/activations/{kind}": size for layer, size in OUTPUTS.items()}
    for tag, size in sizes.items():
        for step, table in runs[name].values.get(tag, {}).items():
            assert table.shape == (30, 3), tag
            assert table[:, 2].sum() == size, (tag, step)
            assert (table[:, 0] <= table[:, 1]).all(), (tag, step)


@pytest.mark.parametrize("tag", PICTURE_SHAPES)
def test_pictures_have_the_shape_of_what_they_show(tag: str, runs: dict[str, Run]) -> None:
    count, height, width = PICTURE_SHAPES[tag]
    for run in runs.values():
        for step, (stored_width, stored_height, *files) in run.values[tag].items():
            assert (int(stored_width), int(stored_height)) == (width, height)
            assert len(files) == count, step
            arrays = [np.asarray(Image.open(io.BytesIO(file))) for file in files]
            assert {array.shape for array in arrays} == {(height, width)}
            assert (np.min(arrays), np.max(arrays)) == (0, 255), "stretched from black to white"


def test_graph_is_drawn_by_layers(runs: dict[str, Run]) -> None:
    assert not runs["test"].graphs
    (stored,) = runs["train"].graphs
    names = [node.name for node in graph_pb2.GraphDef.FromString(stored).node]
    layers = ["input", *WEIGHTS, "dropout", "cross_entropy", "accuracy", "train"]
    layers += ["1st_layer/pool1_layer", "2nd_layer/pool2_layer"]
    inner = [f"{layer}/{part}" for layer in WEIGHTS for part in ("weight", "bias", "activations")]
    for scope in [*layers, *inner]:
        assert any(name.startswith(f"{scope}/") for name in names), scope
    boxes = {name.partition("/")[0] for name in names if "/" in name}
    assert boxes == {layer.partition("/")[0] for layer in layers} | {"gradient_tape"}


def test_trace_is_of_one_training_step(logs: Path) -> None:
    (path,) = logs.rglob("*.xplane.pb")
    assert path.is_relative_to(logs / "train" / "plugins" / "profile")
    planes = xplane_pb2.XSpace.FromString(path.read_bytes()).planes
    names = [
        plane.event_metadata[event.metadata_id].name
        for plane in planes
        for line in plane.lines
        for event in line.events
    ]
    assert names.count("train_step") == 1
    for start in ("1st_layer/", "2nd_layer/", "fc1_layer/", "gradient_tape/", "train/"):
        assert any(name.startswith(start) for name in names), start


def assert_page_of_tensorboard(image: Image.Image) -> None:
    """It has TensorBoard's orange bar at the top, and something below it."""
    assert image.width == WIDTH
    page = image.convert("RGB")
    bar = page.getpixel((WIDTH // 2, 2))
    assert np.abs(np.subtract(bar, [245, 124, 0])).max() < 12
    colours = page.crop((0, 80, page.width, page.height)).getcolors(page.width * page.height)
    counts = [count for count, _ in colours]
    assert len(counts) >= 16 and max(counts) < 0.95 * sum(counts), "almost blank"


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.name)
def test_stored_picture_shows_a_page_of_tensorboard(tab: tensorboard_pictures.Tab) -> None:
    path = PICTURES / f"{tab.name}.png"
    assert path.stat().st_size <= MAX_BYTES
    assert_page_of_tensorboard(Image.open(path))


@pytest.mark.filterwarnings("ignore:html5lib's sanitizer is deprecated:DeprecationWarning")
def test_tool_takes_a_picture_of_a_page(
    chromium: Browser, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (graph,) = [tab for tab in TABS if tab.name == "graph"]
    monkeypatch.setattr(tensorboard_pictures, "TABS", [graph])
    take_pictures(chromium, logs, tmp_path / "new")
    (path,) = (tmp_path / "new").iterdir()
    assert path.name == "graph.png"
    assert_page_of_tensorboard(Image.open(path))


def test_chapter_shows_each_picture() -> None:
    cells = read_notebook(NOTEBOOK.read_text(encoding="utf-8")).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert {path.stem for path in PICTURES.glob("*.png")} == {tab.name for tab in TABS}
    for tab in TABS:
        assert text.count(f"](../book/images/tensorboard/{tab.name}.png)") == 1, tab.name
