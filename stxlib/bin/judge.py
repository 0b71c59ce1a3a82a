"""Judge a latent synthesizer before anything is trained on what it makes: stage 4.

    python -m stxlib.bin.judge --model exp/pretrain/seed1 --synthesizer exp/lasyn/seed1/synthesis \
        --data data/dev --out exp/lasyn/seed1/synthesis/judged

compares latents synthesized from a set's text with the latents of its speech: what the layers above them read in both, how they are
distributed, and how long units last. Where the synthesizer takes durations from elsewhere, it is given those of the speech as well: what
is wrong then is not a matter of durations. It prints tables, and writes

    judged.json    every figure, in full precision; written last
    latents.png    real and synthesized latents of one sentence
    tensorboard/   the same picture and tables

`docs/lasyn.md` says how to read them.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

import stxlib
from stxlib.atomic import check_own_folder, make_folder, write_text, written_whole
from stxlib.config import dump_config, parse_config
from stxlib.data.batch import SpeechBatch
from stxlib.data.data_dir import DataDir
from stxlib.data.label_store import utterance_seed
from stxlib.data.speech_loader import SpeechBatchConfig, SpeechDevBatches
from stxlib.data.tables import line_of
from stxlib.decode.latent_reading import LatentReader
from stxlib.decode.recognizer import choose_device
from stxlib.errors import ConfigError, DataError, run
from stxlib.judge.durations import read_phone_times
from stxlib.judge.synthesis import LatentsOfUtterance, SynthesisScore
from stxlib.models.latent_alignment import align_latents
from stxlib.models.saved import SavedConfig, fingerprint, load_network, read_saved
from stxlib.models.saved_synthesizer import TakesSegments, load_synthesizer
from stxlib.models.speech_to_text import SpeechToText
from stxlib.models.synthesizer import Synthesizer
from stxlib.objectives.label_encoder import UNITS, TokenLabels
from stxlib.objectives.training_data import LabelReader, count_unknown
from stxlib.ops.segments import Segments
from stxlib.report.html_synthesis import PICTURE
from stxlib.report.latents_png import NO_PICTURE, Drawn, draw_latents, has_drawing, read_png, similar_together
from stxlib.report.runs import JUDGED
from stxlib.report.synthesis_tables import as_text, judged_tables
from stxlib.revision import git_commit
from stxlib.text.saved import Units, load_units

TENSORBOARD = "tensorboard"
_PHONE_TIMES = "phone_times"
_SECONDS_BETWEEN_LINES = 15


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    model: Path
    """folder of the speech model whose latents are synthesized (stage 3)"""
    synthesizer: Path
    """folder of the synthesizer (stage 4)"""
    data: Path
    """data directory with audio, text and units, best one that neither of them was trained on"""
    out: Path
    """folder to write into; what an earlier judgement wrote there is replaced"""
    seed: int = 1
    """seed of the samples"""
    batch_seconds: float = 60.0
    """seconds of audio of a batch, padding included"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: the GPU if there is one"""
    allow_pipes: bool = False
    """run the commands (`... |`) that wav.scp holds"""
    max_bad_utts: int = 0
    """unreadable utterances to leave out before the command ends with an error"""

    def __post_init__(self) -> None:
        if self.batch_seconds <= 0:
            raise ConfigError(f"batch_seconds: {self.batch_seconds:g}; give a number above 0")


