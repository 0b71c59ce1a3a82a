"""Aligned words in report.html: reference above, hypothesis below."""

from __future__ import annotations

from stxlib.report.markup import Markup, tag
from stxlib.score.alignment import Alignment


def aligned(item: Alignment) -> Markup:
    """One column for each step of an alignment."""
    return tag("div", [_word(*step) for step in item.steps()], class_="words-aligned")


def legend() -> Markup:
    """What the colours of `aligned` say."""
    return tag(
        "p",
        "Reference above, hypothesis below:",
        tag("span", "substituted", class_="k-S"),
        tag("span", "deleted", class_="k-D"),
        tag("span", "inserted", class_="k-I"),
        class_="legend",
    )


def _word(op: str, said: str | None, heard: str | None) -> Markup:
    # A no-break space stands where there is no word.
    return tag(
        "span",
        tag("span", said or "\u00a0"),
        tag("span", heard or "\u00a0"),
        class_=f"w {op}" if op != "C" else "w",
    )
