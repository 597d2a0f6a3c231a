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
        plot_network,
        plot_probabilities,
        plot_rows,
        plot_values,
    )
    from mnist_helpers.shapes import output_size, same_padding
    from mnist_helpers.studies import StudyError, load_study, save_study
    from mnist_helpers.training import History, optimize
    from mnist_helpers.widgets import convolution_steps, frames, mistakes_browser

__version__ = "0.1.0"

_NAMES = {
    "_quiet": "quiet",
    "batches": "batch_indices",
    "checkpoints": """
        CHECKPOINT_ITERATIONS CHECKPOINT_SEED CheckpointError load_checkpoint load_training
        save_checkpoint save_training
    """,
    "data": "DataError Mnist Split load_mnist",
    "evaluation": "Evaluation cross_entropy evaluate",
    "exercises": "check",
    "explore": "draw_digit explore_layers try_filter watch_training",
    "handwriting": "prepare_digit",
    "keras.variants": "Variant build_variant train_variant",
    "layers": """
        ConvLayer FullyConnectedLayer flatten_layer new_biases new_conv_layer new_fc_layer
        new_weights
    """,
    "network": "ConvNet",
    "plots": """
        plot_confusion_matrix plot_conv_layer plot_conv_weights plot_example_errors
        plot_history plot_image plot_images plot_network plot_probabilities plot_rows
        plot_values
    """,
    "shapes": "output_size same_padding",
    "studies": "StudyError load_study save_study",
    "training": "History optimize",
    "widgets": "convolution_steps frames mistakes_browser",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
