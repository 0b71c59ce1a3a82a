"""Targets: labels <-> a string of words and symbols, for every task."""

from __future__ import annotations

import json
import pickle
import random
from pathlib import Path
from typing import Any

import pytest

from stxlib.errors import ConfigError, DataError
from stxlib.text.entity_tags import COMBINED_SYMBOLS, RAW_SYMBOLS, EntityTags
from stxlib.text.labels import Entity, Frame, read_entities, read_frame, write_entities, write_frame
from stxlib.text.normalize import NormalizationConfig, normalize
from stxlib.text.target_vocabulary import (
    TASKS,
    Kind,
    TargetsConfig,
    TargetVocabulary,
    Task,
    UnseenError,
    names_in,
)
from stxlib.text.targets import Decoded, Targets
from stxlib.text.tokenizer import SPECIALS, SentencePieceConfig, SubwordTokenizer

LABELS = {
    "text": "Wake Barack Obama's dog ! in paris",
    "intent": "alarm_set",
    "semantics": write_frame(
        Frame("alarm", "set", (Entity("date", "tomorrow !"), Entity("person", "barack obama")))
    ),
    "entities": write_entities((Entity("PERSON", "Barack Obama"), Entity("GPE", "paris"))),
    "sentiment": "Positive",
    "parse": "[IN:WAKE wake [SL:WHO barack ] ]",
}


def learn(*labels: dict[str, str], tasks: tuple[Task, ...] = TASKS, tags: EntityTags = "own") -> Targets:
    config = TargetsConfig(tasks=tasks, entity_tags=tags)
    seen: set[tuple[Kind, str]] = set()
    for utterance in labels:
        for task in tasks:
            seen.update(names_in(task, utterance, tags))
    return Targets(TargetVocabulary.of(config, seen))


ALL = learn(LABELS)


@pytest.mark.parametrize(
    ("task", "target", "streams"),
    [
        ("asr", "Wake Barack Obama's dog ! in paris", ["text"]),
        ("intent", "<scenario:alarm> <action:set>", ["intent"]),
        (
            "slu",
            "<scenario:alarm> <action:set> <slot:date> tomorrow ! <slot:person> barack obama",
            ["intent", "semantics"],
        ),
        ("ner", "Wake <PERSON> Barack Obama ] 's dog ! in <GPE> paris ]", ["text", "entities"]),
        ("sentiment", "<sentiment:Positive>", ["sentiment"]),
        ("parse", "[IN:WAKE wake [SL:WHO barack ] ]", ["parse"]),
    ],
)
def test_targets(task: Task, target: str, streams: list[str]) -> None:
    assert ALL.encode(task, LABELS) == target
    decoded = ALL.decode(task, target)
    assert not decoded.repairs
    assert list(decoded.streams) == streams
    for stream in streams:
        value = decoded.streams[stream]
        if stream == "entities":
            assert [(e.type, e.filler, e.start) for e in read_entities(value)] == [
                ("PERSON", "Barack Obama", 5),
                ("GPE", "paris", 29),
            ]
        else:
            assert value == LABELS[stream]


def test_symbols_stand_in_a_fixed_order() -> None:
    assert ALL.symbols == (
        *("<asr>", "<intent>", "<slu>", "<ner>", "<sentiment>", "<parse>"),
        *("<scenario:alarm>", "<action:set>", "<slot:date>", "<slot:person>", "<sentiment:Positive>"),
        *("<GPE>", "<PERSON>", "[IN:WAKE", "[SL:WHO", "<join>", "<apart>", "]"),
    )
    names = list({(k, n) for k, ns in ALL.vocabulary.names.items() for n in ns})
    random.Random(1).shuffle(names)
    assert Targets(TargetVocabulary.of(ALL.vocabulary.config, names)).symbols == ALL.symbols
    reversed_tasks = TargetsConfig(tasks=TASKS[::-1])
    assert Targets(TargetVocabulary.of(reversed_tasks, names)).symbols == ALL.symbols


