"""Entities in a text: found, marked, read again, repaired."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from stxlib.text.entity_tags import RAW_SYMBOLS
from stxlib.text.escape import Escapes
from stxlib.text.labels import Entity
from stxlib.text.tagged_text import Span, place_entities, read_tagged, write_tagged
from stxlib.text.target_vocabulary import APART, JOIN

TYPES = {symbol: name for name, symbol in RAW_SYMBOLS.items()}
SYMBOLS = {*TYPES, "]", JOIN, APART, "<asr>"}


def write(text: str, *spans: Span) -> str:
    return write_tagged(text, spans, RAW_SYMBOLS, Escapes(SYMBOLS))


def read(target: str) -> tuple[str, list[tuple[str, str]], dict[str, int]]:
    text, entities, counts = read_tagged(target, TYPES, Escapes(SYMBOLS))
    for entity in entities:
        assert entity.start is not None
        assert text[entity.start : entity.start + len(entity.filler)] == entity.filler
    return text, [(entity.type, entity.filler) for entity in entities], dict(counts)


@pytest.mark.parametrize(
    ("text", "spans", "target"),
    [
        ("barack obama spoke", [("PERSON", 0, 12)], "} barack obama ] spoke"),
        ("in paris", [("GPE", 3, 8)], "in % paris ]"),
        ("no entity", [], "no entity"),
        ("a ! b ] \\! <asr>", [], "a \\! b \\] \\\\! \\<asr>"),
        ("europe's law", [("GPE", 0, 6)], "% europe ] 's law"),
        ("(paris, rome)", [("GPE", 1, 6), ("GPE", 8, 12)], "\\( % paris ] , % rome ] \\)"),
        ("about $ 5", [("MONEY", 8, 9)], "about \\$ <apart> ( 5 ]"),
        ("the 1990s", [("DATE", 4, 8)], "the @ 1990 ] <join> s"),
        ("we met 'bob", [("PERSON", 8, 11)], "we met ' <join> } bob ]"),
        ("eu 'law'", [("ORG", 0, 2)], "` eu ] <apart> 'law'"),
        ("eu-paris", [("ORG", 0, 2), ("GPE", 3, 8)], "` eu ] - % paris ]"),
        ("eu us", [("ORG", 0, 2), ("GPE", 3, 5)], "` eu ] % us ]"),
        ("euus", [("ORG", 0, 2), ("GPE", 2, 4)], "` eu ] <join> % us ]"),
    ],
)
def test_marking(text: str, spans: list[tuple[str, int, int]], target: str) -> None:
    assert write(text, *(Span(*span) for span in spans)) == target
    assert read(target) == (text, [(name, text[start:end]) for name, start, end in spans], {})


@pytest.mark.parametrize("seed", range(300))
def test_text_and_entities_come_back(seed: int) -> None:
    draw = random.Random(seed)
    text = "".join(draw.choices("ab ]!'-$(.\\<> é的\u0301", k=draw.randint(1, 30)))
    text = " ".join(text.split())
    cuts = sorted(draw.sample(range(len(text) + 1), k=min(len(text) + 1, 2 * draw.randint(0, 3))))
    spans = []
    for start, end in zip(cuts[::2], cuts[1::2], strict=False):
        words = text[start:end].strip()
        if words:
            start += text[start:end].index(words)
            spans.append(Span(draw.choice([*RAW_SYMBOLS]), start, start + len(words)))
    fillers = [(span.type, text[span.start : span.end]) for span in spans]
    assert read(write(text, *spans)) == (text, fillers, {})


@pytest.mark.parametrize(
    ("target", "text", "entities", "counts"),
    [
        ("} ada % rome ]", "ada rome", [("GPE", "rome")], {"unclosed": 1}),
        ("go } ada", "go ada", [], {"unclosed": 1}),
        ("go ] home", "go home", [], {"unopened": 1}),
        ("} ] go", "go", [], {"empty": 1}),
        ("} ada ] 's ] dog", "ada's dog", [("PERSON", "ada")], {"unopened": 1}),
        ("<asr> go", "go", [], {"stray": 1}),
        ("<join> a <join> b <apart>", "a b", [], {"stray": 3}),
        ("} a <join> b ]", "a b", [("PERSON", "a b")], {"stray": 1}),
        ("} a ] <join> <apart> b", "ab", [("PERSON", "a")], {"stray": 1}),
        ("} a ] <join>", "a", [("PERSON", "a")], {"stray": 1}),
        ("", "", [], {}),
    ],
)
def test_repair(target: str, text: str, entities: list[tuple[str, str]], counts: dict[str, int]) -> None:
    assert read(target) == (text, entities, counts)


@pytest.mark.parametrize("seed", range(300))
def test_anything_can_be_read(seed: int) -> None:
    draw = random.Random(seed)
    words = ["a", "'s", "\\]", "}", "%", "]", JOIN, APART, "<asr>"]
    text, entities, _ = read_tagged(
        " ".join(draw.choices(words, k=draw.randint(0, 12))), TYPES, Escapes(SYMBOLS)
    )
    spans = [Span(e.type, e.start or 0, (e.start or 0) + len(e.filler)) for e in entities]
    again = [(entity.type, entity.filler) for entity in entities]
    assert read(write(text, *spans)) == (text, again, {})


def test_entities_are_those_of_the_benchmarks_reader(test_data: Path) -> None:
    """Its lines of references and of damaged hypotheses, words glued to markers among them."""
    golden = json.loads((test_data / "golden" / "slue_scoring_A.json").read_text("utf-8"))["ner"]
    results = golden["results"]["raw"]["standard"]
    num_entities = 0
    for lines, labels in (("ref_lines", "ref_labels"), ("hypo_lines", "hypo_labels")):
        for line, expected in zip(golden[lines], results[labels], strict=True):
            entities = sorted(read(line)[1])
            assert entities == sorted((name, phrase) for name, phrase, _ in expected), line
            num_entities += len(entities)
    assert num_entities > 100


@pytest.mark.parametrize(
    ("text", "entities", "spans", "counts"),
    [
        ("may i in may", [Entity("DATE", "may", 9)], [("DATE", 9, 12)], {}),
        ("may i in may", [Entity("A", "may"), Entity("B", "may")], [("A", 0, 3), ("B", 9, 12)], {}),
        ("rome to paris", [Entity("B", "paris"), Entity("A", "rome")], [("A", 0, 4), ("B", 8, 13)], {}),
        ("romeo", [Entity("A", "rome")], [], {"not_found": 1}),
        ("romeo", [Entity("A", "rome", 0)], [("A", 0, 4)], {}),
        ("in  new   york.", [Entity("A", "new york")], [("A", 4, 14)], {}),
        ("IN ROME", [Entity("A", "rome")], [("A", 3, 7)], {"other_case": 1}),
        ("rome ROME", [Entity("A", "ROME")], [("A", 5, 9)], {}),
        ("in rome", [Entity("A", "rome", 1)], [("A", 3, 7)], {"wrong_start": 1}),
        ("in rome", [Entity("A", "rome", 2)], [("A", 3, 7)], {}),
        ("in rome", [Entity("A", "rome", 99)], [("A", 3, 7)], {"wrong_start": 1}),
        ("new york", [Entity("A", "new york"), Entity("B", "york")], [("A", 0, 8)], {"overlapping": 1}),
        ("new york", [Entity("A", "york", 4), Entity("B", "new york", 0)], [("A", 4, 8)], {"overlapping": 1}),
        ("york", [Entity("A", " ")], [], {"not_found": 1}),
        ("what? (yes)", [Entity("A", "(yes)")], [("A", 6, 11)], {}),
    ],
)
def test_finding(
    text: str, entities: list[Entity], spans: list[tuple[str, int, int]], counts: dict[str, int]
) -> None:
    assert place_entities(text, entities) == ([Span(*span) for span in spans], counts)
