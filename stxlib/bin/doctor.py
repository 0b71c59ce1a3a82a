"""Say what this installation has: versions, devices, threads, and which optional parts are on.

    python -m stxlib.bin.doctor

Every part is imported, since a package that is there may still not work. The exit status is 0 where all that stxlib cannot do without
works.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stxlib.config import parse_config
from stxlib.errors import ConfigError, run
from stxlib.revision import git_commit

ROOT = Path(__file__).resolve().parents[2]
# Package to install: module to import.
CORE = {
    "torch": "torch",
    "torchaudio": "torchaudio",
    "numpy": "numpy",
    "pyyaml": "yaml",
    "configargparse": "configargparse",
    "sentencepiece": "sentencepiece",
    "soundfile": "soundfile",
    "jiwer": "jiwer",
    "humanfriendly": "humanfriendly",
    "tensorboard": "tensorboard",
    "tqdm": "tqdm",
    "safetensors": "safetensors",
}


@dataclass(frozen=True)
class Part:
    """Something optional: an extra of setup.py."""

    extra: str
    use: str
    """what it is for"""
    without: str
    """what happens without it"""
    modules: dict[str, str]
    """package to install: module to import"""


PARTS = (
    Part("mini", "eSpeak NG: speech of egs/mini, phones as units", "take `units: {kind: subwords}`, no egs/mini", {"espeakng-loader": "espeakng_loader"}),
    Part("kaldi", "Kaldi archives in wav.scp", "give audio files", {"kaldiio": "kaldiio"}),
    Part("report", "curves in the report", "the report has tables alone", {"matplotlib": "matplotlib"}),
    Part("llm", "causal language models, LoRA, public speech encoders", "asr does not need them", {"transformers": "transformers", "peft": "peft"}),
    Part("lm", "lexicon beam search, n-gram queries", "nothing needs them", {"flashlight-text": "flashlight.lib.text.decoder", "kenlm": "kenlm"}),
    Part("onnx", "export", "nothing else needs them", {"onnx": "onnx", "onnxscript": "onnxscript", "onnxruntime": "onnxruntime"}),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DoctorConfig:
    """The doctor has no options."""


def main(argv: Sequence[str] | None = None) -> None:
    """Print the findings. Raises ConfigError where a core package is missing or does not work."""
    parse_config(DoctorConfig, argv, prog="stxlib.bin.doctor", description="Say what this installation has.")
    print(f"stxlib      {ROOT} (commit {git_commit()})")
    print(
        f"python      {platform.python_version()} in {sys.prefix}, {platform.system()} {platform.machine()}"
    )
    broken = []
    for package, module in CORE.items():
        version, problem = probe(package, module)
        print(f"{package:<15} {version}" if not problem else f"{package:<15} FAILS: {problem}")
        if problem:
            broken.append(package)
    if "torch" not in broken:
        print("\n".join(devices()))
    print("optional parts")
    for part in PARTS:
        print("\n".join(examine(part)))
    if broken:
        raise ConfigError(
            f"{', '.join(broken)}: missing or not working; run {ROOT / 'tools' / 'setup.sh'}{advice(broken)}"
        )


def probe(package: str, module: str) -> tuple[str, str]:
    """(version, "") of a package that can be imported, else ("", what is wrong)."""
    try:
        importlib.import_module(module)
        return importlib.metadata.version(package), ""
    except ModuleNotFoundError as error:
        if error.name is not None and module.startswith(error.name):
            return "", "not installed"
        return "", f"needs {error.name}, which is not installed"
    except Exception as error:  # whatever a broken package does on import is what we are here to tell
        return (
            "",
            f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}",
        )


def advice(broken: Sequence[str]) -> str:
    """What else is known about a failure."""
    if "torchaudio" in broken and "torch" not in broken:
        version = importlib.metadata.version("torch").split("+")[0]
        return f" (torchaudio has to match torch {version}: tools/constraints.txt has a pair that does)"
    return ""


def examine(part: Part) -> list[str]:
    """Lines about one optional part: on with versions, or off with the reason and what to do."""
    found = {package: probe(package, module) for package, module in part.modules.items()}
    head = f"  {part.extra:<8}"
    if not any(problem for _, problem in found.values()):
        versions = ", ".join(f"{package} {version}" for package, (version, _) in found.items())
        return [f"{head} on   {part.use} ({versions})"]
    reasons = "; ".join(f"{package}: {problem}" for package, (_, problem) in found.items() if problem)
    missing = " ".join(package for package, (_, problem) in found.items() if problem)
    return [
        f"{head} off  {part.use}: {reasons}",
        f"{'':<8}      to turn it on: {sys.executable} -m pip install {missing}; without it: {part.without}",
    ]


def devices() -> list[str]:
    """Lines about processors: cores, threads, precision, GPUs."""
    import torch

    from stxlib.train.precision import has_bf16

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    lines = [
        f"CPU         {cores} cores, torch takes {torch.get_num_threads()} threads (OMP_NUM_THREADS {threads})"
    ]
    if has_bf16(torch.device("cpu")):
        lines.append("            has bf16 arithmetic: `trainer.autocast: auto` takes it")
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        lines.append(
            f"GPU {index}       {card.name}, {card.total_memory / 2**30:.0f} GiB (CUDA {torch.version.cuda})"
        )
    if not torch.cuda.is_available():
        built = torch.version.cuda
        lines.append(
            f"GPU         none{f' that torch can use (it is built for CUDA {built}; see nvidia-smi)' if built else ''}; training runs on the CPU"
        )
    return lines


if __name__ == "__main__":
    sys.exit(run(main))