def test_tasks_and_their_tokens() -> None:
    assert ALL.tasks == TASKS
    assert [ALL.task_token(task) for task in TASKS] == list(ALL.symbols[:6])
    few = learn(LABELS, tasks=("sentiment", "asr"))
    assert few.symbols == ("<asr>", "<sentiment>", "<sentiment:Positive>")
    for call in (few.task_token, few.classes, lambda task: few.encode(task, LABELS)):
        with pytest.raises(ValueError, match="slu: not a task of these units, which have sentiment asr"):
            call("slu")


def test_recognition_alone_has_no_symbols() -> None:
    targets = Targets(TargetVocabulary())
    assert targets.symbols == () and targets.tasks == ("asr",) and targets.task_token("asr") == "<sos>"
    text = "a  <asr> ] \\] b"
    assert targets.encode("asr", {"text": text}) == text
    assert targets.decode("asr", text) == Decoded({"text": text}, {})


def test_streams() -> None:
    assert ALL.streams("ner") == ("text", "entities") and ALL.streams("intent") == ("intent",)
    assert ALL.streams("intent", ["text", "semantics"]) == ("semantics",)
    assert ALL.streams("intent", ["intent", "semantics"]) == ("intent",)
    with pytest.raises(ValueError, match="ner: no stream text and entities"):
        ALL.streams("ner", ["text"])
    with pytest.raises(ValueError, match="slu: no stream semantics"):
        ALL.encode("slu", {"text": "x"})
    frame = {"semantics": LABELS["semantics"]}
    assert ALL.encode("intent", frame) == ALL.encode("intent", LABELS)


def test_classes() -> None:
    labels: list[dict[str, str]] = [LABELS | {"intent": i} for i in ("hello", "alarm_set", "alarm_unset")]
    targets = learn(*labels)
    assert targets.classes("intent") == ("alarm_set", "alarm_unset", "hello")
    assert targets.classes("sentiment") == ("Positive",)
    assert targets.encode("intent", {"intent": "hello"}) == "<scenario:hello>"
    with pytest.raises(ValueError, match="intent and sentiment have one"):
        targets.classes("slu")


@pytest.mark.parametrize(
    ("task", "labels", "message"),
    [
        ("intent", {"intent": "alarm_play"}, "action 'play': the training set has none such; it has set"),
        ("intent", {"intent": "music_set"}, "scenario 'music'"),
        ("slu", {"semantics": '{"intent": "alarm_set", "slots": {"x": "y"}}'}, "slot 'x'"),
        ("ner", {"text": "x", "entities": '[{"type": "ORG", "filler": "x"}]'}, "entity 'ORG'"),
        ("sentiment", {"sentiment": "Negative"}, "sentiment 'Negative'"),
        ("parse", {"parse": "[IN:X ]"}, "bracket 'IN:X'"),
    ],
)
def test_what_training_has_not(task: Task, labels: dict[str, str], message: str) -> None:
    with pytest.raises(UnseenError, match=message):
        ALL.encode(task, labels)


