"""The numbers that a processor computes with, chosen by what it can do."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_helpers.precision import PRECISIONS, check_precision, cpu_flags, fastest_precision

TWO_CORES = """processor\t: 0
model name\t: one that is not sold
flags\t\t: fpu avx2 {flag}
bugs\t\t: none

processor\t: 1
flags\t\t: fpu avx2 {flag}
"""


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("avx512_bf16", "bfloat16"),
        ("amx_bf16", "bfloat16"),
        ("avx512f", "float32"),
        ("avx512_bf16x", "float32"),
        ("", "float32"),
    ],
)
def test_the_processors_flags_decide(tmp_path: Path, flag: str, expected: str) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(TWO_CORES.format(flag=flag))
    flags = cpu_flags(file)
    assert flags == {"fpu", "avx2", flag} - {""}
    assert fastest_precision(flags) == expected


def test_a_processor_that_says_nothing_computes_in_float32(tmp_path: Path) -> None:
    assert cpu_flags(tmp_path / "missing") == frozenset()
    arm = tmp_path / "cpuinfo"
    arm.write_text("processor\t: 0\nFeatures\t: fp asimd bf16\n")
    assert cpu_flags(arm) == frozenset()
    assert fastest_precision(frozenset()) == "float32"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TF_ENABLE_ONEDNN_OPTS", "1", "bfloat16"),
        ("TF_ENABLE_ONEDNN_OPTS", "0", "float32"),
        ("ONEDNN_MAX_CPU_ISA", "default", "bfloat16"),
        ("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_AMX", "bfloat16"),
        ("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_VNNI", "float32"),
        ("ONEDNN_MAX_CPU_ISA", "avx2", "float32"),
    ],
)
def test_what_keeps_tensorflow_from_bfloat16_counts(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    for setting in ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA"):
        monkeypatch.delenv(setting, raising=False)
    monkeypatch.setenv(name, value)
    flags = frozenset({"amx_bf16"})
    assert fastest_precision(flags) == expected
    if expected == "float32":
        with pytest.raises(ValueError, match=f"{name}.* keeps TensorFlow from them"):
            check_precision("bfloat16", flags)


def test_the_fastest_is_always_allowed() -> None:
    assert check_precision(fastest_precision()) in PRECISIONS
    assert check_precision("float32", frozenset()) == "float32"


def test_a_precision_that_would_end_the_process_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no instructions for bfloat16.*fastest_precision\(\)"):
        check_precision("bfloat16", frozenset({"avx2"}))
    with pytest.raises(ValueError, match="one of float32, bfloat16; got 'float16'"):
        check_precision("float16")
