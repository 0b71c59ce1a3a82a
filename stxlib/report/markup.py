"""HTML that is escaped by construction: text becomes markup only through `tag`."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable


class Markup(str):
    """HTML to be used as it is. Joining or formatting it gives a plain `str` again, which is escaped: use `join`."""

    __slots__ = ()


Child = str | None | Iterable["Child"]
"""text (escaped), `Markup` (as it is), nothing, or several of these"""

_ALONE = frozenset({"meta", "br", "source", "img"})
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def tag(name: str, /, *children: Child, **attributes: str | bool | None) -> Markup:
    """`tag("a", text, href="#x", class_="y")`; an attribute that is None or False is left out."""
    words = [name]
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(key)
        elif value is not None and value is not False:
            words.append(f'{key}="{escape(str(value))}"')
    if name in _ALONE:
        return Markup(f"<{' '.join(words)}>")
    return Markup(f"<{' '.join(words)}>{join(children)}</{name}>")


def join(*children: Child) -> Markup:
    """The children one after the other."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(escape(child))
        elif child is not None:
            parts.append(join(*child))
    return Markup("".join(parts))


def escape(text: str) -> str:
    """Text that a browser shows as it is, in an element or in a quoted attribute; control characters show as a box."""
    return html.escape(_CONTROL.sub("\ufffd", text), quote=True)


def table(header: Iterable[Child], rows: Iterable[Iterable[Child]], *, class_: str | None = None) -> Markup:
    """A table in a box that scrolls on a narrow screen."""
    head = tag("tr", [tag("th", cell, scope="col") for cell in header])
    body = [
        tag(
            "tr",
            [tag("td", cell) if place else tag("th", cell, scope="row") for place, cell in enumerate(row)],
        )
        for row in rows
    ]
    return tag("div", tag("table", tag("thead", head), tag("tbody", body), class_=class_), class_="scroll")
