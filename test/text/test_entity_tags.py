"""SLUE's entity types and their symbols."""

from __future__ import annotations

import json
from pathlib import Path

from stxlib.text.entity_tags import COMBINED_SYMBOLS, END, RAW_SYMBOLS, combine


def test_combining() -> None:
    assert {combine(raw) for raw in RAW_SYMBOLS} == {*COMBINED_SYMBOLS, None}
    assert [combine(name) for name in ("TIME", "PERCENT", "LOC", "NORP", "FAC")] == [
        *("WHEN", "QUANT", "PLACE", "NORP", None)
    ]
    assert all(combine(name) == name for name in [*COMBINED_SYMBOLS, "NICKNAME"])


def test_symbols_are_single_and_distinct() -> None:
    for table in (RAW_SYMBOLS, COMBINED_SYMBOLS):
        assert len({*table.values(), END}) == len(table) + 1
        assert all(len(symbol) == 1 for symbol in table.values())
    assert len(RAW_SYMBOLS) == 18 and len(COMBINED_SYMBOLS) == 7


def test_tables_are_the_benchmarks(test_data: Path) -> None:
    golden = json.loads((test_data / "golden" / "slue_scoring_A.json").read_text("utf-8"))["ner"]
    assert dict(RAW_SYMBOLS) == golden["entity_to_special_char"]
    assert golden["end_char"] == END
    assert {raw: combine(raw) or "DISCARD" for raw in RAW_SYMBOLS} == golden["raw_to_combined"]
