"""What Latent Synthesis costs: making latents of text, and learning from them, beside learning from speech alone.

    python tools/bench_lasyn.py --model egs/mini/exp/pretrain/seed1 --text egs/mini/data/text_only \
        --synthesizers egs/mini/exp/lasyn/seed1/synthesis [more of them]

Steps: forward, backward, clipping and AdamW of the backbone, the encoder frozen, on random waves and on sentences of the text. `speech` is a
batch of speech, `mixed` a quarter of it and text for the rest: as many latents in all; `unheard` is what a mixed step takes longer where the
decoder writes eight quarters of text besides that it does not hear. Times are medians of one thread's steps, taken in turn.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from stxlib.config import parse_config
from stxlib.data.batch import BatchWithUnheard, MixedBatch, Sequences, SpeechBatch, TextBatch
from stxlib.data.data_dir import DataDir
from stxlib.errors import ConfigError, run
from stxlib.models.saved import load_network
from stxlib.models.saved_synthesizer import load_synthesizer
from stxlib.models.speech_to_text import SpeechToText
from stxlib.models.synthesizer import Synthesizer
from stxlib.objectives.latent_synthesis import LatentSynthesisLossConfig, LatentSynthesisObjective
from stxlib.objectives.speech_to_text import SpeechToTextLossConfig, SpeechToTextObjective
from stxlib.text.saved import load_units
from stxlib.train.init import freeze

SECONDS_PER_UTTERANCE = 2.5


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    model: Path
    "folder of the speech model"
    text: Path
    "data directory of text, with the stream `units`"
    synthesizers: tuple[Path, ...]
    "folders of synthesizers"
    seconds: float = 40.0
    "of speech and text in a batch"
    steps: int = 12
    "timed steps of each kind, after three that are not"
    sentences: int = 200
    "sentences to turn into latents"


def speech_of(seconds: float, sentences: Sequence[tuple[list[int], list[int]]]) -> SpeechBatch:
    """Noise, said to be the sentences (units, tokens)."""
    count, num_samples = round(seconds / SECONDS_PER_UTTERANCE), round(16000 * SECONDS_PER_UTTERANCE)
    generator = torch.Generator().manual_seed(0)
    return SpeechBatch(
        tuple(f"utt{index}" for index in range(count)),
        torch.arange(count),
        0.1 * torch.randn(count, num_samples, generator=generator),
        torch.full((count,), num_samples),
        16000,
        {"asr": Sequences.of([tokens for _, tokens in sentences[:count]])},
    )


def text_of(
    latents: float, synthesizer: Synthesizer, sentences: Sequence[tuple[list[int], list[int]]]
) -> TextBatch:
    """As many sentences (units, tokens) as become about so many latents."""
    chosen, so_far = 0, 0.0
    while so_far < latents and chosen < len(sentences):
        so_far += len(sentences[chosen][0]) * synthesizer.frames_per_unit
        chosen += 1
    part = sentences[:chosen]
    return TextBatch(
        tuple(f"text{index}" for index in range(chosen)),
        torch.arange(chosen),
        Sequences.of([units for units, _ in part]),
        {"asr": Sequences.of([tokens for _, tokens in part])},
    )


def seconds_of(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def step_of(objective: torch.nn.Module, batch: SpeechBatch | MixedBatch) -> Callable[[], None]:
    parameters = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, foreach=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        found = objective(batch)
        (found["loss"].sum / found["loss"].count).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()

    return step


def row(config: BenchConfig, folder: Path, sentences: Sequence[tuple[list[int], list[int]]]) -> str:
    """The line of one synthesizer."""
    network, _ = load_network(config.model)
    if not isinstance(network, SpeechToText):
        raise ConfigError(f"--model {config.model}: is no speech model; give the folder of stage 3")
    freeze(network, ("encoder.*", "unit_head.*"))
    synthesizer = load_synthesizer(folder)
    speech = SpeechToTextObjective(network, SpeechToTextLossConfig(unit_ctc_weight=0)).train()
    both = LatentSynthesisObjective(network, synthesizer, LatentSynthesisLossConfig()).train()
    network.encoder.eval()  # as the trainer keeps what is frozen
    whole = speech_of(config.seconds, sentences)
    latents_per_quarter = config.seconds / 4 * network.encoder.latents_per_second
    made_of = text_of(3 * latents_per_quarter, synthesizer, sentences)
    unheard = text_of(8 * latents_per_quarter, synthesizer, sentences)
    mixed = MixedBatch(speech_of(config.seconds / 4, sentences), made_of, 0.75 * config.seconds)
    with_unheard = BatchWithUnheard(mixed.speech, mixed.text, mixed.text_seconds, unheard)
    calls: dict[str, Callable[[], object]] = {
        "speech": step_of(speech, whole),
        "mixed": step_of(both, mixed),
        "unheard": step_of(both, with_unheard),
        "synthesis": partial(both.latents_of, made_of),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(config.steps + 3):
        for name, call in calls.items():
            seconds = seconds_of(call)
            if number >= 3:
                times[name].append(seconds)
    median = {name: statistics.median(values) for name, values in times.items()}
    ids = Sequences.of([units for units, _ in sentences[: config.sentences]])
    seeds = torch.arange(len(ids.lens))
    each = seconds_of(partial(synthesizer.sample, ids.ids, ids.lens, seeds)) / len(seeds)
    latents = int(both.latents_of(made_of)[1].sum()) + 25 * int(config.seconds / 4)
    return (
        f"{folder!s:30.30} {1000 * each:11.2f} {1000 * each:8.1f} {latents:8d} {1000 * median['speech']:15.0f} "
        f"{1000 * median['mixed']:14.0f} {median['mixed'] / median['speech']:6.2f} "
        f"{100 * median['synthesis'] / median['mixed']:18.1f} % {1000 * (median['unheard'] - median['mixed']):11.0f}"
    )


def main(argv: Sequence[str] | None = None) -> None:
    config = parse_config(
        BenchConfig, argv, prog="tools/bench_lasyn.py", description=(__doc__ or "").splitlines()[0]
    ).config
    torch.set_num_threads(1)
    units, data = load_units(config.model / "units"), DataDir(config.text)
    spelt, text = data.table("units"), data.table("text")
    sentences = [
        (units.units.encode(spelt[utt].split()), units.tokens.encode(text[utt]))
        for utt in data.utts[: max(config.sentences, 400)]
    ]
    print(
        f"torch {torch.__version__}, fp32, CPU, one thread; {config.seconds:g} s in a batch of {config.model}"
    )
    print(
        "synthesizer                    ms/sentence  s/1,000  latents  speech ms/step  mixed ms/step  ratio  synthesis of a step  unheard ms"
    )
    for folder in config.synthesizers:
        print(row(config, folder, sentences))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"peak memory of this process {peak:.2f} GiB; latents: in the mixed batch ({25 * int(config.seconds)} in that of speech)"
    )


if __name__ == "__main__":
    sys.exit(run(main))
