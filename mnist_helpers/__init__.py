"""Helpers for the book: data, layers, shapes, the network, training, studies and plots.

Everything that the chapters use can be imported from here. Names are looked up when
they are first asked for, so that ``import mnist_helpers`` (or ``mnist_helpers.data``)
stays quick and does not load TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnist_helpers._quiet import quiet
    from mnist_helpers.batches import batch_indices
    from mnist_helpers.checkpoints import (
        CHECKPOINT_ITERATIONS,
        CHECKPOINT_SEED,
        CheckpointError,
        load_checkpoint,
        load_training,
        save_checkpoint,
        save_training,
    )
    from mnist_helpers.data import DataError, Mnist, Split, load_mnist
    from mnist_helpers.evaluation import Evaluation, cross_entropy, evaluate
    from mnist_helpers.exercises import check
    from mnist_helpers.explore import draw_digit, explore_layers, try_filter, watch_training
    from mnist_helpers.handwriting import prepare_digit
    from mnist_helpers.keras.variants import Variant, build_variant, train_variant
    from mnist_helpers.layers import (
        ConvLayer,
        FullyConnectedLayer,
        flatten_layer,
        new_biases,
        new_conv_layer,
        new_fc_layer,
        new_weights,
    )
    from mnist_helpers.network import ConvNet
    from mnist_helpers.plots import (
        plot_confusion_matrix,
        plot_conv_layer,
        plot_conv_weights,
        plot_example_errors,
        plot_history,
        plot_image,
        plot_images,
        plot_probabilities,
        plot_rows,
        plot_values,
    )
    from mnist_helpers.shapes import output_size, same_padding
    from mnist_helpers.studies import StudyError, load_study, save_study
    from mnist_helpers.training import History, optimize
    from mnist_helpers.widgets import convolution_steps, frames, mistakes_browser

__version__ = "0.1.0"

_MODULE_OF = {
    "CHECKPOINT_ITERATIONS": "checkpoints",
    "CHECKPOINT_SEED": "checkpoints",
    "CheckpointError": "checkpoints",
    "ConvLayer": "layers",
    "ConvNet": "network",
    "DataError": "data",
    "Evaluation": "evaluation",
    "FullyConnectedLayer": "layers",
    "History": "training",
    "Mnist": "data",
    "Split": "data",
    "StudyError": "studies",
    "Variant": "keras.variants",
    "batch_indices": "batches",
    "build_variant": "keras.variants",
    "check": "exercises",
    "convolution_steps": "widgets",
    "cross_entropy": "evaluation",
    "draw_digit": "explore",
    "evaluate": "evaluation",
    "explore_layers": "explore",
    "flatten_layer": "layers",
    "frames": "widgets",
    "load_checkpoint": "checkpoints",
    "load_mnist": "data",
    "load_study": "studies",
    "load_training": "checkpoints",
    "mistakes_browser": "widgets",
    "new_biases": "layers",
    "new_conv_layer": "layers",
    "new_fc_layer": "layers",
    "new_weights": "layers",
    "optimize": "training",
    "output_size": "shapes",
    "plot_confusion_matrix": "plots",
    "plot_conv_layer": "plots",
    "plot_conv_weights": "plots",
    "plot_example_errors": "plots",
    "plot_history": "plots",
    "plot_image": "plots",
    "plot_images": "plots",
    "plot_probabilities": "plots",
    "plot_rows": "plots",
    "plot_values": "plots",
    "prepare_digit": "handwriting",
    "quiet": "_quiet",
    "same_padding": "shapes",
    "save_checkpoint": "checkpoints",
    "save_study": "studies",
    "save_training": "checkpoints",
    "train_variant": "keras.variants",
    "try_filter": "explore",
    "watch_training": "explore",
}

__all__ = list(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
