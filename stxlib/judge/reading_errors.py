"""Error rates of what was read in real and in synthesized latents, with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from stxlib.score.alignment import Alignment, align
from stxlib.score.bootstrap import bootstrap, groups_of
from stxlib.score.metric import Array, Counts, percent
from stxlib.score.wer import edit_counts


def reading_errors(
    references: Mapping[str, str], readings: Mapping[str, str], speakers: Mapping[str, str] | None
) -> tuple[dict[str, Any], list[Alignment]]:
    """Errors of symbols that are separated by blanks: error_rate (percent) with low and high (95 % bootstrap interval),
    and the counts reference, substituted, deleted, inserted. Beside it, the alignments.

    references, readings: of the same utterances.
    """
    alignments = align(references, readings)
    counts = edit_counts(alignments, "reference")

    def rate(sums: Counts) -> dict[str, Array]:
        errors = sums["substituted"] + sums["deleted"] + sums["inserted"]
        return {"error_rate": percent(errors, sums["reference"])}

    sums = {name: int(values.sum()) for name, values in counts.items()}
    found = bootstrap(counts, rate, groups_of(list(references), speakers))["error_rate"]
    errors = sums["substituted"] + sums["deleted"] + sums["inserted"]
    return {
        "error_rate": 100 * errors / max(1, sums["reference"]),
        "low": found.low,
        "high": found.high,
        **{name: sums[name] for name in ("reference", "substituted", "deleted", "inserted")},
    }, alignments


def symbol_errors(real: list[Alignment], synthesized: list[Alignment]) -> dict[str, dict[str, int]]:
    """symbol -> how often it is in the references, and how often it was not read in real and in synthesized latents; most
    frequent first.
    """
    counts = Counter(symbol for alignment in real for symbol in alignment.reference)
    missed = [
        Counter(
            said for alignment in side for op, said, _ in alignment.steps() if op in "SD" and said is not None
        )
        for side in (real, synthesized)
    ]
    return {
        symbol: {"count": count, "real": missed[0][symbol], "synthesized": missed[1][symbol]}
        for symbol, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    }
