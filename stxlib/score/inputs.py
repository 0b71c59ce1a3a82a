"""Reads references and predictions, and refuses to score when they do not name the same utterances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from stxlib.data.tables import read_table
from stxlib.errors import DataError
from stxlib.score.formats import format_of, read_labels
from stxlib.score.labels import Format, Labels
from stxlib.score.metric import Inputs
from stxlib.score.slue_format import read_slue_speakers
from stxlib.score.slurp_format import recording_name

_SHOWN_IDS = 20


@dataclass(frozen=True)
class Pairs:
    """References and predictions of the same utterances, in the order of the references."""

    references: dict[str, str]
    predictions: dict[str, str]
    missing: tuple[str, ...]
    "utterances whose prediction is absent: taken as empty, or left out of both sides"
    ref_stream: str = ""
    hyp_stream: str = ""
    "the streams that were read: they differ where a side has not the first of those asked for"
    ref_place: Path = Path()
    hyp_place: Path = Path()
    "the files that they were read from, for messages"
    sentences: tuple[str, ...] | None = None
    "the sentence that each utterance is a recording of, where the references say so"
    notes: tuple[str, ...] = ()
    "sentences for the reader of the score"


def read_pairs(inputs: Inputs, *streams: str, drop_missing: bool = False) -> Pairs:
    """The first of `streams` that each side has (`text`, `intent`, ...), from any format.

    Raises DataError with the ids when a prediction is missing, is given twice, or belongs to no reference. With
    `inputs.allow_missing` a missing one is empty; with `drop_missing` as well it is left out, of those given twice the
    last counts, and those of no reference are ignored, as SLURP's official script does.
    """
    if inputs.load_gold and "slurp" not in [
        format_of(side, inputs.format) for side in (inputs.ref, inputs.hyp)
    ]:
        raise DataError(
            f"--load_gold true: neither {inputs.ref} nor {inputs.hyp} is a file of SLURP, whose ids it chooses; leave it out"
        )
    ref = read_labels(inputs.ref, streams, "ref", format=inputs.format, load_gold=inputs.load_gold)
    hyp = read_labels(inputs.hyp, streams, "hyp", format=inputs.format, load_gold=inputs.load_gold)
    ref_stream, hyp_stream = (next(name for name in streams if name in side.streams) for side in (ref, hyp))
    references, found = dict(ref.streams[ref_stream]), dict(hyp.streams[hyp_stream])
    ref_place, hyp_place = ref.places[ref_stream], hyp.places[hyp_stream]
    if not references:
        raise DataError(f"{ref_place}: holds no utterance; score a set that has some")
    if ref.repeated and not drop_missing:
        raise DataError(
            f"{ref_place}: {len(ref.repeated)} utterances are there more than once: {list_ids(ref.repeated)}; keep one row of each"
        )
    is_official = inputs.allow_missing and drop_missing
    predictions, repeated = _named_as(references, found, ref, is_official=is_official)
    repeated += tuple(utt for utt in hyp.repeated if utt not in repeated)
    notes = [*ref.notes, *hyp.notes]
    if repeated:
        if not is_official:
            raise DataError(
                f"{hyp_place}: {len(repeated)} utterances have more than one prediction: {list_ids(repeated)}; "
                "keep one of each"
            )
        notes.append(
            f"{len(repeated)} utterances have several predictions, the last counts: {list_ids(repeated)}"
        )
    missing = tuple(utt for utt in references if utt not in predictions)
    extra = tuple(utt for utt in predictions if utt not in references and utt not in ref.ids)
    are_foreign = bool(extra) and not (is_official or hyp.has_other_sets)
    lacking = f"{len(missing)} of {len(references)} utterances have no prediction: {list_ids(missing)}"
    if are_foreign:
        also = f"; and {lacking}" if missing else ""
        raise DataError(
            f"{hyp_place}: {len(extra)} predictions are for utterances not in {ref_place}: "
            f"{list_ids(extra)}{also}; give --ref the set that was decoded"
        )
    if extra:
        notes.append(f"{len(extra)} predictions are for utterances not in {ref_place} and were ignored")
    if missing and not inputs.allow_missing:
        how = "leave them out, as the official script does," if drop_missing else "score them as empty"
        raise DataError(f"{hyp_place}: {lacking}; decode them, or {how} with --allow_missing true")
    if drop_missing and missing:
        references = {utt: value for utt, value in references.items() if utt in predictions}
        if not references:
            raise DataError(
                f"{hyp_place}: none of the {len(missing)} utterances of {ref_place} has a prediction"
            )
    return Pairs(
        references=references,
        predictions={utt: predictions.get(utt, "") for utt in references},
        missing=missing,
        ref_stream=ref_stream,
        hyp_stream=hyp_stream,
        ref_place=ref_place,
        hyp_place=hyp_place,
        sentences=tuple(ref.sentences[utt] for utt in references) if ref.sentences else None,
        notes=tuple(notes),
    )


def _named_as(
    references: Collection[str], predictions: dict[str, str], ref: Labels, *, is_official: bool
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Predictions under the names of the references, and those names that several predictions have.

    Recordings are the same whatever their folder and the ending of their file, where that tells them apart; a prediction that is called
    exactly like its reference goes before.
    """
    if not ref.sentences or all(utt in references for utt in predictions):
        return predictions, ()
    of_name = Counter(map(recording_name, references))
    by_name = {recording_name(utt): utt for utt in references if of_name[recording_name(utt)] == 1}
    named = {utt: value for utt, value in predictions.items() if utt in references}
    exact = frozenset(named)
    repeated: dict[str, None] = {}
    for utt, value in predictions.items():
        if utt in exact:
            continue
        name = by_name.get(recording_name(utt), utt)
        if name in exact and is_official:
            name = utt  # of no reference: that one has the prediction that is called like it
        if name in named:
            repeated[name] = None
        if name not in exact:
            named[name] = value
    return named, tuple(repeated)