@pytest.mark.parametrize(
    ("task", "labels", "message"),
    [
        ("slu", {"semantics": "{"}, "no JSON"),
        ("ner", {"text": "x", "entities": "{}"}, "expected a list"),
        ("parse", {"parse": "[IN:WAKE"}, "not closed"),
    ],
)
def test_malformed_labels(task: Task, labels: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ALL.encode(task, labels)


@pytest.mark.parametrize(
    ("task", "target", "streams", "repairs"),
    [
        ("asr", "<slu> go ] home", {"text": "go home"}, {"stray": 2}),
        ("intent", "", {"intent": ""}, {"no_class": 1}),
        ("intent", "<action:set>", {"intent": "set"}, {"no_class": 1}),
        ("intent", "<action:set> <scenario:alarm>", {"intent": "alarm_set"}, {"misplaced": 1}),
        (
            "intent",
            "uh <scenario:alarm> <slot:date> <action:set> <action:set> <scenario:alarm>",
            {"intent": "alarm_set"},
            {"words": 1, "stray": 1, "repeated": 2},
        ),
        ("sentiment", "good", {"sentiment": ""}, {"words": 1, "no_class": 1}),
        ("sentiment", "<sentiment:Positive> <GPE> x", {"sentiment": "Positive"}, {"stray": 1, "words": 1}),
        (
            "slu",
            "<scenario:alarm> well <slot:date> to <GPE> day <action:set> <slot:person>",
            {
                "intent": "alarm_set",
                "semantics": write_frame(
                    Frame("alarm", "set", (Entity("date", "to day"), Entity("person", "")))
                ),
            },
            {"words": 1, "stray": 1, "misplaced": 1},
        ),
        (
            "slu",
            "<slot:date>",
            {"intent": "", "semantics": write_frame(Frame("", "", (Entity("date", ""),)))},
            {"no_class": 1},
        ),
        ("ner", "go <PERSON> a <slu>", {"text": "go a", "entities": "[]"}, {"unclosed": 1, "stray": 1}),
        ("parse", "a <GPE> ] [IN:WAKE x [SL:WHO [IN:NO", {}, {"outside": 2, "unclosed": 2, "stray": 1}),
        ("parse", "wake", {"parse": ""}, {"outside": 1, "no_tree": 1}),
    ],
)
def test_repair(task: Task, target: str, streams: dict[str, str], repairs: dict[str, int]) -> None:
    streams = streams or {"parse": "[IN:WAKE x [SL:WHO \\[IN:NO ] ]"}  # a bracket of no symbol is a word
    assert ALL.decode(task, target) == Decoded(streams, repairs)


@pytest.mark.parametrize("task", TASKS)
def test_anything_can_be_decoded(task: Task) -> None:
    """Random tokens, and the labels read from them: each makes a well-formed target that says the same."""
    draw = random.Random(task)
    num_malformed = 0
    for _ in range(300):
        words = draw.choices([*ALL.symbols, "a", "\\]", "'s", "⁇"], k=draw.randint(0, 10))
        decoded = ALL.decode(task, " ".join(words))
        num_malformed += bool(decoded.repairs)
        if not {"no_class", "no_tree"} & {*decoded.repairs}:
            again = ALL.decode(task, ALL.encode(task, decoded.streams))
            assert again == Decoded(decoded.streams, {})
    assert num_malformed > 100


NAMES = [
    "a",
    "A b",
    "a  b",
    "%20",
    "a%20b",
    "",
    "]",
    "<x>",
    ":",
    "é\u2028",
    "asr",
    "unk",
    "join",
    "slot:a",
    "\\",
    "-x",
]
WORDS = [
    "a",
    "ab",
    "]",
    "\\]",
    "\\\\]",
    "!",
    "\\",
    "<asr>",
    "<join>",
    "<sos>",
    "[IN:A",
    "[SL:ж",
    "'s",
    "-",
    "<a>",
    "}",
    "é",
]


def draw_labels(draw: random.Random, tags: EntityTags) -> dict[str, str]:
    types = {"own": NAMES, "slue_raw": [*RAW_SYMBOLS], "slue_combined": [*COMBINED_SYMBOLS]}[tags]

    def words(least: int = 0) -> str:
        return " ".join(draw.choices(WORDS, k=draw.randint(least, 4)))

    text, entities = "", []
    for _ in range(draw.randint(1, 5)):
        text += draw.choice([" ", ""]) if text else ""
        part = words(1)
        if draw.random() < 0.5:
            entities.append(Entity(draw.choice(types), part, len(text)))
        text += part
    parse = "[IN:A"
    for _ in range(draw.randint(0, 3)):
        inside = " ".join(f"\\{w}" if w.strip("\\")[:1] in ("[", "]") else w for w in words().split())
        parse += " " + " ".join(f"[{draw.choice(['IN', 'SL'])}:{draw.choice('AB%')} {inside} ]".split())
    slots = tuple(Entity(draw.choice(NAMES), words()) for _ in range(draw.randint(0, 3)))
    scenario, action = draw.choice(NAMES), draw.choice(NAMES)
    return {
        "text": text,
        "entities": write_entities(tuple(entities)),
        "semantics": write_frame(Frame(scenario, action, slots)),
        "intent": draw.choice(["a_b", "b", "x y_z", "_", "a__b"]),
        "sentiment": draw.choice([name for name in NAMES if name]),
        "parse": parse + " ]",
    }


NORMALIZED_WORDS = [
    "％",
    "１０",
    "］",
    "<ASR>",
    "<asr>",
    "%",
    "\\％",
    "<SLOT:date>",
    "a/%",
    "rome",
    "ROME",
    "]¨",
    "\\",
]


@pytest.mark.parametrize("unicode", ["none", "nfkc"])
@pytest.mark.parametrize("case", ["keep", "lower", "upper"])
@pytest.mark.parametrize(
    "rest", [{}, {"punctuation": "remove"}, {"punctuation": "remove", "punctuation_kept": "%<>:"}]
)
def test_no_word_becomes_a_symbol_when_it_is_normalized(
    case: Any, unicode: Any, rest: dict[str, Any]
) -> None:
    settings = NormalizationConfig(case=case, unicode=unicode, **rest)
    config = TargetsConfig(tasks=("asr", "slu", "ner"), entity_tags="slue_raw")
    names: list[tuple[Kind, str]] = [("slot", "date"), ("scenario", "go")]
    targets = Targets(TargetVocabulary.of(config, names), settings)
    learnt = [targets.escape_words(" ".join(NORMALIZED_WORDS))]
    char = SentencePieceConfig(model_type="char", vocab_size=100)
    tokens = SubwordTokenizer.train(learnt, char, settings).extended(targets.symbols)
    draw = random.Random(f"{case} {unicode} {rest}")
    for _ in range(50):
        text = " ".join(draw.choices(NORMALIZED_WORDS, k=draw.randint(1, 5)))
        frame = Frame("go", "", (Entity("date", text),))
        there: dict[Task, dict[str, str]] = {
            "asr": {"text": text},
            "ner": {"text": text, "entities": "[]"},
            "slu": {"semantics": write_frame(frame)},
        }
        for task, labels in there.items():
            target = targets.encode(task, labels)
            back = targets.decode(task, tokens.decode(tokens.encode(target)))
            assert not back.repairs, (task, text)
            found = (
                read_frame(back.streams["semantics"]).slots[0].filler
                if task == "slu"
                else back.streams["text"]
            )
            assert found == normalize(text, settings), (task, text)


def test_words_without_blanks_between_them_are_one_word() -> None:
    settings = NormalizationConfig(whitespace="remove")
    targets = Targets(
        TargetVocabulary.of(TargetsConfig(tasks=("asr", "ner"), entity_tags="slue_raw"), []), settings
    )
    char = SentencePieceConfig(model_type="char", vocab_size=20)
    tokens = SubwordTokenizer.train(["打 % 开", "\\%"], char, settings).extended(targets.symbols)
    for text, word in (("打 % 开", "打%开"), ("%", "%"), ("打 开", "打开")):
        target = tokens.decode(tokens.encode(targets.encode("asr", {"text": text})))
        assert targets.decode("asr", target) == Decoded({"text": word}, {})


@pytest.mark.parametrize("tags", ["own", "slue_raw", "slue_combined"])
def test_all_labels_come_back(tags: EntityTags) -> None:
    draw = random.Random(tags)
    labels = [draw_labels(draw, tags) for _ in range(300)]
    targets = learn(*labels, tags=tags)
    assert not {*targets.symbols} & {*SPECIALS}
    # what the tokenizer takes for a symbol
    tokens = SentencePieceConfig(symbols=targets.symbols).symbols
    assert len({*tokens}) == len(tokens)
    num_entities = 0
    for utterance in labels:
        for task in TASKS:
            decoded = targets.decode(task, targets.encode(task, utterance))
            assert not decoded.repairs
            for stream in targets.streams(task):
                if stream == "entities":
                    given = read_entities(utterance[stream])
                    assert read_entities(decoded.streams[stream]) == given
                    num_entities += len(given)
                elif stream == "semantics":
                    assert read_frame(decoded.streams[stream]) == read_frame(utterance[stream])
                else:
                    assert decoded.streams[stream] == utterance[stream]
    assert num_entities > 300


def test_tag_sets_of_slue() -> None:
    labels = {
        "text": "five euros at the louvre in may",
        "entities": json.dumps(
            [
                {"type": "MONEY", "filler": "five euros"},
                {"type": "FAC", "filler": "the louvre"},
                {"type": "DATE", "filler": "may"},
            ]
        ),
    }
    raw = learn(labels, tasks=("ner",), tags="slue_raw")
    assert raw.encode("ner", labels) == "( five euros ] at $ the louvre ] in @ may ]"
    combined = learn(labels, tasks=("ner",), tags="slue_combined")
    target = combined.encode("ner", labels)
    assert target == "^ five euros ] at the louvre in & may ]"
    entities = read_entities(combined.decode("ner", target).streams["entities"])
    assert [(entity.type, entity.filler) for entity in entities] == [("QUANT", "five euros"), ("WHEN", "may")]
    assert len(raw.symbols) == 1 + 18 + 3 and len(combined.symbols) == 1 + 7 + 3
    strange = {"text": "x", "entities": '[{"type": "SHIP", "filler": "x"}]'}
    for tags in ("slue_raw", "slue_combined"):
        with pytest.raises(ConfigError, match=f"{tags} has no symbol for the types SHIP; choose own"):
            learn(strange, tasks=("ner",), tags=tags)


def test_entities_that_cannot_be_marked_are_counted() -> None:
    labels = {"text": "in PARIS", "entities": write_entities((Entity("GPE", "paris"), Entity("GPE", "rome")))}
    assert ALL.unplaced(labels) == {"other_case": 1, "not_found": 1}
    assert ALL.encode("ner", labels) == "in <GPE> PARIS ]"


def test_tokens_of_targets() -> None:
    targets = learn(LABELS, tags="slue_raw")
    text = " ".join(targets.encode(task, LABELS) for task in TASKS)
    tokenizer = SubwordTokenizer.train([text], SentencePieceConfig(vocab_size=60, symbols=targets.symbols))
    for task in TASKS:
        target = targets.encode(task, LABELS)
        ids = tokenizer.encode(f"{targets.task_token(task)} {target}")
        assert tokenizer.symbols[ids[0]] == targets.task_token(task)
        assert tokenizer.decode(ids[1:]) == target


def test_saving(tmp_path: Path) -> None:
    labels = [draw_labels(random.Random(seed), "own") for seed in range(50)]
    targets = learn(*labels)
    path = tmp_path / "targets.yaml"
    targets.vocabulary.save(path)
    assert TargetVocabulary.load(path) == targets.vocabulary
    assert pickle.loads(pickle.dumps(targets)).symbols == targets.symbols
    good = path.read_text("utf-8")
    bad: Any
    for bad in ("", "[]", "tasks: [asr]", good.replace("- ner", "- net"), good.replace("own", "mine")):
        path.write_text(bad, "utf-8")
        with pytest.raises(DataError, match="not a vocabulary of targets"):
            TargetVocabulary.load(path)


def test_bad_configs() -> None:
    for tasks in ((), ("asr", "asr")):
        with pytest.raises(ConfigError, match="tasks: .* each but once"):
            TargetsConfig(tasks=tasks)  # type: ignore[arg-type]
