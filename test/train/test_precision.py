from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stxlib.train import precision
from stxlib.train.precision import agreed, autocast_of, has_bf16, resolved

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("flags", "expected"), [("fpu avx512f avx512_bf16 amx_tile", "bf16"), ("fpu avx512f", "none")]
)
def test_auto_takes_bf16_where_the_cpu_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, expected: str
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"flags : {flags}\n")
    monkeypatch.setattr(precision, "Path", lambda _: cpuinfo)
    assert resolved("auto", CPU) == expected


def test_auto_takes_float32_where_nothing_is_known_of_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "Path", lambda _: tmp_path / "absent")
    assert not has_bf16(CPU)


@pytest.mark.parametrize("name", ["none", "bf16", "fp16"])
def test_what_is_asked_for_is_taken(name: precision.Precision) -> None:
    assert resolved(name, CPU) == name


def test_autocast_sets_the_type_of_products() -> None:
    x = torch.ones(2, 2)
    types = {"none": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    for name in ("none", "bf16", "fp16"):
        with autocast_of(name, CPU)():
            assert (x @ x).dtype == types[name]


def test_auto_on_a_gpu_asks_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer, expected in ((True, "bf16"), (False, "none")):
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation, answer=answer: answer
        )
        assert resolved("auto", torch.device("cuda")) == expected


def test_unlike_machines_agree_on_float32() -> None:
    assert (agreed(["bf16"]), agreed(["bf16", "bf16"]), agreed(["bf16", "none"])) == ("bf16", "bf16", "none")
