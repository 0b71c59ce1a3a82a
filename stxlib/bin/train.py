"""Train a network: stages 3 (pretrain) and 5 (train) of every recipe.

    python -m stxlib.bin.train --config conf/asr/pretrain.yaml --train data/train --dev data/dev \
        --units exp/units --out exp/pretrain/seed1 --seed 1

From here to the loss are two hops: `stxlib.train.trainer.fit`, `stxlib.objectives.speech_to_text`.
The same command again goes on where the last one stopped, at the exact step.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stxlib.config import Parsed, parse_config
from stxlib.data.augment import AugmentConfig
from stxlib.data.sampler import BatchConfig
from stxlib.errors import ConfigError, run
from stxlib.models.speech_to_text import SpeechToText, SpeechToTextConfig
from stxlib.objectives.speech_to_text import SpeechToTextLossConfig, SpeechToTextObjective
from stxlib.train.init import InitConfig
from stxlib.train.trainer import TrainerConfig

if TYPE_CHECKING:
    from torch import Tensor

    from stxlib.data.batch import SpeechBatch
    from stxlib.data.data_dir import DataDir
    from stxlib.data.loader import DevBatches, SpeechBatches
    from stxlib.text.saved import Units

# Of the training set, for mean and deviation of the features. Ten minutes fix them to well under a percent.
NORMALIZATION_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What a training run is made of. Paths come from the shell, numbers from the YAML."""

    train: Path
    "data directory to learn from, with `text` and `units`"
    dev: Path
    "data directory that decides which weights are kept"
    units: Path
    "folder of tokens and units that stxlib.bin.tokenize wrote"
    out: Path
    "folder of the run"
    seed: int = 1
    "seed of initialization, batches and augmentation"
    init: Path | None = None
    "folder of a trained network to begin with"
    init_patterns: InitConfig = field(default_factory=InitConfig)
    "what is taken over from it"
    freeze: tuple[str, ...] = ()
    "patterns of parameter names that are not trained (encoder.*); a part that is frozen whole runs without dropout"
    network: SpeechToTextConfig = field(default_factory=SpeechToTextConfig)
    "the network"
    objective: SpeechToTextLossConfig = field(default_factory=SpeechToTextLossConfig)
    "what is minimized"
    batches: BatchConfig = field(default_factory=BatchConfig)
    "how utterances are put into batches"
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    "how waves are changed in training"
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    "how it is minimized"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    "auto takes the GPU if there is one"
    allow_pipes: bool = False
    "run the commands of `wav.scp` lines that end in |"
    max_bad_utts: int = 0
    "unreadable training utterances to leave out before the run ends with an error"


def main(argv: Sequence[str] | None = None) -> None:
    """Train, and leave in `--out` a network that can be decoded from that folder alone."""
    parsed = parse_config(TrainConfig, argv, prog="stxlib.bin.train", description="Train a network.")
    # Slow to import, and not needed for --help.
    from stxlib.train.distributed import Distributed

    distributed = Distributed.init(parsed.config.device)
    try:
        train(parsed, distributed)
    finally:
        distributed.close()


def train(parsed: Parsed[TrainConfig], distributed: Any) -> None:
    """One run of one process of `distributed`."""
    import torch

    from stxlib.data.data_dir import DataDir
    from stxlib.data.loader import DevBatches, SpeechBatches
    from stxlib.models.saved import save_network
    from stxlib.text.saved import load_units
    from stxlib.train.best import final_state
    from stxlib.train.init import freeze, initialize, read_weights
    from stxlib.train.run_dir import RunDir
    from stxlib.train.trainer import fit

    config = parsed.config
    units = load_units(config.units)
    data, dev_data = DataDir(config.train), DataDir(config.dev)
    sizes = {"vocab_size": units.tokens.vocab_size, "num_units": units.units.vocab_size}
    torch.manual_seed(config.seed)
    network = SpeechToText(config.network, **sizes)
    objective = SpeechToTextObjective(network, config.objective)
    facts = []
    loaded: tuple[str, ...] = ()
    if config.init is not None:
        report = initialize(network, read_weights(config.init), config.init_patterns, source=str(config.init))
        loaded = report.loaded
    if config.freeze:
        freeze(network, config.freeze)
    if config.init is not None:
        facts += report.lines(network)
        facts += compare_units(config.init, units)
    sample_rate = network.sample_rate
    if "encoder.mean" not in loaded:
        waves = spread_waves(data, sample_rate, NORMALIZATION_SECONDS, allow_pipes=config.allow_pipes)
        network.encoder.estimate_normalization(waves)

    batches = SpeechBatches(
        data,
        encoder_of(data, units),
        config=config.batches,
        augment=config.augment,
        sample_rate=sample_rate,
        seed=config.seed,
        num_shards=distributed.world_size * config.trainer.accumulation,
        frames_per_second=network.encoder.latents_per_second,
        allow_pipes=config.allow_pipes,
        max_bad_utts=config.max_bad_utts,
    )
    dev = DevBatches(
        dev_data,
        encoder_of(dev_data, units),
        config=config.batches,
        sample_rate=sample_rate,
        frames_per_second=network.encoder.latents_per_second,
        allow_pipes=config.allow_pipes,
        max_bad_utts=config.max_bad_utts,
    )
    facts += describe_data(config, batches, dev)

    run_dir = RunDir(
        config.out,
        stage_name(config.out),
        config=config,
        sources=parsed.sources,
        harmless=("out", "train", "dev", "units", "init", "device", "max_bad_utts"),
        is_main=distributed.is_main,
    )
    if distributed.is_main:
        write_excluded(config.out, batches, dev)

    def inspect(objective: Any, batch: SpeechBatch) -> tuple[dict[str, Tensor], dict[str, str]]:
        seen = objective.inspect(batch)
        pairs = zip(batch.utts, seen.references, seen.hypotheses, strict=False)
        decode = units.tokens.decode
        lines = [
            f"{utt}\n  reference:  {decode(ref)}\n  hypothesis: {decode(hyp)}" for utt, ref, hyp in pairs
        ]
        return seen.images, {"hypotheses": "\n".join(lines)}

    fit(
        objective,
        batches,
        dev,
        config=config.trainer,
        run_dir=run_dir,
        distributed=distributed,
        seed=config.seed,
        inspect=inspect,
        facts=facts,
    )
    if distributed.is_main:
        state, told = final_state(config.out, average_best=config.trainer.average_best, prefix="network.")
        network.load_state_dict(state)
        save_network(config.out, network, config.network, sizes=sizes, units_dir=config.units)
        run_dir.log(f"{run_dir.name} saved {config.out}: {told}")
    distributed.barrier()