def list_ids(ids: Collection[str]) -> str:
    """Up to twenty ids, and how many more there are."""
    shown = ", ".join(list(ids)[:_SHOWN_IDS])
    return shown if len(ids) <= _SHOWN_IDS else f"{shown}, ... and {len(ids) - _SHOWN_IDS} more"


def read_speakers(ref: Path, utts: Collection[str], format: Format = "auto") -> dict[str, str] | None:
    """utterance -> speaker, or None where nothing says it, or where every utterance has its own.

    Of a data directory, and of one of its tables, from `utt2spk`; of a table of SLUE from `speaker_id`, where a row without one has a
    speaker of its own.
    """
    if ref.is_file() and format_of(ref, format) == "slue":
        speakers = {utt: utt for utt in utts} | read_slue_speakers(ref)
    else:
        folder = ref if ref.is_dir() else ref.parent
        path = folder / "utt2spk"
        if not path.is_file() or (ref.is_file() and format_of(ref, format) != "data_dir"):
            return None
        speakers = read_table(path)
        unknown = [utt for utt in utts if utt not in speakers]
        if unknown and folder != ref:
            return None  # a table that stands beside it by chance
        if unknown:
            raise DataError(
                f"{path}: {len(unknown)} utterances have no speaker: {list_ids(unknown)}; "
                f"run utils/validate_data_dir.py {ref}"
            )
    found = {utt: speakers[utt] for utt in utts}
    return None if len(set(found.values())) == len(found) > 1 else found


def read_attributes(ref: Path, utts: Collection[str]) -> dict[str, dict[str, str]]:
    """What is known of each utterance beside its speaker: attribute -> utterance -> value.

    Read from `utt2<attribute>` and, through `utt2spk`, from `spk2<attribute>` (accent, gender, noise ...).
    Tables that measure or that index are left out, and so is an attribute with one value or with more than
    twenty.
    """
    if not ref.is_dir():
        return {}
    attributes: dict[str, dict[str, str]] = {}
    speakers = read_table(ref / "utt2spk") if (ref / "utt2spk").is_file() else {}
    for path in sorted(ref.glob("*2*")):
        kind, _, attribute = path.name.partition("2")
        if kind not in ("utt", "spk") or attribute in ("spk", "utt", "dur") or attribute.startswith("num_"):
            continue
        table = read_table(path)
        keys = {utt: utt if kind == "utt" else speakers.get(utt, "") for utt in utts}
        values = {utt: table[key] for utt, key in keys.items() if key in table}
        if len(values) == len(keys) and 2 <= len(set(values.values())) <= 20:
            attributes[attribute] = values
    return attributes
