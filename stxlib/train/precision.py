"""In which precision a forward pass runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import torch

Precision = Literal["none", "bf16", "fp16"]
"""`none` is float32 throughout"""


def resolved(name: Literal["auto"] | Precision, device: torch.device) -> Precision:
    """`auto` is bf16 where the device computes it in hardware, and none elsewhere."""
    if name != "auto":
        return name
    return "bf16" if has_bf16(device) else "none"


def agreed(precisions: Sequence[Precision]) -> Precision:
    """Of all processes: what they have in common, else none. They differ where `auto` meets unlike machines."""
    return precisions[0] if len(set(precisions)) == 1 else "none"


def has_bf16(device: torch.device) -> bool:
    """Whether a GPU, or an x86 CPU under Linux, has arithmetic for bfloat16. Where there is none, torch computes it all the same, and slowly."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text(encoding="utf-8") if device.type == "cpu" and cpuinfo.exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def autocast_of(name: Precision, device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    """A maker of contexts in which the forward pass runs in this precision."""
    dtype = torch.float16 if name == "fp16" else torch.bfloat16
    return lambda: torch.autocast(device.type, dtype, enabled=name != "none")