def compare_units(init: Path, units: Units) -> list[str]:
    """A line for each vocabulary of the network at `init` that has other symbols than ours: its heads fit by their sizes alone."""
    from stxlib.text.saved import load_units

    if not (init / "units").is_dir():
        return []
    theirs = load_units(init / "units")
    pairs = (("tokens", theirs.tokens, units.tokens), ("units", theirs.units, units.units))
    return [
        f"init: WARNING: the {name} of {init} are others than those of --units; what was learnt about them starts wrong "
        "(leave such parts out by init_patterns.exclude)"
        for name, old, new in pairs
        if old.symbols != new.symbols
    ]


def encoder_of(data: DataDir, units: Units) -> Any:
    """utterance id -> (tokens of its text, units of its stream `units`)."""
    if not data.has("units"):
        raise ConfigError(f"{data.path}: has no stream `units`; run stage 2 (units) on this set")
    texts, spelt = data.table("text"), data.table("units")

    def encode(utt: str) -> tuple[list[int], list[int]]:
        return units.tokens.encode(texts[utt]), units.units.encode(spelt[utt].split())

    return encode


def spread_waves(
    data: DataDir, sample_rate: int, max_seconds: float, *, allow_pipes: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Waves (1, N) and their lengths, from utterances spread evenly over the set, about `max_seconds` in all."""
    import torch

    from stxlib.data.audio import UnreadableAudio

    seconds, _ = data.measure_seconds(allow_pipes=allow_pipes)
    utts = [utt for utt in data.utts if utt in seconds]
    every = max(1, round(sum(seconds.values()) / max_seconds))
    for utt in utts[::every]:
        try:
            wave = torch.from_numpy(data.load_wave(utt, sample_rate, allow_pipes))
        except UnreadableAudio:
            continue  # counted, and ended for, where it is read to be learnt from
        yield wave[None], torch.tensor([len(wave)])


def describe_data(config: TrainConfig, train: SpeechBatches, dev: DevBatches) -> list[str]:
    """Lines for the head of the log: hours, steps of an epoch, and what was left out."""
    lines = [
        f"data: train {config.train}: {train.num_seconds / 3600:.2f} h, {len(train.utts)} utterances, "
        f"{train.num_batches} steps an epoch of up to {config.batches.batch_seconds:g} s",
        f"data: dev {config.dev}: {len(dev.utts)} utterances",
    ]
    lines += [f"data: {line}" for batches in (train, dev) for line in batches.excluded_lines()]
    return lines


def write_excluded(folder: Path, train: SpeechBatches, dev: DevBatches) -> None:
    """List every utterance that was left out, with its reason, in `<run>/excluded` and `<run>/excluded_dev`."""
    from stxlib.data.tables import write_table

    folder.mkdir(parents=True, exist_ok=True)
    for name, batches in (("excluded", train), ("excluded_dev", dev)):
        reasons = {utt: reason for reason, utts in batches.excluded.items() for utt in utts}
        write_table(folder / name, reasons)


def stage_name(folder: Path) -> str:
    """`pretrain` of exp/pretrain/seed1, `train` of exp/asr/seed1/train: what the log's lines begin with."""
    return next((part for part in reversed(folder.parts) if not part.startswith("seed")), "train")


if __name__ == "__main__":
    sys.exit(run(main))
