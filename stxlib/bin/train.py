"""Train a network: stages 3 (pretrain) and 5 (train) of every recipe.

    python -m stxlib.bin.train --config conf/asr/pretrain.yaml --train data/train --dev data/dev \
        --units exp/units --out exp/pretrain/seed1 --seed 1

From here to the loss are two hops: `stxlib.train.trainer.fit`, and the objective of the YAML (`stxlib.objectives`).
The same command again goes on where the last one stopped, at the exact step.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stxlib.config import Parsed, changed, flatten, parse_config
from stxlib.data.augment import AugmentConfig
from stxlib.data.speech_loader import SpeechBatchConfig
from stxlib.errors import ConfigError, run
from stxlib.models.networks import NetworkConfig
from stxlib.models.speech_to_text import SpeechToTextConfig
from stxlib.objectives.build import ObjectiveConfig
from stxlib.objectives.latent_diffusion import LatentDiffusionLossConfig
from stxlib.objectives.latent_synthesis import LatentSynthesisLossConfig
from stxlib.objectives.speech_to_text import SpeechToTextLossConfig
from stxlib.objectives.training_data import BatchConfig
from stxlib.train.init import InitConfig
from stxlib.train.trainer import TrainerConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from stxlib.data.data_dir import DataDir
    from stxlib.data.latent_store import LatentStore
    from stxlib.data.mixed_loader import BatchesWithUnheard, MixedBatches
    from stxlib.data.speech_loader import SpeechBatches, SpeechDevBatches
    from stxlib.data.text_loader import TextBatches, TextDevBatches
    from stxlib.models.speech_to_text import SpeechToText
    from stxlib.objectives.latent_diffusion import LatentDiffusionObjective
    from stxlib.text.saved import Units

# Of the training set, for mean and deviation of the features. Ten minutes fix them to well under a percent.
NORMALIZATION_SECONDS = 600.0
# Tensors with a row for each token, in all networks, and for each unit of the CTC at the latents.
TOKEN_ROWS = (
    "backbone.ctc.*",
    "backbone.decoder.embedding.weight",
    "backbone.decoder.out.*",
    "encoder.embedding.weight",
    "embedding.embedding.weight",
    "embedding.weight",
    "bias",
)
UNIT_ROWS = ("unit_head.*",)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What a training run is made of. Paths come from the shell, numbers from the YAML."""

    train: Path
    "data directory to learn from, with the streams that the objective's tasks need"
    dev: Path
    "data directory that decides which weights are kept"
    text: tuple[Path, ...] = ()
    "data directories whose labelled text is learnt from besides, by an objective that learns from text"
    synthesizer: Path | None = None
    "folder of what turns text into latents (stage 4), for an objective that learns from both"
    speech_model: Path | None = None
    "folder of the speech model (stage 3), for an objective that learns to make its latents"
    latents: Path | None = None
    "folder of latents that stxlib.bin.synthesize has made of --text; without it they are made as they are needed"
    units: Path
    "folder of tokens and units that stxlib.bin.tokenize wrote"
    out: Path
    "folder of the run"
    seed: int = 1
    "seed of initialization, batches and augmentation"
    init: Path | None = None
    "folder of a trained network to begin with: settings of `network` that are not given are its own; symbols that its vocabulary lacks start anew"
    init_patterns: InitConfig = field(default_factory=InitConfig)
    "what is taken over from it"
    freeze: tuple[str, ...] = ()
    "patterns of parameter names that are not trained (encoder.*); a part that is frozen whole runs without dropout"
    network: NetworkConfig = field(default_factory=SpeechToTextConfig)
    "the network"
    objective: ObjectiveConfig = field(default_factory=SpeechToTextLossConfig)
    "what is minimized"
    batches: BatchConfig = field(default_factory=SpeechBatchConfig)
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
    from stxlib.data.latent_store import LatentStore
    from stxlib.models.networks import build_network, speech_encoder
    from stxlib.models.saved import SavedConfig, fingerprint, save_network
    from stxlib.models.saved_synthesizer import load_synthesizer
    from stxlib.models.speech_encoder import SpeechEncoder
    from stxlib.objectives.build import build_objective, check_tasks, sizes_of
    from stxlib.objectives.label_encoder import TokenLabels
    from stxlib.objectives.latent_diffusion import LatentDiffusionObjective
    from stxlib.objectives.latent_synthesis import LatentSynthesisObjective
    from stxlib.objectives.training_data import (
        Given,
        mixed_batches,
        speech_batches,
        text_batches,
        training_speech,
    )
    from stxlib.text.saved import load_units
    from stxlib.train.best import final_state
    from stxlib.train.init import freeze
    from stxlib.train.run_dir import RunDir
    from stxlib.train.trainer import fit

    check_sources(parsed.config)
    parsed = with_inherited(parsed)
    config = parsed.config
    units = load_units(config.units)
    check_tasks(config.objective, units, str(config.units))
    torch.manual_seed(config.seed)
    sizes = sizes_of(config.objective, units)
    speech = None
    if config.speech_model is not None:
        speech = load_speech_model(config.speech_model, units)
        sizes = replace(sizes, latent_dim=speech.encoder.dim)
    network = build_network(config.network, sizes, config.objective.tasks)
    synthesizer = None
    if config.synthesizer is not None:
        synthesizer = load_synthesizer(config.synthesizer)
    learning = build_objective(config.objective, network, units, synthesizer, speech)
    encoder = speech_encoder(network) if speech is None else speech.encoder
    given = Given(
        train=DataDir(config.train),
        dev=DataDir(config.dev),
        text=tuple(map(DataDir, config.text)),
        latents=None if config.latents is None else LatentStore(config.latents),
        batches=config.batches,
        augment=config.augment,
        seed=config.seed,
        num_shards=distributed.world_size * config.trainer.accumulation,
        allow_pipes=config.allow_pipes,
        max_bad_utts=config.max_bad_utts,
    )
    loaded, facts = begin_with(config, network, units, sizes.vocab_size)
    if config.freeze:
        freeze(network, config.freeze)
    train_batches: SpeechBatches | TextBatches | MixedBatches | BatchesWithUnheard
    dev_batches: SpeechDevBatches | TextDevBatches
    if encoder is None:
        train_batches, dev_batches = text_batches(given, learning.labels, units)
    else:
        if speech is None and isinstance(encoder, SpeechEncoder) and "encoder.mean" not in loaded:
            rate = encoder.config.sample_rate
            waves = spread_waves(given.train, rate, NORMALIZATION_SECONDS, allow_pipes=config.allow_pipes)
            encoder.estimate_normalization(waves)
        if isinstance(learning.objective, LatentSynthesisObjective):
            assert isinstance(learning.labels, TokenLabels)
            check_synthesizer(config, encoder, units, given.latents)
            train_batches, dev_batches, not_learnt = mixed_batches(
                given, learning.labels, learning.ctc, encoder, learning.objective.synthesizer
            )
            facts += [f"data: {line}" for line in not_learnt]
        else:
            train_batches, dev_batches = speech_batches(given, learning.labels, learning.ctc, encoder)
            if isinstance(learning.objective, LatentDiffusionObjective):
                learning.objective.to(distributed.device)
                facts += estimate_statistics(learning.objective, train_batches, given.num_shards, units)
                mishearing = learning.objective.network.config.mishearing
                if mishearing.scale > 0:
                    augment = replace(config.augment, speeds=mishearing.speeds)
                    whole = replace(given, augment=augment, num_shards=1)
                    strange = training_speech(whole, learning.labels, learning.ctc, encoder)
                    facts += estimate_mishearing(learning.objective, strange)
    facts += [
        f"data: train {' '.join(map(str, (config.train, *config.text)))}: {train_batches.summary()}",
        f"data: dev {config.dev}: {len(dev_batches.utts)} utterances",
        *(f"data: {line}" for batches in (train_batches, dev_batches) for line in batches.excluded_lines()),
    ]

    run_dir = RunDir(
        config.out,
        stage_name(config.out),
        config=config,
        sources=parsed.sources,
        harmless=(
            "out",
            "train",
            "dev",
            "text",
            "latents",
            "units",
            "init",
            "synthesizer",
            "speech_model",
            "device",
            "max_bad_utts",
        ),
        is_main=distributed.is_main,
    )
    if distributed.is_main:
        write_excluded(config.out, train_batches.excluded, dev_batches.excluded)

    def inspect(objective: Any, batch: Any) -> tuple[dict[str, Tensor], dict[str, str]]:
        seen = objective.inspect(batch)
        pairs = zip(batch.utts, seen.references, seen.hypotheses, strict=False)
        decode = units.tokens.decode
        lines = [
            f"{utt}\n  reference:  {decode(ref)}\n  hypothesis: {decode(hyp)}" for utt, ref, hyp in pairs
        ]
        return seen.images, {"hypotheses": "\n".join(lines)} if lines else {}

    fit(
        learning.objective,
        train_batches,
        dev_batches,
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
        saved = SavedConfig(
            sizes=sizes,
            tasks=learning.tasks,
            ctc_task=learning.ctc_task,
            words_first=learning.words_first,
            latents_of="" if speech is None else fingerprint(speech.encoder),
            network=config.network,
        )
        save_network(config.out, network, saved, units_dir=config.units)
        run_dir.log(f"{run_dir.name} saved {config.out}: {told}")
    distributed.barrier()


def with_inherited(parsed: Parsed[TrainConfig]) -> Parsed[TrainConfig]:
    """The network as in the folder of `--init`, where nothing else is said of it."""
    from stxlib.models.saved import read_saved
    from stxlib.train.init import inherited

    config = parsed.config
    if config.init is None or not (config.init / "network.yaml").is_file():
        return parsed
    own, saved = flatten(config.network), flatten(read_saved(config.init).network)
    given = [key for key in own if parsed.sources.get(f"network.{key}", "default") != "default"]
    values = inherited(own, saved, config.init_patterns, given)
    if "encoder.model" in given:
        values.pop("encoder.architecture", None)  # a public model that is named is read
    source = config.init / "network.yaml"
    origin = {f"network.{key}": str(source) for key in values}
    try:
        network = changed(config.network, values)
    except ConfigError as error:
        raise ConfigError(
            f"network.{error} (what was not given is taken from {source}; give what goes with it, or leave it out)"
        ) from None
    return Parsed(replace(config, network=network), parsed.sources | origin)


def check_sources(config: TrainConfig) -> None:
    """ConfigError for options of which the objective would take no notice."""
    if not isinstance(config.objective, LatentSynthesisLossConfig):
        for name in ("synthesizer", "latents"):
            if getattr(config, name) is not None:
                raise ConfigError(
                    f"--{name}: objective.kind {config.objective.kind} has no use for it; leave it out, or choose latent_synthesis"
                )
    if config.speech_model is not None and not isinstance(config.objective, LatentDiffusionLossConfig):
        raise ConfigError(
            f"--speech_model: objective.kind {config.objective.kind} has no use for it; leave it out, or choose latent_diffusion"
        )
    if config.init is not None and isinstance(config.objective, LatentDiffusionLossConfig):
        raise ConfigError(
            "--init: objective.kind latent_diffusion begins with nothing; leave it out (the speech model is --speech_model)"
        )


def load_speech_model(folder: Path, units: Units) -> SpeechToText:
    """The speech model of `--speech_model`. ConfigError for another kind of network, or for other units than those of `--units`."""
    from stxlib.models.saved import load_network
    from stxlib.models.speech_to_text import SpeechToText
    from stxlib.text.saved import load_units

    network, saved = load_network(folder)
    if not isinstance(network, SpeechToText):
        raise ConfigError(
            f"--speech_model {folder}: holds a network of kind {saved.network.kind}, which has no CTC at its latents; "
            "give the folder of the speech model (stage 3)"
        )
    if load_units(folder / "units").units.symbols != units.units.symbols:
        raise ConfigError(
            f"--speech_model {folder}: was trained with other units than those of --units; give the units of stage 2 that it was trained with"
        )
    return network


def estimate_statistics(
    objective: LatentDiffusionObjective, train: SpeechBatches, num_shards: int, units: Units
) -> list[str]:
    """Pass once over the training set for what the synthesizer has to know of it. Returns a line for the head of the log."""
    objective.estimate_statistics(train.iterate(0, train.num_batches, range(num_shards)))
    network = objective.network
    unseen = " ".join(units.units.decode(network.empirical.unseen()))
    return [
        f"latents: {network.frames_per_unit:.2f} for each unit, mean of the training set; units that it lacks: {unseen or 'none'}"
    ]


def estimate_mishearing(objective: LatentDiffusionObjective, strange: SpeechBatches) -> list[str]:
    """Listen to an hour of the training set at other speeds. Returns a line for the head of the log."""
    from stxlib.models.mishearing import ENOUGH_SECONDS

    share = objective.estimate_mishearing(strange.sample(ENOUGH_SECONDS))
    return [f"latents: {objective.network.mishearing.tell(share)}"]


def check_synthesizer(
    config: TrainConfig, encoder: nn.Module, units: Units, latents: LatentStore | None
) -> None:
    """ConfigError for a synthesizer of other units, or of the latents of another encoder, or latents that another one made."""
    from stxlib.models.saved import fingerprint, hash_saved, read_saved
    from stxlib.text.saved import load_units

    assert config.synthesizer is not None
    again = "run stage 4 (synthesis) again"
    if load_units(config.synthesizer / "units").units.symbols != units.units.symbols:
        raise ConfigError(
            f"--synthesizer {config.synthesizer}: was made for other units than those of --units; {again}"
        )
    if read_saved(config.synthesizer).latents_of != fingerprint(encoder):
        raise ConfigError(
            f"--synthesizer {config.synthesizer}: was made for another speech encoder than that of --init {config.init}; {again}, or "
            "give the folder of its speech model to --init, and nothing of network.encoder"
        )
    if latents is not None and latents.made_by != hash_saved(config.synthesizer):
        raise ConfigError(
            f"--latents {config.latents}: were made by another synthesizer than --synthesizer {config.synthesizer}; "
            "give the one that made them, or run stage 4 (synthesis) again"
        )


def begin_with(
    config: TrainConfig, network: nn.Module, units: Units, vocab_size: int
) -> tuple[tuple[str, ...], list[str]]:
    """Take over the weights of `--init`. Returns the names of the tensors that were loaded, and lines for the head of the log."""
    from stxlib.models.saved import read_saved
    from stxlib.text.saved import load_units
    from stxlib.train.init import SymbolRows, initialize, read_weights

    if config.init is None:
        return (), []
    symbols: list[SymbolRows] = []
    if (config.init / "units").is_dir():
        theirs, old_size = load_units(config.init / "units"), read_saved(config.init).sizes.vocab_size
        symbols = [
            SymbolRows(
                "tokens", TOKEN_ROWS, theirs.tokens.symbols[:old_size], units.tokens.symbols[:vocab_size]
            ),
            SymbolRows("units", UNIT_ROWS, theirs.units.symbols, units.units.symbols),
        ]
    report = initialize(
        network, read_weights(config.init), config.init_patterns, source=str(config.init), symbols=symbols
    )
    return report.loaded, report.lines(network)


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


def write_excluded(folder: Path, train: dict[str, tuple[str, ...]], dev: dict[str, tuple[str, ...]]) -> None:
    """List every utterance that was left out, with its reason, in `<run>/excluded` and `<run>/excluded_dev`."""
    from stxlib.data.tables import write_table

    folder.mkdir(parents=True, exist_ok=True)
    for name, excluded in (("excluded", train), ("excluded_dev", dev)):
        write_table(folder / name, {utt: reason for reason, utts in excluded.items() for utt in utts})


def stage_name(folder: Path) -> str:
    """`pretrain` of exp/pretrain/seed1, `train` of exp/asr/seed1/train: what the log's lines begin with."""
    return next((part for part in reversed(folder.parts) if not part.startswith("seed")), "train")


if __name__ == "__main__":
    sys.exit(run(main))
