"""Estimate a fixed projection, which turns units into latents of a speech model: stage 4 of Latent Synthesis.

    python -m stxlib.bin.project --config conf/lasyn/synthesis.yaml --model exp/pretrain/seed1 --train data/train \
        --out exp/lasyn/seed1/synthesis --seed 1

The speech model writes the latents of the training set and aligns their units (its CTC at the latents); means over them, in float64, are
the projection. Nothing is trained: it takes a few passes over the audio, and the same command writes the same bytes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from stxlib.atomic import check_own_folder, write_text
from stxlib.config import dump_config, parse_config
from stxlib.data.augment import AugmentConfig
from stxlib.data.batch import SpeechBatch
from stxlib.data.data_dir import DataDir
from stxlib.data.speech_loader import SpeechBatchConfig, SpeechBatches
from stxlib.data.tables import write_table
from stxlib.decode.recognizer import choose_device
from stxlib.errors import ConfigError, run
from stxlib.models.fixed_projection import FixedProjection, FixedProjectionConfig
from stxlib.models.latent_alignment import AlignedLatents, align_latents
from stxlib.models.mishearing import ENOUGH_SECONDS
from stxlib.models.networks import NetworkSizes
from stxlib.models.projection_estimate import ProjectionEstimate, ProjectionReport, collect_residuals
from stxlib.models.saved import SavedConfig, fingerprint, load_network, read_saved, save_network
from stxlib.models.speech_to_text import SpeechToText
from stxlib.objectives.label_encoder import UNITS, TokenLabels
from stxlib.objectives.training_data import LabelReader, count_unknown
from stxlib.text.phones import UnitVocabulary
from stxlib.text.saved import load_units

_SECONDS_BETWEEN_LINES = 15


@dataclass(frozen=True, kw_only=True)
class ProjectConfig:
    """Which speech model's latents are projected to, and from which speech they are learnt."""

    model: Path
    """folder of the trained speech model (stage 3)"""
    train: Path
    """data directory of its training set, with the stream `units`"""
    out: Path
    """folder to write the synthesizer into"""
    synthesizer: FixedProjectionConfig = field(default_factory=FixedProjectionConfig)
    """the projection"""
    passes: int = 3
    """times that the set is read, each time with other speeds and noise"""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """how the waves are changed; as in the training of the speech model, so that latents are those that it makes"""
    batch_seconds: float = 120.0
    """seconds of audio that are encoded at once, padding included"""
    num_workers: int = 1
    """processes that read audio ahead; 0 reads in the main process; the result does not depend on it"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU if there is one"""
    allow_pipes: bool = False
    """run the commands of `wav.scp` lines that end in |"""
    max_bad_utts: int = 0
    """unreadable utterances to leave out before the command ends with an error"""
    seed: int = 1
    """seed of speeds and noise, and of random rows"""

    def __post_init__(self) -> None:
        if self.passes < 1:
            raise ConfigError(f"passes: {self.passes}; expected 1 or more")
        if self.batch_seconds <= 0:
            raise ConfigError(f"batch_seconds: {self.batch_seconds:g}; give a number above 0")
        if self.num_workers < 0:
            raise ConfigError(f"num_workers: {self.num_workers}; expected 0 or more")


