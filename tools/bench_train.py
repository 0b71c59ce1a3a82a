"""How fast the baseline trains on a CPU: one table, by size, batch, threads and precision.

    python tools/bench_train.py                      # the table
    python tools/bench_train.py --profile true       # and where the time of the default size goes

A step is features, forward, backward, clipping and AdamW on random waves and labels (2.5 tokens and 11 units a second).
`small` is laid beside other toolkits: 2.1 to 2.6 M parameters, 4 utterances of 3 s.
Times are medians; the ratio is to the first row of the same size and batch.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import torch

from stxlib.config import parse_config
from stxlib.data.batch import Sequences, SpeechBatch
from stxlib.errors import run
from stxlib.models.speech_to_text import SpeechToText, SpeechToTextConfig
from stxlib.objectives.speech_to_text import SpeechToTextLossConfig, SpeechToTextObjective
from stxlib.train.precision import Precision, autocast_of, resolved

VOCAB_SIZE, NUM_UNITS = 300, 70
CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    steps: int = 15
    "timed steps of each row, after three that are not"
    threads: tuple[int, ...] = (1, 2)
    "numbers of threads to compare"
    autocast: tuple[Literal["auto", "none", "bf16"], ...] = ("none", "auto")
    "precisions to compare, as `trainer.autocast`; auto is bf16 where the CPU has arithmetic for it, and left out where that is there already"
    profile: bool = False
    "print where the time of the default size goes, by operator"


def small(config: SpeechToTextConfig) -> SpeechToTextConfig:
    """About 2.4 M parameters: three blocks below the latents and two above."""
    encoder = replace(config.encoder, conformer=replace(config.encoder.conformer, num_layers=2))
    backbone = replace(config.backbone, conformer=replace(config.backbone.conformer, num_layers=2))
    return replace(config, encoder=encoder, backbone=backbone)


def make_batch(num_utts: int, seconds: float) -> SpeechBatch:
    """Waves of equal length, so that no figure hides padding."""
    generator = torch.Generator().manual_seed(0)
    num_samples, num_tokens, num_units = int(16000 * seconds), int(2.5 * seconds), int(11 * seconds)
    return SpeechBatch(
        utts=tuple(f"utt{i}" for i in range(num_utts)),
        seeds=torch.arange(num_utts),
        waves=torch.randn(num_utts, num_samples, generator=generator) * 0.1,
        wave_lens=torch.full((num_utts,), num_samples),
        sample_rate=16000,
        labels={
            "asr": Sequences(
                torch.randint(4, VOCAB_SIZE, (num_utts, num_tokens), generator=generator),
                torch.full((num_utts,), num_tokens),
            ),
            "units": Sequences(
                torch.randint(2, NUM_UNITS, (num_utts, num_units), generator=generator),
                torch.full((num_utts,), num_units),
            ),
        },
    )


class Step:
    """One training step of a network on one batch, timed by part."""

    def __init__(self, config: SpeechToTextConfig, batch: SpeechBatch, precision: Precision) -> None:
        torch.manual_seed(0)
        self.autocast = autocast_of(precision, CPU)
        network = SpeechToText(config, VOCAB_SIZE, NUM_UNITS)
        self.objective = SpeechToTextObjective(network, SpeechToTextLossConfig()).train()
        self.parameters = list(self.objective.parameters())
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-4, foreach=True)
        self.batch = batch

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters)

    def __call__(self) -> list[float]:
        """Run it; seconds of forward, backward, and clipping with the update."""
        times = [time.perf_counter()]
        with self.autocast():
            loss = self.objective(self.batch)["loss"]
        times.append(time.perf_counter())
        (loss.sum / loss.count).backward()
        times.append(time.perf_counter())
        torch.nn.utils.clip_grad_norm_(self.parameters, 5.0, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        times.append(time.perf_counter())
        return [after - before for before, after in zip(times, times[1:], strict=False)]


def main(argv: Sequence[str] | None = None) -> None:
    config = parse_config(
        BenchConfig, argv, prog="tools.bench_train", description="Training throughput."
    ).config
    default = SpeechToTextConfig()
    precisions = tuple(dict.fromkeys(resolved(name, CPU) for name in config.autocast))
    print(f"torch {torch.__version__}, CPU")
    print(
        "size     M params  batch     threads  autocast  forward  backward  update  ms/step  audio s/s  ratio   spread"
    )
    for name, network, num_utts, seconds in (
        ("small", small(default), 4, 3.0),
        ("default", default, 4, 3.0),
        ("default", default, 16, 2.5),
    ):
        first = None
        for threads, precision in product(config.threads, precisions):
            torch.set_num_threads(threads)
            step = Step(network, make_batch(num_utts, seconds), precision)
            parts = [step() for _ in range(config.steps + 3)][3:]
            forward, backward, update = (1e3 * statistics.median(part) for part in zip(*parts, strict=True))
            totals = sorted(sum(part) for part in parts)
            total = statistics.median(totals)
            first = first or total
            spread = 100 * (totals[3 * len(totals) // 4] - totals[len(totals) // 4]) / total
            print(
                f"{name:8} {step.num_parameters / 1e6:8.2f}  {num_utts:2d} x {seconds:.1f} s {threads:7d}  {precision:8} {forward:8.0f} {backward:9.0f}"
                f" {update:7.0f} {1e3 * total:8.0f} {num_utts * seconds / total:10.1f}  {first / total:.2f} x  {spread:4.0f} %"
            )
    if config.profile:
        torch.set_num_threads(config.threads[0])
        step = Step(default, make_batch(16, 2.5), precisions[-1])
        step()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            for _ in range(3):
                step()
        print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=25))


if __name__ == "__main__":
    sys.exit(run(main))