def main(argv: Sequence[str] | None = None) -> None:
    """Judge as the command line says."""
    description = "Judge a latent synthesizer."
    config = parse_config(JudgeConfig, argv, prog="stxlib.bin.judge", description=description).config
    check_own_folder(
        config.out, {"--model": config.model, "--synthesizer": config.synthesizer, "--data": config.data}
    )
    device = choose_device(config.device)
    network, saved, synthesizer, units = load_both(config, device)
    data = DataDir(config.data)
    batches = dev_batches(config, data, network, units)
    if num_unknown := count_unknown(data, units.units):
        print(f"judge: {num_unknown} units of {config.data} are unknown, and counted as errors")
    make_folder(config.out)
    for name in (JUDGED, PICTURE):
        (config.out / name).unlink(missing_ok=True)
    shutil.rmtree(config.out / TENSORBOARD, ignore_errors=True)
    write_text(config.out / "config.yaml", dump_config(config))
    for line in batches.excluded_lines():
        print(f"judge: {line}")

    compared = compare(config, data, batches, network, saved, synthesizer, units)
    judged = {
        "set": data.path.resolve().name,
        "kind": read_saved(config.synthesizer).network.kind,
        "left_out": {reason: len(utts) for reason, utts in batches.excluded.items()},
        **compared.score.figures(data.table("utt2spk") if data.has("utt2spk") else None),
        "picture": {"utt": compared.pictured, "text": data.table("text")[compared.pictured]},
        "config": {name: str(getattr(config, name)) for name in ("model", "synthesizer", "data", "seed")},
        "stxlib": stxlib.__version__,
        "git_commit": git_commit(),
    }
    told = as_text(judged_tables(judged))
    print(told)
    picture = None
    if has_drawing():
        picture = draw(compared, network.encoder.latents_per_second)
        with written_whole(config.out / PICTURE) as path:
            path.write_bytes(picture)
    else:
        print(f"note: {NO_PICTURE}")
    show_in_tensorboard(config.out / TENSORBOARD, picture, told)
    text = json.dumps(finite(judged), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(config.out / JUDGED, text + "\n")
    print(f"judge: {judged['utterances']} utterances of {config.data} -> {config.out}")


def load_both(
    config: JudgeConfig, device: torch.device
) -> tuple[SpeechToText, SavedConfig, Synthesizer, Units]:
    """The speech model and the synthesizer. ConfigError where the one does not fit the other."""
    network, saved = load_network(config.model, device)
    if not isinstance(network, SpeechToText):
        raise ConfigError(
            f"--model {config.model}: is a network of kind {saved.network.kind}; give a speech model (stage 3)"
        )
    synthesizer = load_synthesizer(config.synthesizer, device)
    units, theirs = load_units(config.model / "units"), load_units(config.synthesizer / "units")
    if units.units.symbols != theirs.units.symbols:
        raise ConfigError(
            f"--synthesizer {config.synthesizer}: has other units than {config.model}; make it with this speech model"
        )
    if synthesizer.dim != network.encoder.dim:
        raise ConfigError(
            f"--synthesizer {config.synthesizer}: makes latents of {synthesizer.dim} numbers, and those of {config.model} "
            f"have {network.encoder.dim}; make it with this speech model"
        )
    if read_saved(config.synthesizer).latents_of != fingerprint(network.encoder):
        raise ConfigError(
            f"--synthesizer {config.synthesizer}: was made for another speech encoder than that of {config.model}; "
            "make it with this speech model, or give the one that it was made with"
        )
    return network, saved, synthesizer, units


def dev_batches(config: JudgeConfig, data: DataDir, network: SpeechToText, units: Units) -> SpeechDevBatches:
    """The set, with its units and tokens. DataError for one without speech."""
    if not data.has_audio:
        raise DataError(
            f"{config.data}: has no wav.scp, so there are no real latents; give a set with speech"
        )
    return SpeechDevBatches(
        data,
        LabelReader(data, TokenLabels(units, ("asr",), with_units=True)),
        ctc=(UNITS,),
        config=SpeechBatchConfig(batch_seconds=config.batch_seconds, num_workers=0),
        sample_rate=network.sample_rate,
        frames_per_second=network.encoder.latents_per_second,
        allow_pipes=config.allow_pipes,
        max_bad_utts=config.max_bad_utts,
    )


@dataclass
class Compared:
    """What was seen of a set."""

    score: SynthesisScore
    pictured: str
    "utterance that is drawn: the one of median length"
    units: Sequence[str]
    "of that utterance"
    sides: Mapping[str, LatentsOfUtterance]
    "title -> its latents, from top to bottom"


def compare(
    config: JudgeConfig,
    data: DataDir,
    batches: SpeechDevBatches,
    network: SpeechToText,
    saved: SavedConfig,
    synthesizer: Synthesizer,
    units: Units,
) -> Compared:
    """Make latents of the set's speech and of its text, and read both."""
    reads_words = saved.ctc_task == "asr"
    if not reads_words:
        print("judge: the CTC output of the speech model was not trained for words: only units are read")
    reader = LatentReader(network, units, reads_words=reads_words)
    median = float(np.median(batches.seconds))
    spelling, text = data.table(UNITS), data.table("text")
    score = SynthesisScore(network.encoder.dim, network.encoder.latents_per_second)
    drawn: tuple[str, dict[str, LatentsOfUtterance]] | None = None
    start = said = time.perf_counter()
    for batch in batches.iterate():
        sides = zip(*latents_of_batch(batch, config.seed, network, synthesizer, reader), strict=True)
        rows = zip(batch.utts, batch.labels["asr"].tolist(), batch.wave_lens.tolist(), sides, strict=True)
        for utt, tokens, num_samples, (one, two, timed) in rows:
            score.add(
                utt,
                one,
                two,
                timed,
                units=spelling[utt].split(),
                tokens=tokens if reads_words else (),
                text=text[utt],
                seconds=num_samples / batch.sample_rate,
                phone_times=phone_times(data, utt),
            )
            # Shortest first: the last one that is not above the median, of those that can be read.
            if drawn is None or num_samples / batch.sample_rate <= median:
                drawn = (utt, {"real": one, "synthesized": two})
                if timed is not None:
                    drawn[1]["synthesized, with the durations of the real ones"] = timed
        if time.perf_counter() - said > _SECONDS_BETWEEN_LINES:
            said = time.perf_counter()
            done = f"{len(score.utts)}/{len(batches.utts)} utterances"
            print(f"judge: {done} after {said - start:.0f} s", flush=True)
    if drawn is None:
        raise DataError(f"{config.data}: no utterance can be read; restore the audio")
    return Compared(score, drawn[0], spelling[drawn[0]].split(), drawn[1])


@torch.inference_mode()
def latents_of_batch(
    batch: SpeechBatch, seed: int, network: SpeechToText, synthesizer: Synthesizer, reader: LatentReader
) -> tuple[Sequence[LatentsOfUtterance], Sequence[LatentsOfUtterance], Sequence[LatentsOfUtterance | None]]:
    """For each utterance of a batch: real latents, synthesized ones, and synthesized ones with the durations of the real ones."""
    seeds = torch.tensor([utterance_seed(seed, 0, utt) for utt in batch.utts], dtype=torch.int64)
    batch = batch.to(next(network.parameters()).device)
    ids, lens, seeds = batch.labels[UNITS].ids, batch.labels[UNITS].lens, seeds.to(batch.waves.device)
    real = align_latents(network, batch.waves, batch.wave_lens, ids, lens)
    durations = synthesizer.durations(ids, lens, seeds)
    made, made_lens = synthesizer.sample(ids, lens, seeds)
    assert torch.equal(durations.frame_lens, made_lens), (durations.frame_lens, made_lens)
    timed: Sequence[LatentsOfUtterance | None] = [None] * len(batch.utts)
    if isinstance(synthesizer, TakesSegments):
        latents, latent_lens = synthesizer.sample_segments(real.segments, seeds)
        timed = by_utterance(latents.float(), latent_lens, real.segments, reader)
    return (
        by_utterance(real.latents, real.latent_lens, real.segments, reader),
        by_utterance(made.float(), made_lens, durations, reader),
        timed,
    )


def by_utterance(
    latents: Tensor, latent_lens: Tensor, segments: Segments, reader: LatentReader
) -> list[LatentsOfUtterance]:
    """One side of a batch, without padding."""
    readings = reader(latents, latent_lens)
    of_units, segments = segments.lens.tolist(), segments.to("cpu")
    return [
        LatentsOfUtterance(
            row[:num_frames].cpu().numpy(),
            segments.label_frames[index, : of_units[index]].numpy(),
            segments.blank_frames[index, : of_units[index]].numpy(),
            reading.units,
            reading.tokens,
            reading.text,
        )
        for index, (row, num_frames, reading) in enumerate(
            zip(latents, latent_lens.tolist(), readings, strict=True)
        )
    ]


def phone_times(data: DataDir, utt: str) -> tuple[list[str], np.ndarray] | None:
    """Names and starts of the phones of an utterance, where the set has them."""
    if not data.has(_PHONE_TIMES):
        return None
    try:
        return read_phone_times(data.table(_PHONE_TIMES)[utt])
    except ValueError as error:
        path = data.path / _PHONE_TIMES
        raise DataError(
            f"{path}:{line_of(path, utt)}: utterance {utt!r}: {error}; correct the label"
        ) from None


def draw(compared: Compared, frames_per_second: float) -> bytes:
    """The picture, a PNG."""
    mean, std = compared.score.scale
    rows = [
        Drawn(title, (side.latents - mean) / std, compared.units, side.onsets)
        for title, side in compared.sides.items()
    ]
    return draw_latents(rows, similar_together(rows[0].latents), frames_per_second)


def show_in_tensorboard(folder: Path, picture: bytes | None, told: str) -> None:
    """Write the picture and the tables as an event file."""
    from torch.utils.tensorboard import SummaryWriter  # slow to import, and unused by --help

    with SummaryWriter(str(folder)) as writer:
        if picture is not None:
            writer.add_image("latents", read_png(picture), dataformats="HWC")
        # Four spaces make it preformatted: TensorBoard would read it as Markdown.
        writer.add_text("figures", "\n".join("    " + line for line in told.splitlines()))


def finite(value: Any) -> Any:
    """The same for JSON, which knows neither nan nor infinity: null."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    sys.exit(run(main))