def main(argv: Sequence[str] | None = None) -> None:
    """Estimate, and leave in `--out` a synthesizer that can be used from that folder alone."""
    description = "Estimate a fixed projection from units to latents."
    config = parse_config(ProjectConfig, argv, prog="stxlib.bin.project", description=description).config
    began = time.monotonic()
    check_out(config)
    network, saved = load_network(config.model, choose_device(config.device))
    if not isinstance(network, SpeechToText):
        raise ConfigError(
            f"--model {config.model}: holds a network of kind {saved.network.kind}, which has no CTC at its latents;"
            " give the folder of the speech model (stage 3)"
        )
    vocabulary = load_units(config.model / "units").units
    batches = speech_of(config, network)
    num_unknown = count_unknown(DataDir(config.train), vocabulary)
    write_text(config.out / "config.yaml", dump_config(config))
    write_table(
        config.out / "excluded", {utt: reason for reason, utts in batches.excluded.items() for utt in utts}
    )
    print(f"project: {config.train}: {batches.summary()}, {config.passes} passes", flush=True)
    for line in batches.excluded_lines():
        print(f"project: {line}", flush=True)

    estimate = ProjectionEstimate(network.num_units, network.encoder.dim)

    def aligned(batch: SpeechBatch) -> AlignedLatents:
        there = batch.to(next(network.parameters()).device)
        units = there.labels[UNITS]
        return align_latents(network, there.waves, there.wave_lens, units.ids, units.lens)

    for batch in all_batches(batches, 0, config.passes):
        estimate.add(aligned(batch))
    projection = FixedProjection(config.synthesizer, network.num_units, network.encoder.dim)
    report = estimate.finish(projection, network.unit_head.weight, config.seed)
    noise = {}
    if config.synthesizer.noise_kind == "residuals":
        # One pass more: what the table leaves can be seen when the table is there. That of means, also where other rows stand in it: these
        # are to have the noise of speech, and not that they are far from it.
        means_of = projection
        if config.synthesizer.rows != "prototype":
            means_of = FixedProjection(
                replace(config.synthesizer, rows="prototype", context=False),
                network.num_units,
                network.encoder.dim,
            )
            estimate.finish(means_of, network.unit_head.weight, config.seed)
        again = all_batches(batches, config.passes, config.passes + 1)
        noise = collect_residuals(projection, means_of, map(aligned, again))

    misheard = None
    if config.synthesizer.mishearing.scale > 0:
        strange = speech_of(config, network, config.synthesizer.mishearing.speeds)
        some = strange.sample(ENOUGH_SECONDS)
        misheard = projection.mishearing.estimate(network.unit_head, map(aligned, some))

    unseen = vocabulary.decode(unit for unit in report.unseen_units if unit != vocabulary.unk)
    summary = {
        **asdict(report),
        "noise": noise,
        "misheard": misheard,
        "unseen_units": unseen,
        "frames_per_unit": projection.frames_per_unit,
        "units_unknown_to_the_model": num_unknown,
        "unreadable": sorted(batches.bad_utts),
    }
    write_text(config.out / "summary.json", json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    sizes = NetworkSizes(
        vocab_size=saved.sizes.vocab_size, num_units=network.num_units, latent_dim=network.encoder.dim
    )
    latents_of = fingerprint(network.encoder)
    made = SavedConfig(sizes=sizes, tasks=(), ctc_task="", latents_of=latents_of, network=config.synthesizer)
    save_network(config.out, projection, made, units_dir=config.model / "units")
    for line in lines(report, config.passes, projection, vocabulary, num_unknown, unseen):
        print(f"project: {line}")
    if noise:
        print(
            f"project: what this leaves, of {noise['frames']} latents of {noise['utterances']} utterances, is kept as noise; "
            f"in a tenth of them it is below {noise['level_of_a_tenth_below']:.2f} of the usual, in a tenth above {noise['level_of_a_tenth_above']:.2f}"
        )
    if misheard is not None:
        print(f"project: {projection.mishearing.tell(misheard)}")
    print(f"project: saved {config.out}, after {time.monotonic() - began:.1f} s")


def check_out(config: ProjectConfig) -> None:
    """ConfigError where `--out` holds something that is not a projection."""
    check_own_folder(config.out, {"--model": config.model, "--train": config.train})
    if (config.out / "network.yaml").is_file():
        kind = read_saved(config.out).network.kind
        if kind != "fixed_projection":
            raise ConfigError(
                f"--out {config.out}: holds a network of kind {kind}, which would be written over; give another folder"
            )


def speech_of(
    config: ProjectConfig, network: SpeechToText, speeds: tuple[float, ...] | None = None
) -> SpeechBatches:
    """The speech to learn from, with its units as the model numbers them. ConfigError for a set without the stream.

    speeds: in place of those of config.augment.
    """
    data = DataDir(config.train)
    labels = TokenLabels(load_units(config.model / "units"), (), with_units=True)
    return SpeechBatches(
        data,
        LabelReader(data, labels),
        ctc=(UNITS,),
        config=SpeechBatchConfig(batch_seconds=config.batch_seconds, num_workers=config.num_workers),
        augment=config.augment if speeds is None else replace(config.augment, speeds=speeds),
        sample_rate=network.sample_rate,
        seed=config.seed,
        frames_per_second=network.encoder.latents_per_second,
        allow_pipes=config.allow_pipes,
        max_bad_utts=config.max_bad_utts,
    )


def all_batches(batches: SpeechBatches, first: int, end: int) -> Iterator[SpeechBatch]:
    """Every batch of the passes from `first` on and before `end`, with a line from time to time of how far it is."""
    start, num_batches, told = first * batches.num_batches, end * batches.num_batches, time.monotonic()
    for number, batch in enumerate(batches.iterate(start, num_batches), start):
        if time.monotonic() - told > _SECONDS_BETWEEN_LINES:
            told = time.monotonic()
            print(f"project: {number} of {num_batches} batches", flush=True)
        yield batch


def lines(
    report: ProjectionReport,
    passes: int,
    projection: FixedProjection,
    vocabulary: UnitVocabulary,
    num_unknown: int,
    unseen: Sequence[str],
) -> Iterator[str]:
    """What was found, to be read."""
    yield (
        f"{passes} passes: {report.num_utts} utterances, {report.num_frames} latents, {report.num_units} units; "
        f"{projection.frames_per_unit:.2f} latents a unit, {100 * report.blank_share:.1f} % of them blank"
    )
    yield (
        f"variance of the latents explained by unit and state {100 * report.explained_by_rows:.1f} %, "
        f"with {report.num_offsets} offsets of neighbours {100 * report.explained_with_context:.1f} %"
    )
    if projection.config.rows != "prototype":
        yield f"rows {projection.config.rows}: these shares are of prototypes, for comparison"
    if num_unknown:
        yield f"WARNING: {num_unknown} units of the set are unknown to the model, and were read as {vocabulary.symbols[vocabulary.unk]}"
    if unseen:
        yield (
            f"WARNING: {len(unseen)} units never occur ({' '.join(unseen[:10])}{' ...' if len(unseen) > 10 else ''}): "
            "they become the mean latent"
        )


if __name__ == "__main__":
    sys.exit(run(main))
