"""What a metric says of single utterances: right or wrong, and how wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stxlib.errors import DataError
from stxlib.report.runs import Decode
from stxlib.score.alignment import Alignment, load_alignments

_SAID_BY = {"cer": "wer", "exact": "slurp"}
"metric -> another one that calls the same utterances right"


@dataclass(frozen=True)
class Verdict:
    """One utterance, as one metric sees it."""

    utt: str
    reference: str
    prediction: str
    errors: int
    "wrong words for an error rate; else 0 where it is correct and 1 where it is not"
    alignment: Alignment | None = None
    "word by word, for an error rate"

    @property
    def correct(self) -> bool:
        return self.errors == 0


def read_verdicts(decode: Decode, metric: str) -> dict[str, Verdict]:
    """Utterance -> verdict, of the files that stxlib.bin.score wrote; empty where it wrote none for this metric.

    Raises DataError with file and line for a damaged one.
    """
    if metric not in decode.scores:
        return {}
    if alignments := read_alignments(decode, metric):
        return {
            item.utt: Verdict(
                item.utt, " ".join(item.reference), " ".join(item.hypothesis), item.num_errors, item
            )
            for item in alignments
        }
    path = decode.path / f"utterances.{metric}.jsonl"
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").split("\n")
    found = [_read_verdict(line, path, number) for number, line in enumerate(lines, start=1) if line]
    return {verdict.utt: verdict for verdict in found}


def without_repeats(metrics: Iterable[str]) -> list[str]:
    """The metrics without those whose verdicts another one of them gives as well."""
    known = list(metrics)
    return [metric for metric in known if _SAID_BY.get(metric) not in known]


def read_alignments(decode: Decode, metric: str) -> list[Alignment]:
    """The alignments of `wer` or `cer`; empty when this set was not scored by it. DataError for a damaged file."""
    path = decode.path / f"alignment.{metric}.jsonl"
    if metric not in decode.scores or not path.is_file():
        return []
    try:
        return load_alignments(path.read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: not written by stxlib.bin.score ({error}); run it again on this folder"
        ) from None


def _read_verdict(line: str, path: Path, number: int) -> Verdict:
    try:
        found: Any = json.loads(line)
        utt, reference, prediction = (found[name] for name in ("utt", "reference", "prediction"))
        correct = found["correct"]
        if not all(isinstance(value, str) for value in (utt, reference, prediction)):
            raise TypeError("`utt`, `reference` and `prediction` are text")
        if not isinstance(correct, bool):
            raise TypeError("`correct` is true or false")
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}:{number}: not written by stxlib.bin.score ({error}); run it again on this folder"
        ) from None
    return Verdict(utt, reference, prediction, int(not correct))
