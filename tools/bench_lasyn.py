"""What Latent Synthesis costs: making latents of text, and learning from them, beside learning from speech alone.

    python tools/bench_lasyn.py --model egs/mini/exp/pretrain/seed1 --text egs/mini/data/text_only \
        --synthesizers egs/mini/exp/lasyn/seed1/synthesis [more of them]

Steps: forward, backward, clipping and AdamW of the backbone, the encoder frozen, on random waves and on sentences of the text, all of nearly one
length. `speech` is a batch of speech, `mixed` a quarter of it and text for the rest: as many latents in all; `unheard` is what a mixed step takes
longer where the decoder writes eight quarters of text besides that it does not hear. Times are medians of one thread's steps, taken in turn.
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
from typing import Literal

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
from stxlib.train.init import freeze, set_train_mode
from stxlib.train.precision import Precision, autocast_of, resolved

Sentence = tuple[list[int], list[int]]
"its units and its tokens"


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
    "sentences to turn into latents, of all lengths"
    autocast: Literal["auto", "none", "bf16"] = "auto"
    "precision of a step, as `trainer.autocast`"


def alike(sentences: Sequence[Sentence], count: int) -> list[Sentence]:
    """Those of middle length, as a training batch has sentences of one length, or nearly."""
    lens = sorted(len(units) for units, _ in sentences)
    middle = lens[len(lens) // 2]
    chosen = sorted(range(len(sentences)), key=lambda index: abs(len(sentences[index][0]) - middle))[:count]
    return [sentences[index] for index in sorted(chosen)]


def first(latents: float, frames_per_unit: float, sentences: Sequence[Sentence]) -> list[Sentence]:
    """As many sentences as become about so many latents."""
    chosen, so_far = 0, 0.0
    while so_far < latents and chosen < len(sentences):
        so_far += len(sentences[chosen][0]) * frames_per_unit
        chosen += 1
    return list(sentences[:chosen])


def speech_of(sentences: Sequence[Sentence], samples_per_unit: float) -> SpeechBatch:
    """Noise, said to be the sentences."""
    lens = torch.tensor([round(len(units) * samples_per_unit) for units, _ in sentences])
    generator = torch.Generator().manual_seed(0)
    return SpeechBatch(
        tuple(f"utt{index}" for index in range(len(lens))),
        torch.arange(len(lens)),
        0.1 * torch.randn(len(lens), int(lens.max()), generator=generator),
        lens,
        16000,
        {"asr": Sequences.of([tokens for _, tokens in sentences])},
    )


def text_of(sentences: Sequence[Sentence]) -> TextBatch:
    return TextBatch(
        tuple(f"text{index}" for index in range(len(sentences))),
        torch.arange(len(sentences)),
        Sequences.of([units for units, _ in sentences]),
        {"asr": Sequences.of([tokens for _, tokens in sentences])},
    )


def seconds_of(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def step_of(
    objective: torch.nn.Module, batch: SpeechBatch | MixedBatch, precision: Precision
) -> Callable[[], None]:
    parameters = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, foreach=True)
    autocast = autocast_of(precision, torch.device("cpu"))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast():
            found = objective(batch)
        (found["loss"].sum / found["loss"].count).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()

    return step


def seconds_per_sentence(synthesizer: Synthesizer, sentences: Sequence[Sentence]) -> float:
    """Of making latents: sentences of all lengths, 40 at a time by length."""
    units = sorted((units for units, _ in sentences), key=len)
    batches = [Sequences.of(units[start : start + 40]) for start in range(0, len(units), 40)]
    calls = [
        partial(synthesizer.sample, part.ids, part.lens, torch.arange(len(part.lens))) for part in batches
    ]
    return sum(seconds_of(call) for call in calls) / len(units)


def row(config: BenchConfig, folder: Path, all_sentences: Sequence[Sentence]) -> str:
    """The line of one synthesizer."""
    network, _ = load_network(config.model)
    if not isinstance(network, SpeechToText):
        raise ConfigError(f"--model {config.model}: is no speech model; give the folder of stage 3")
    freeze(network, ("encoder.*", "unit_head.*"))
    synthesizer = load_synthesizer(folder)
    speech = SpeechToTextObjective(network, SpeechToTextLossConfig(unit_ctc_weight=0))
    both = LatentSynthesisObjective(network, synthesizer, LatentSynthesisLossConfig())
    set_train_mode(speech)
    set_train_mode(both)
    latents_per_second, per_unit = network.encoder.latents_per_second, synthesizer.frames_per_unit
    latents = config.seconds * latents_per_second
    sentences = alike(all_sentences, 400)
    chosen = {part: first(part * latents, per_unit, sentences) for part in (0.25, 0.75, 1, 2)}
    samples_per_unit = 16000 * per_unit / latents_per_second
    whole, quarter = speech_of(chosen[1], samples_per_unit), speech_of(chosen[0.25], samples_per_unit)
    text = text_of(chosen[0.75])
    mixed = MixedBatch(quarter, text, 0.75 * config.seconds)
    with_unheard = BatchWithUnheard(quarter, text, mixed.text_seconds, text_of(chosen[2]))
    precision = resolved(config.autocast, torch.device("cpu"))
    calls: dict[str, Callable[[], object]] = {
        "speech": step_of(speech, whole, precision),
        "mixed": step_of(both, mixed, precision),
        "unheard": step_of(both, with_unheard, precision),
        "synthesis": partial(both.latents_of, text),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(config.steps + 3):
        for name, call in calls.items():
            seconds = seconds_of(call)
            if number >= 3:
                times[name].append(seconds)
    median = {name: statistics.median(values) for name, values in times.items()}
    each = seconds_per_sentence(synthesizer, all_sentences[: config.sentences])
    in_mixed = sum(
        int(lens.sum())
        for _, lens in (network.encoder(quarter.waves, quarter.wave_lens, None), both.latents_of(text))
    )
    in_speech = int(network.encoder(whole.waves, whole.wave_lens, None)[1].sum())
    return (
        f"{folder!s:30.30} {1000 * each:18.1f} {in_speech:8d} {1000 * median['speech']:8.0f} {in_mixed:8d} "
        f"{1000 * median['mixed']:8.0f} {median['mixed'] / median['speech']:6.2f} "
        f"{100 * median['synthesis'] / median['mixed']:9.1f} % {1000 * (median['unheard'] - median['mixed']):11.0f}"
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
        for utt in data.utts[: max(config.sentences, 4000)]
    ]
    print(
        f"torch {torch.__version__}, autocast {resolved(config.autocast, torch.device('cpu'))}, CPU, one thread; "
        f"{config.seconds:g} s in a batch of {config.model}"
    )
    print(
        "                                 making latents  a step of speech      a mixed step: of speech and text"
    )
    print(
        "synthesizer                     s/1,000 sentences  latents       ms  latents       ms  ratio  synthesis  unheard ms"
    )
    for folder in config.synthesizers:
        print(row(config, folder, sentences))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory of this process {peak:.2f} GiB")


if __name__ == "__main__":
    sys.exit(run(main))
