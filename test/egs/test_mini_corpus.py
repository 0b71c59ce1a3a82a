"""The rules of the corpus of egs/mini, counted on its sentences at full size; test_mini_recordings.py has the audio."""

from __future__ import annotations

import itertools
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from stxlib.errors import DataError

ROOT = Path(__file__).parents[2]
LOCAL = ROOT / "egs" / "mini" / "local"
sys.path.insert(0, str(LOCAL))

from grammar import ENTITY_TYPES, SENTIMENTS, Grammar, Sentence  # noqa: E402
from sets import Chooser, Sizes  # noqa: E402

SIZES = Sizes(train=1500, dev=200, test=400, test_rare=400, text_only=30000)
EVALUATED = ("dev", "test", "test_rare")
Sets = dict[str, list[Sentence]]


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return Grammar(LOCAL / "grammar")


@pytest.fixture(scope="module")
def sets(grammar: Grammar) -> Sets:
    return Chooser(grammar, seed=1).choose(SIZES)


def words_of(sentences: Iterable[Sentence]) -> list[str]:
    return [word for sentence in sentences for word in sentence.words]


# ---- sentences, at full size ----


def test_sizes_intents_and_vocabulary(grammar: Grammar, sets: Sets) -> None:
    assert {name: len(sentences) for name, sentences in sets.items()} == vars(SIZES)
    assert len(grammar.patterns) >= 20
    assert min(len(patterns) for patterns in grammar.patterns.values()) >= 10
    for name in ("train", "dev", "test", "text_only"):
        assert {sentence.intent for sentence in sets[name]} == set(grammar.patterns), name
    assert len({sentence.intent for sentence in sets["test_rare"]}) >= 20
    assert len(set(words_of(itertools.chain(*sets.values())))) >= 2500


def test_no_evaluated_sentence_is_learnt_from(sets: Sets) -> None:
    learnt = {sentence.text for name in ("train", "text_only") for sentence in sets[name]}
    evaluated = [sentence.text for name in EVALUATED for sentence in sets[name]]
    assert len(learnt) > 30000 and len(evaluated) == len(set(evaluated)) == 1000
    assert not learnt.intersection(evaluated)


def test_a_quarter_of_test_comes_from_patterns_absent_in_train(sets: Sets) -> None:
    trained = {sentence.pattern for sentence in sets["train"]}
    for name in EVALUATED:
        unseen = sum(sentence.pattern not in trained for sentence in sets[name]) / len(sets[name])
        assert 0.25 <= unseen < 0.45, name


