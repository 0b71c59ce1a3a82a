"""The rules of the corpus of egs/mini, counted: on its sentences at full size, on its audio at toy size."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stxlib.data.data_dir import DataDir
from stxlib.data.tables import read_table
from stxlib.errors import DataError

ROOT = Path(__file__).parents[2]
LOCAL = ROOT / "egs" / "mini" / "local"
sys.path.insert(0, str(LOCAL))

from grammar import ENTITY_TYPES, SENTIMENTS, Grammar, Sentence  # noqa: E402
from recording import SAMPLE_RATE, coloured_noise, resample, reverberate  # noqa: E402
from sets import Chooser, Sizes  # noqa: E402
from speakers import make_speakers  # noqa: E402

SIZES = Sizes(train=1500, dev=200, test=400, test_rare=400, text_only=30000)
EVALUATED = ("dev", "test", "test_rare")
Sets = dict[str, list[Sentence]]


def prepare(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(LOCAL / "prepare.py"), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return Grammar(LOCAL / "grammar")


@pytest.fixture(scope="module")
def sets(grammar: Grammar) -> Sets:
    return Chooser(grammar, seed=1).choose(SIZES)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("mini") / "data"
    done = prepare("--out", str(out), "--scale", "0.02", "--jobs", "1")
    assert done.returncode == 0, done.stderr
    assert "word types in all" in done.stdout
    return out


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


# ---- speakers and audio ----


def test_speakers_are_disjoint_and_accents_partly_unseen() -> None:
    counts = {"train": 110, "dev": 24, "test": 40, "test_rare": 40}
    speakers = make_speakers(1, counts)
    assert {name: len(group) for name, group in speakers.items()} == counts and counts["train"] >= 100
    voices = [(s.accent, s.variant, s.pitch, s.rate) for group in speakers.values() for s in group]
    assert len(voices) == len(set(voices))
    variants = {name: {speaker.variant for speaker in group} for name, group in speakers.items()}
    assert variants["train"].isdisjoint(variants["dev"] | variants["test"]) and variants["dev"].isdisjoint(
        variants["test"]
    )
    accents = {name: Counter(speaker.accent for speaker in group) for name, group in speakers.items()}
    unseen = sum(count for accent, count in accents["test"].items() if accent not in accents["train"])
    assert 0.1 < unseen / counts["test"] < 0.5
    assert make_speakers(1, counts) == speakers != make_speakers(2, counts)


def test_rooms_and_noise_are_what_they_say() -> None:
    rng = np.random.default_rng(0)
    noise = coloured_noise(16000, rng)
    assert len(noise) == 16000 and np.mean(noise**2) == pytest.approx(1.0)
    click = np.zeros(16000)
    click[100] = 1.0
    echo = reverberate(click, rng)
    assert (
        echo[100] == pytest.approx(1.0) and np.abs(echo[:100]).max() < 1e-9
    )  # the direct sound stays where it is
    assert -10.5 < 10 * np.log10(np.sum(echo[101:] ** 2)) < -1.5
    tone = np.sin(2 * np.pi * 1000 * np.arange(22050) / 22050)
    expected = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    np.testing.assert_allclose(resample(tone, 22050)[500:-500], expected[500:-500], atol=0.01)


def test_the_toy_corpus_is_complete(corpus: Path) -> None:
    assert sorted(path.name for path in corpus.iterdir()) == [
        "dev",
        "test",
        "test_rare",
        "text_only",
        "train",
    ]
    labels = {"text", "intent", "semantics", "entities", "sentiment", "pattern"}
    spoken = {"wav.scp", "utt2spk", "utt2dur", "utt2num_samples", "word_times", "phone_times", "utt2accent"}
    for name in ("train", *EVALUATED):
        data = DataDir(corpus / name)
        assert data.streams >= labels | spoken and len(data.utts) >= 8
        assert all(set(data.table(stream)) == set(data.utts) for stream in labels | spoken)
    text_only = DataDir(corpus / "text_only")
    assert text_only.has("text") and not text_only.has("wav.scp") and len(text_only.utts) == 600


def test_written_labels_point_into_the_text(corpus: Path) -> None:
    num_entities = 0
    for name in ("train", "text_only"):
        tables: dict[str, dict[str, str]] = {
            stream: read_table(corpus / name / stream)
            for stream in ("text", "intent", "semantics", "entities")
        }
        for utt, text in tables["text"].items():
            semantics: dict[str, Any] = json.loads(tables["semantics"][utt])
            assert semantics["intent"] == tables["intent"][utt]
            assert all(f" {slot['filler']} " in f" {text} " for slot in semantics["slots"])
            for entity in json.loads(tables["entities"][utt]):
                assert entity["type"] in ENTITY_TYPES
                assert text[entity["start"] : entity["start"] + entity["length"]] == entity["filler"]
                num_entities += 1
    assert num_entities > 300


def test_audio_is_what_the_tables_say(corpus: Path) -> None:
    data = DataDir(corpus / "train")
    noise_levels = []
    for utt in data.utts:
        path = corpus / "train" / data.table("wav.scp")[utt]
        info = soundfile.info(path)
        assert (info.format, info.subtype, info.samplerate, info.channels) == (
            "FLAC",
            "PCM_16",
            SAMPLE_RATE,
            1,
        )
        wave, _ = soundfile.read(path)
        assert len(wave) == int(data.table("utt2num_samples")[utt])
        seconds = len(wave) / SAMPLE_RATE
        assert float(data.table("utt2dur")[utt]) == pytest.approx(seconds, abs=1e-3)
        words = json.loads(data.table("word_times")[utt])
        assert [word for word, _, _ in words] == data.table("text")[utt].split()
        for marks in (words, json.loads(data.table("phone_times")[utt])):
            assert all(0 <= start <= end <= seconds + 1e-3 for _, start, end in marks)
        first, last = words[0][1], words[-1][2]
        spoken = wave[int(first * SAMPLE_RATE) : int(last * SAMPLE_RATE)]
        before = wave[: int(first * SAMPLE_RATE)]
        noise_levels.append(10 * np.log10(np.mean(spoken**2) / np.mean(before**2)))
    assert min(noise_levels) > 4 and max(noise_levels) < 34 and max(noise_levels) - min(noise_levels) > 10


def test_another_number_of_processes_writes_the_same(corpus: Path, tmp_path: Path) -> None:
    done = prepare("--out", str(tmp_path / "data"), "--scale", "0.02", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    for stream in ("text", "semantics", "utt2spk", "utt2num_samples", "phone_times", "wav.scp"):
        for name in ("train", "test_rare"):
            assert read_table(tmp_path / "data" / name / stream) == read_table(corpus / name / stream)
    utt, path = next(iter(read_table(corpus / "test" / "wav.scp").items()))
    one, other = (soundfile.read(folder / "test" / path)[0] for folder in (corpus, tmp_path / "data"))
    np.testing.assert_allclose(one, other, atol=1e-3, err_msg=utt)


def test_a_folder_of_other_things_is_not_replaced(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    done = prepare("--out", str(tmp_path), "--scale", "0.02")
    assert done.returncode == 2 and "holds something else" in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    bad = prepare("--out", str(tmp_path / "data"), "--scale", "2")
    assert bad.returncode == 2 and "scale" in bad.stderr and not (tmp_path / "data").exists()


@pytest.mark.slow
def test_the_full_corpus_has_an_hour_and_comes_in_time(tmp_path: Path) -> None:
    out = tmp_path / "data"
    before = os.times()
    done = prepare("--out", str(out), "--jobs", "2")
    after = os.times()
    assert done.returncode == 0, done.stderr
    used = after.children_user + after.children_system - before.children_user - before.children_system
    assert used < 240  # two minutes of two cores, whatever else the machine does meanwhile
    train = DataDir(out / "train")
    assert 0.9 < sum(train.seconds.values()) / 3600 < 1.25 and len(train.speakers) >= 100
    assert sum(len(DataDir(out / name).utts) for name in EVALUATED) == 1000
