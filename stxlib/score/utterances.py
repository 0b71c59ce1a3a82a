"""`utterances.<metric>.jsonl`: what was expected and what came of each utterance, for people and for the report."""

from __future__ import annotations

import json
from collections.abc import Iterable


def dump_utterances(rows: Iterable[tuple[str, str, str, bool]]) -> str:
    """One JSON object a line: {"utt", "reference", "prediction", "correct"}."""
    names = ("utt", "reference", "prediction", "correct")
    return "".join(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) + "\n" for row in rows)
