r"""Bracketed parses of utterances, as in TOP and STOP: `[IN:GET_WEATHER weather [SL:DATE tomorrow ] ]`.

Words are set apart by blanks. `[IN:LABEL` and `[SL:LABEL` open an intent or a slot, `]` closes the innermost one, every other word is a
leaf. A leaf that looks like a bracket has a backslash before it: `\]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from stxlib.text.escape import escape, unescape

CLOSE = "]"
_MAX_DEPTH = 100  # no parse is so deep, and a tree is walked by recursion
_OPEN = re.compile(r"\[(?:IN|SL):\S+")


@dataclass(frozen=True)
class Tree:
    """An intent or a slot, and what stands in it."""

    label: str
    "`IN:GET_WEATHER`, `SL:DATE`"
    children: tuple[Tree | str, ...] = ()
    "subtrees, and single words"

    @property
    def is_slot(self) -> bool:
        """Whether this is a slot."""
        return self.label.startswith("SL:")


def is_bracket(word: str) -> bool:
    """Whether a word of a parse opens or closes something."""
    return word == CLOSE or _OPEN.fullmatch(word) is not None


def escape_leaf(word: str) -> str:
    """A word of an utterance as it stands in a parse."""
    return escape(word, is_bracket)


def read_tree(parse: str) -> Tree:
    """Read a parse. ValueError says what is wrong: no bracket at all, one too many or too few, something outside of the tree."""
    words = parse.split()
    if not words or words[0] == CLOSE or not is_bracket(words[0]):
        raise ValueError(f"{parse[:60]!r}: a parse begins with [IN:... or [SL:...")
    tree, counts = repair_tree(parse)
    if counts.get("unclosed"):
        raise ValueError(
            f"{parse[:60]!r}: {counts['unclosed']} brackets are not closed; expected a ] for each"
        )
    if counts or tree is None:
        raise ValueError(f"{parse[:60]!r}: the tree ends before its last {sum(counts.values())} words")
    return tree


def repair_tree(parse: str) -> tuple[Tree | None, dict[str, int]]:
    """Read a parse that may be malformed: the tree, or None where nothing opens, and how often each rule was needed.

    outside   a word or bracket before the first opening bracket or after its closing one is dropped
    unclosed  a bracket that is still open at the end is closed there
    too_deep  a bracket inside of 100 others is dropped
    no_tree   no bracket opens: there is no tree
    """
    # Nodes that are open, outermost first.
    open_nodes: list[tuple[str, list[Tree | str]]] = []
    root: Tree | None = None
    outside = too_deep = dropped = 0
    for word in parse.split():
        if root is not None:
            outside += 1
        elif word == CLOSE and dropped:
            dropped -= 1
        elif is_bracket(word) and word != CLOSE and len(open_nodes) == _MAX_DEPTH:
            too_deep += 1
            dropped += 1
        elif is_bracket(word) and word != CLOSE:
            open_nodes.append((word[1:], []))
        elif not open_nodes:
            outside += 1
        elif word == CLOSE:
            root = _close(open_nodes)
        else:
            open_nodes[-1][1].append(unescape(word, is_bracket))
    unclosed = len(open_nodes)
    while open_nodes:
        root = _close(open_nodes)
    counts = {"outside": outside, "unclosed": unclosed, "no_tree": int(root is None), "too_deep": too_deep}
    return root, {rule: count for rule, count in counts.items() if count}


def write_tree(tree: Tree) -> str:
    """The parse of a tree: `read_tree` of it gives an equal tree. Blanks are single."""
    return " ".join(_words_of(tree))


def without_slot_words(tree: Tree) -> Tree:
    """The tree without the words that stand directly in a slot; words of intents, slots in slots and intents in slots stay.

    Two parses with equal trees of this kind count as right for EM-Tree (STOP).
    """
    kept = (child for child in tree.children if isinstance(child, Tree) or not tree.is_slot)
    return Tree(
        tree.label, tuple(without_slot_words(child) if isinstance(child, Tree) else child for child in kept)
    )


def _close(open_nodes: list[tuple[str, list[Tree | str]]]) -> Tree | None:
    """Close the innermost open node; the tree when that was the root."""
    label, children = open_nodes.pop()
    tree = Tree(label, tuple(children))
    if not open_nodes:
        return tree
    open_nodes[-1][1].append(tree)
    return None


def _words_of(tree: Tree) -> Iterator[str]:
    yield f"[{tree.label}"
    for child in tree.children:
        if isinstance(child, Tree):
            yield from _words_of(child)
        else:
            yield escape_leaf(child)
    yield CLOSE
