"""Markdown whose cells come from data: what could be markup is escaped."""

from __future__ import annotations

from collections.abc import Sequence


def escape(text: str) -> str:
    """Text that shows as it is in a table cell or a line."""
    for character, shown in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("|", "\\|"),
        ("[", "\\["),
        ("*", "\\*"),
        ("`", "\\`"),
    ):
        text = text.replace(character, shown)
    return " ".join(text.split())


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, num_text: int = 1) -> str:
    """`|a|b|` lines without blanks, as users of other toolkits grep them; after `num_text` columns, numbers to the right."""
    marks = ["---"] * num_text + ["---:"] * (len(header) - num_text)
    lines = [header, marks, *([escape(cell) for cell in row] for row in rows)]
    return "".join(f"|{'|'.join(line)}|\n" for line in lines)
