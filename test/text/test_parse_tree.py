"""Bracketed parses: round trips, repair, and what EM-Tree compares."""

from __future__ import annotations

import random

import pytest

from stxlib.text.parse_tree import Tree, read_tree, repair_tree, without_slot_words, write_tree

WEATHER = "[IN:GET_WEATHER weather [SL:DATE tomorrow ] ]"


def test_a_parse() -> None:
    tree = read_tree(WEATHER)
    assert tree == Tree("IN:GET_WEATHER", ("weather", Tree("SL:DATE", ("tomorrow",))))
    assert write_tree(tree) == WEATHER
    assert write_tree(read_tree("  [IN:STOP   ]")) == "[IN:STOP ]"


def draw_tree(draw: random.Random, depth: int = 0) -> Tree:
    words = ["a", "]", "[IN:A", "[SL:", "[", "\\]", "\\\\[SL:X", "\\", "IN:A", "ж", "[x"]
    children: list[Tree | str] = []
    for _ in range(draw.randint(0, 4)):
        is_leaf = depth > 3 or draw.random() < 0.6
        children.append(draw.choice(words) if is_leaf else draw_tree(draw, depth + 1))
    return Tree(draw.choice(["IN:", "SL:"]) + draw.choice("ABC]:"), tuple(children))


@pytest.mark.parametrize("seed", range(200))
def test_every_tree_comes_back(seed: int) -> None:
    tree = draw_tree(random.Random(seed))
    assert read_tree(write_tree(tree)) == tree
    assert repair_tree(write_tree(tree)) == (tree, {})


@pytest.mark.parametrize(
    ("parse", "message"),
    [
        ("", "begins with"),
        ("weather", "begins with"),
        ("] [IN:A ]", "begins with"),
        ("[IN: x ]", "begins with"),
        ("[IN:A [SL:B x ]", "1 brackets are not closed"),
        ("[IN:A ] ]", "before its last 1 words"),
        ("[IN:A ] [IN:B ]", "before its last 2 words"),
    ],
)
def test_a_malformed_parse_is_an_error(parse: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_tree(parse)


@pytest.mark.parametrize(
    ("parse", "repaired", "counts"),
    [
        ("", None, {"no_tree": 1}),
        ("one ] two", None, {"outside": 3, "no_tree": 1}),
        ("well ] [IN:A x ]", "[IN:A x ]", {"outside": 2}),
        ("[IN:A x [SL:B y", "[IN:A x [SL:B y ] ]", {"unclosed": 2}),
        ("[IN:A x ] y [SL:B z ]", "[IN:A x ]", {"outside": 4}),
    ],
)
def test_repair(parse: str, repaired: str | None, counts: dict[str, int]) -> None:
    tree, seen = repair_tree(parse)
    assert (tree and write_tree(tree), seen) == (repaired, counts)


@pytest.mark.parametrize("seed", range(200))
def test_anything_can_be_repaired(seed: int) -> None:
    draw = random.Random(seed)
    words = draw.choices(["x", "]", "[IN:A", "[SL:B", "\\]"], k=draw.randint(0, 12))
    tree, counts = repair_tree(" ".join(words))
    assert (tree is None) == bool(counts.get("no_tree")) and all(counts.values())
    if tree is not None:
        assert repair_tree(write_tree(tree)) == (tree, {})


def test_trees_without_the_words_of_slots() -> None:
    tree = read_tree("[IN:A go [SL:B to [IN:C the [SL:D eagles ] game ] ] now ]")
    bare = "[IN:A go [SL:B [IN:C the [SL:D ] game ] ] now ]"
    assert write_tree(without_slot_words(tree)) == bare
    assert without_slot_words(read_tree(bare)) == read_tree(bare)
