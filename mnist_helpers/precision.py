"""Which numbers a processor computes with fastest.

Taught in ``notebooks/speed.ipynb``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, get_args

Precision = Literal["float32", "bfloat16"]
"""float32 has 24 significant bits; bfloat16, its upper half, has 8, and the same range."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
"""Linux's names for the x86 instructions that multiply bfloat16 numbers."""

_HELD_BACK = ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA")
"""Settings that keep TensorFlow from oneDNN, and oneDNN from instructions of the processor."""

_CPUINFO = Path("/proc/cpuinfo")


def cpu_flags(cpuinfo: Path = _CPUINFO) -> frozenset[str]:
    """Read which instructions the processor has, by Linux's names, such as ``avx2``.

    There are none where there is no such file (macOS and Windows) or the processor is not x86.
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    flags = (line.partition(":")[2] for line in lines if line.startswith("flags"))
    return frozenset(next(flags, "").split())


def _held_back() -> bool:
    """Whether oneDNN, whose routines compute in bfloat16, is switched off or may not do so.

    https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html lists the names
    of instruction sets.
    """
    switch, newest = (os.environ.get(name, "").upper() for name in _HELD_BACK)
    has_bfloat16 = newest in ("", "ALL", "DEFAULT") or any(
        name in newest for name in ("BF16", "FP16", "AMX", "AVX10")
    )
    return switch in ("0", "FALSE") or not has_bfloat16


def fastest_precision(flags: frozenset[str] | None = None) -> Precision:
    """Choose ``"bfloat16"`` where the processor has instructions for it, else ``"float32"``.

    Others take more than twice as long with bfloat16 as with float32, and on one without AVX-512
    the process may crash. The same holds where oneDNN is kept from these instructions, by
    ``TF_ENABLE_ONEDNN_OPTS=0`` or an ``ONEDNN_MAX_CPU_ISA`` such as ``AVX2``.

    Args:
        flags: The processor's instructions; those of this machine if left out.
    """
    found = cpu_flags() if flags is None else flags
    return "bfloat16" if found & _BFLOAT16_FLAGS and not _held_back() else "float32"


def check_precision(precision: str, flags: frozenset[str] | None = None) -> Precision:
    """Return the precision; refuse one that does not exist, or that this processor lacks."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")
    if precision == "bfloat16" and fastest_precision(flags) != "bfloat16":
        raise ValueError(
            "this processor has no instructions for bfloat16 (avx512_bf16 or amx_bf16), or "
            f"{' or '.join(_HELD_BACK)} keeps TensorFlow from them: bfloat16 would be slower than "
            'float32, or crash the process. Use precision="float32", or '
            "precision=fastest_precision(), which chooses for you."
        )
    return precision
