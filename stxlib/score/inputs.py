"""Reads references and predictions, and refuses to score when they do not name the same utterances."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from stxlib.data.tables import read_table
from stxlib.errors import DataError
from stxlib.score.metric import Inputs

_SHOWN_IDS = 20


@dataclass(frozen=True)
class Pairs:
    """References and predictions of the same utterances, in the order of the reference table."""

    references: dict[str, str]
    predictions: dict[str, str]
    missing: tuple[str, ...]
    "utterances whose prediction is absent and was taken as empty"


def read_pairs(inputs: Inputs, stream: str) -> Pairs:
    """The table `stream` of both sides (`text`, `intent`, ...).

    Raises DataError with the ids when a prediction is missing (unless `inputs.allow_missing`) or belongs to
    no reference.
    """
    reference_path, prediction_path = (
        table_path(inputs.ref, stream),
        table_path(inputs.hyp, stream),
    )
    references = read_table(reference_path)
    predictions = read_table(prediction_path, allow_empty=True)
    if not references:
        raise DataError(f"{reference_path}: holds no utterance; score a set that has some")
    missing = tuple(utt for utt in references if utt not in predictions)
    extra = tuple(utt for utt in predictions if utt not in references)
    if extra:
        raise DataError(
            f"{prediction_path}: {len(extra)} predictions are for utterances not in {reference_path}: "
            f"{list_ids(extra)}; give --ref the set that was decoded"
        )
    if missing and not inputs.allow_missing:
        raise DataError(
            f"{prediction_path}: {len(missing)} of {len(references)} utterances have no prediction: "
            f"{list_ids(missing)}; decode them, or count them as deletions with --allow_missing true"
        )
    return Pairs(references, {utt: predictions.get(utt, "") for utt in references}, missing)


def table_path(where: Path, stream: str) -> Path:
    """The table `stream` of a directory; a file stands for itself."""
    path = where / stream if where.is_dir() else where
    if not path.is_file():
        raise DataError(f"{path}: no such table; expected lines of '<utterance> <{stream}>'")
    return path


def list_ids(ids: Collection[str]) -> str:
    """Up to twenty ids, and how many more there are."""
    shown = ", ".join(list(ids)[:_SHOWN_IDS])
    return shown if len(ids) <= _SHOWN_IDS else f"{shown}, ... and {len(ids) - _SHOWN_IDS} more"


def read_speakers(ref: Path, utts: Collection[str]) -> dict[str, str] | None:
    """utterance -> speaker, or None where `utt2spk` is absent or names every utterance its own speaker."""
    path = ref / "utt2spk"
    if not path.is_file():
        return None
    speakers = read_table(path)
    unknown = [utt for utt in utts if utt not in speakers]
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


def same_case_hint(references: Mapping[str, str], predictions: Mapping[str, str]) -> str | None:
    """A sentence when one side is all upper and the other all lower case: every word would count as wrong."""
    reference, prediction = (
        " ".join(references.values()),
        " ".join(predictions.values()),
    )
    if (reference.isupper() and prediction.islower()) or (reference.islower() and prediction.isupper()):
        return (
            "references and predictions are written in different case, so that no word can match; "
            "normalize one of them"
        )
    return None
