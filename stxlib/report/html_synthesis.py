"""The part of report.html about a latent synthesizer: a picture of what it makes, and the figures of stxlib.bin.judge."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stxlib.errors import DataError
from stxlib.report.markup import Child, Markup, join, table, tag
from stxlib.report.runs import JUDGED, read_json
from stxlib.report.synthesis_tables import Table, judged_tables, share_notes

PICTURE = "latents.png"


def synthesis_section(folder: Path) -> Markup:
    """Everything about one judgement. DataError where its judged.json is not of stxlib.bin.judge."""
    judged = read_json(folder / JUDGED)
    try:
        first, *others = judged_tables(judged)
        heading = f"Synthesis: {judged['kind'].replace('_', ' ')}, judged on {judged['set']}"
        notes = _left_out(judged)
        picture = _picture(folder / PICTURE, judged["picture"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise DataError(f"{folder / JUDGED}: not written by stxlib.bin.judge; run it again") from None
    return join(
        tag("h3", heading),
        tag("p", f"{first.title}:", class_="note"),
        _table(first),
        notes,
        picture,
        tag(
            "details",
            tag("summary", "Distribution, durations, and units that are misread"),
            [join(tag("h4", one.title), _table(one)) for one in share_notes(others)],
            class_="labels",
        ),
    )


def _table(one: Table) -> Markup:
    rows: list[list[Child]] = [list(row) for row in one.rows]
    return join(table(one.header, rows), tag("p", one.note, class_="note") if one.note else None)


def _left_out(judged: Mapping[str, Any]) -> Markup:
    reasons = ", ".join(f"{reason.replace('_', ' ')} {count}" for reason, count in judged["left_out"].items())
    left_out = f" Left out: {reasons}." if reasons else ""
    latents = judged["latents"]
    return tag(
        "p",
        f"{judged['utterances']} utterances, {latents['real']} real and {latents['synthesized']} synthesized latents.{left_out}",
        class_="note",
    )


def _picture(path: Path, about: Mapping[str, str]) -> Markup | None:
    if not path.is_file():
        return None
    data = base64.b64encode(path.read_bytes()).decode()
    said = f"latents of “{about['text']}”"
    return tag(
        "figure",
        tag("figcaption", said, tag("i", about["utt"])),
        tag("img", src=f"data:image/png;base64,{data}", alt=f"Real and synthesized {said}"),
        class_="wide",
    )
