"""How large is the output of a filter or a pooling window?

Taught in the chapter on shapes (``notebooks/arithmetic.ipynb``). Both functions look at
one side, height or width, because the two do not influence each other.
"""

from __future__ import annotations

from mnist_helpers._checks import check_count


def output_size(size: int, filter_size: int, stride: int = 1, padding: str | int = "SAME") -> int:
    """Count the places at which a filter or a pooling window stops along one side.

    With P pixels of padding at both ends there are floor((W - F + 2P) / S) + 1 places: the
    first one, and one more for each whole step that fits into the rest. TensorFlow's two
    rules are ceil(W / S) for SAME, which pads as much as that takes (see
    :func:`same_padding`), and ceil((W - F + 1) / S) for VALID, which is the formula with
    P = 0 (source of both: TensorFlow's guide to padding, in the documentation of
    ``tf.nn``).

    Args:
        size: W, height or width of the input in pixels.
        filter_size: F, height or width of the filter or window in pixels.
        stride: S, how many pixels it moves at a time.
        padding: ``"SAME"``, ``"VALID"``, or P, the number of pixels at each end.

    Returns:
        Height or width of the output, at least 1.
    """
    size, filter_size, stride = _checked(size, filter_size, stride)
    if padding == "SAME":
        return -(-size // stride)
    if padding == "VALID":
        pixels = 0
    elif isinstance(padding, str):
        raise ValueError(f'padding must be "SAME", "VALID" or a number of pixels; got {padding!r}')
    else:
        pixels = check_count("padding", padding, least=0)
    room = size - filter_size + 2 * pixels
    if room < 0:
        raise ValueError(
            f"a filter of {filter_size} pixels does not fit into {size} with {pixels} of padding "
            "at each end: use a smaller filter or more padding"
        )
    return room // stride + 1


def same_padding(size: int, filter_size: int, stride: int = 1) -> tuple[int, int]:
    """Tell how many pixels TensorFlow's SAME adds along one side, and at which end.

    For ceil(W / S) places the filter must reach across (ceil(W / S) - 1) * S + F pixels. Those that
    the input lacks are added, half before and half after; an odd pixel comes after, that is,
    at the bottom or on the right. (Source: TensorFlow's guide to padding, in the
    documentation of ``tf.nn``.)

    Args:
        size: W, height or width of the input in pixels.
        filter_size: F, height or width of the filter or window in pixels.
        stride: S, how many pixels it moves at a time.

    Returns:
        Pixels before (top or left) and after (bottom or right): equal, or one more after.
    """
    size, filter_size, stride = _checked(size, filter_size, stride)
    reach = (output_size(size, filter_size, stride, "SAME") - 1) * stride + filter_size
    missing = max(reach - size, 0)
    return missing // 2, missing - missing // 2


def _checked(size: int, filter_size: int, stride: int) -> tuple[int, int, int]:
    """The three as Python's integers (NumPy's are accepted too), refused when below 1."""
    return (
        check_count("size", size),
        check_count("filter_size", filter_size),
        check_count("stride", stride),
    )