def test_rare_words_are_unseen_in_train_and_occur_in_text_only(sets: Sets) -> None:
    heard, read = set(words_of(sets["train"])), set(words_of(sets["text_only"]))

    def unheard(name: str) -> list[str]:
        return [word for word in words_of(sets[name]) if word not in heard]

    rate = {name: len(unheard(name)) / len(words_of(sets[name])) for name in EVALUATED}
    assert rate["test_rare"] >= 0.15
    assert 0.02 < rate["test"] < 0.08  # clearly apart, so that the two sets measure two things
    assert read.issuperset(unheard("test_rare"))
    counts = Counter(words_of(sets["text_only"]))
    assert sorted(counts[word] for word in unheard("test_rare"))[len(unheard("test_rare")) // 4] >= 3


def test_labels_agree_with_the_text(sets: Sets) -> None:
    entity_types: Counter[str] = Counter()
    for sentence in itertools.chain(*sets.values()):
        assert sentence.text == " ".join(sentence.words) == sentence.text.lower()
        assert all(character.isalpha() or character in " '" for character in sentence.text)
        assert sentence.pattern.startswith(f"{sentence.intent}.") and sentence.sentiment in SENTIMENTS
        padded = f" {sentence.text} "
        for slot in sentence.slots:
            assert sentence.text[slot.start : slot.start + slot.length] == slot.filler
            assert f" {slot.filler} " in padded
        spans = sorted((slot.start, slot.start + slot.length) for slot in sentence.slots)
        assert all(before[1] < after[0] for before, after in itertools.pairwise(spans))
    for name in ("train", *EVALUATED):
        entity_types = Counter(
            slot.entity for sentence in sets[name] for slot in sentence.slots if slot.entity
        )
        assert set(entity_types) == set(ENTITY_TYPES) and min(entity_types.values()) >= 3, name


def test_slot_values_are_zipf_like_and_names_composed(grammar: Grammar, sets: Sets) -> None:
    towns = Counter(
        slot.filler for sentence in sets["text_only"] for slot in sentence.slots if slot.entity == "PLACE"
    )
    counts = [count for _, count in towns.most_common()]
    assert counts[0] > 5 * counts[50] > 5 * counts[500] > 0
    ends = Counter(town[-4:] for town in towns if " " not in town)
    assert ends["ford"] >= 15 and ends["wick"] >= 15


def test_equal_seeds_give_equal_sentences(grammar: Grammar, sets: Sets) -> None:
    small = Sizes(train=30, dev=8, test=8, test_rare=8, text_only=200)
    first, again, other = (Chooser(grammar, seed).choose(small) for seed in (1, 1, 2))
    assert first == again and first["test"] != other["test"]


# ---- sentiment ----


def test_sentiment_cannot_be_read_from_one_keyword(sets: Sets) -> None:
    learnt = sets["text_only"]
    judged = [sentence for name in EVALUATED for sentence in sets[name]]
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in learnt:
        for word in set(sentence.words):
            counts[word][sentence.sentiment] += 1
    frequent = [word for word, by_class in counts.items() if by_class.total() >= 20]
    totals = Counter(sentence.sentiment for sentence in learnt)

    def most_telling_word(sentence: Sentence) -> str:
        known = [word for word in sentence.words if counts[word].total() >= 5] or ["the"]
        word = max(known, key=lambda word: counts[word].most_common(1)[0][1] / counts[word].total())
        return counts[word].most_common(1)[0][0]

    def one_word_present_or_not(word: str) -> Callable[[Sentence], str]:
        present = counts[word].most_common(1)[0][0]
        absent = (totals - counts[word]).most_common(1)[0][0]
        return lambda sentence: present if word in sentence.words else absent

    # The best word is chosen on what it is judged by: an upper bound.
    stump = max(macro_f1(judged, one_word_present_or_not(word)) for word in frequent)
    keyword = macro_f1(judged, most_telling_word)
    whole = macro_f1(judged, perceptron(learnt[:8000]))
    assert max(stump, keyword) < 0.6 and whole > 0.85, (stump, keyword, whole)


def test_each_set_has_each_sentiment(sets: Sets) -> None:
    for name, sentences in sets.items():
        counts = Counter(sentence.sentiment for sentence in sentences)
        assert set(counts) == set(SENTIMENTS) and min(counts.values()) >= 0.03 * len(sentences), name


def macro_f1(sentences: list[Sentence], classify: Callable[[Sentence], str]) -> float:
    pairs = Counter((sentence.sentiment, classify(sentence)) for sentence in sentences)

    def f1(label: str) -> float:
        relevant = sum(count for pair, count in pairs.items() for side in pair if side == label)
        return 2 * pairs[label, label] / relevant if relevant else 0.0

    return sum(map(f1, SENTIMENTS)) / len(SENTIMENTS)


def perceptron(sentences: list[Sentence]) -> Callable[[Sentence], str]:
    """An averaged perceptron on words and pairs of neighbours: a classifier that reads the sentence."""
    weights: dict[tuple[str, ...], dict[str, float]] = defaultdict(lambda: dict.fromkeys(SENTIMENTS, 0.0))
    summed: dict[tuple[str, ...], dict[str, float]] = defaultdict(lambda: dict.fromkeys(SENTIMENTS, 0.0))

    def features(sentence: Sentence) -> list[tuple[str, ...]]:
        words = ["<", *sentence.words, ">"]
        return [(word,) for word in words] + list(itertools.pairwise(words))

    def best(sentence: Sentence, table: dict[tuple[str, ...], dict[str, float]]) -> str:
        present = [table[feature] for feature in features(sentence) if feature in table]
        return max(SENTIMENTS, key=lambda label: sum(scores[label] for scores in present))

    order = sentences * 2
    for number, sentence in enumerate(order):
        guess = best(sentence, weights)
        if guess != sentence.sentiment:
            for feature in features(sentence):
                for table, step in ((weights, 1.0), (summed, float(len(order) - number))):
                    table[feature][sentence.sentiment] += step
                    table[feature][guess] -= step
    return lambda sentence: best(sentence, summed)


# ---- the grammar's own checks ----


def grammar_of(
    folder: Path, rules: str, patterns: str, slots: str = "town: {from: town, entity: PLACE}"
) -> Grammar:
    (folder / "intents").mkdir()
    (folder / "rules.yaml").write_text(rules)
    (folder / "slots.yaml").write_text(slots)
    (folder / "intents" / "a.yaml").write_text(patterns)
    return Grammar(folder)


def test_patterns_expand_choices_slots_and_articles(tmp_path: Path) -> None:
    rules = 'town: [old oakham]\nwhen: ["in {town}", "in {town}"]\nthing: [apple]'
    grammar = grammar_of(tmp_path, rules, 'go_there: ["(go|run (up|down)|) to a {thing} {when}"]')
    drawn = [grammar.draw(random.Random(n), "go_there", "go_there.01", "positive") for n in range(30)]
    tails = "to an apple in old oakham"
    assert {s.text for s in drawn} == {f"{head}{tails}" for head in ("go ", "run up ", "run down ", "")}
    slot = drawn[0].slots[0]
    assert (slot.type, slot.filler, slot.entity) == ("town", "old oakham", "PLACE")
    assert drawn[0].sentiment == "neutral"  # a pattern without an opinion has none


@pytest.mark.parametrize(
    ("rules", "patterns", "slots", "named"),
    [
        ("town: [a]", 'x_y: ["to {twon}"]', "town: {from: town}", "twon"),
        ("town: [a]", 'x_y: ["to (a|b"]', "town: {from: town}", "not closed"),
        ("town: [a]", 'x_y: ["to a|b"]', "town: {from: town}", "outside of a choice"),
        ("town: [no]", 'x_y: ["to {town}"]', "town: {from: town}", "not text"),
        ("town: [a]", 'x_y: ["to {town}"]', "town: {from: town, entity: GPE}", "entity type"),
    ],
)
def test_mistakes_in_the_grammar_are_named(
    tmp_path: Path, rules: str, patterns: str, slots: str, named: str
) -> None:
    with pytest.raises(DataError, match=named):
        grammar_of(tmp_path, rules, patterns, slots)
