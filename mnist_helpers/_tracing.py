"""Traced graphs that never outlive what they were traced from."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from types import ModuleType
from typing import Any

import numpy as np

from mnist_helpers._checks import check_process
from mnist_helpers._quiet import quiet

with quiet():
    import tensorflow as tf

Parts = dict[str, Any]
"""What a network computes with, by name: classes, methods, variables, settings and arrays."""

_NO_PARTS = {"iterations", "training_state", "graphs", "warned", "_name", "_name_scope"}
"""Attributes of a network that have no say in its logits; nor have TensorFlow's, ``_self_…``."""

_METHODS = ("__call__", "layer_outputs", "fast_logits")

_OPAQUE = (tf.Variable, tf.Tensor, type, ModuleType)

_BY_VALUE = (bool, int, float, complex, str, bytes, tuple, np.generic)


def parts_of(value: Any, name: str = "net", seen: dict[int, Any] | None = None) -> Parts:
    """List what a network computes with.

    Layers, lists, dictionaries and plain objects are looked into. Anything else, such as a
    function, a Keras layer or a read-only array, is one part, and counts as unchanged as long as
    it is the same object.

    Args:
        value: A network, or something in it.
        name: What to call it.
        seen: What has been looked into already, by its ``id``.

    Raises:
        TypeError: If one of the methods that give the logits was replaced on one object alone.
    """
    seen = {} if seen is None else seen
    parts: Parts = {name: type(value)}
    if isinstance(value, np.ndarray) and value.flags.writeable:
        return {name: (value.dtype.str, value.shape, value.tobytes())}
    if isinstance(value, list | tuple):
        items = dict(enumerate(value))
    elif isinstance(value, dict):
        items = dict(value)
    elif isinstance(value, tf.Module) or (
        # A plain object.
        hasattr(value, "__dict__") and not callable(value) and not isinstance(value, _OPAQUE)
    ):
        items = {
            key: item
            for key, item in vars(value).items()
            if key not in _NO_PARTS and not key.startswith("_self_")
        }
        parts |= _methods_of(value, name)
    else:
        return {name: value}
    if id(value) in seen:
        return parts
    seen[id(value)] = value
    for key, item in items.items():
        parts |= parts_of(item, f"{name}.{key}", seen)
    return parts


def _methods_of(value: Any, name: str) -> Parts:
    if isinstance(value, tf.Module) and (replaced := vars(value).keys() & set(_METHODS)):
        method = min(replaced)
        raise TypeError(
            f"{name}.{method} was replaced on this one object, where a traced graph or a copy "
            f"would miss it: write a subclass of {type(value).__name__} with that {method} instead"
        )
    methods: Parts = {}
    for owner in reversed(type(value).__mro__):
        if owner not in tf.Module.__mro__:
            methods |= {
                f"{name}.{key}()": method
                for key, method in vars(owner).items()
                if callable(method) or isinstance(method, property)
            }
    return methods


def first_difference(one: Parts, other: Parts) -> str | None:
    """Name the first part that one network has and the other lacks, or has in another form."""
    for name in [*one, *other]:
        if name not in one or name not in other or not _is_same(one[name], other[name]):
            return name
    return None


def _is_same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    return isinstance(one, _BY_VALUE) and type(one) is type(other) and bool(one == other)


class GraphCache:
    """Graphs by key, each rebuilt when a part of its network has changed.

    A copy, or what comes back from a pickle, begins empty.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self._graphs: dict[Hashable, tuple[Parts, Callable[..., Any]]] = {}

    def __reduce__(self) -> tuple[type[GraphCache], tuple[()]]:
        """Leave the graphs behind: they belong to one network's variables."""
        return GraphCache, ()

    def look_up(
        self, net: tf.Module, key: Hashable, build: Callable[[], Callable[..., Any]]
    ) -> Callable[..., Any]:
        """Return the graph for this key, building it first if ``net`` has changed since."""
        check_process()
        parts = parts_of(net)
        before = self._graphs.get(key)
        if before is None or first_difference(before[0], parts):
            self._graphs[key] = before = parts, build()
        return before[1]
