"""Which sentences go into which set: the rules that keep evaluation apart from what is learnt from.

Whether a sentence may be evaluated on is decided by its hash, so that sets can be drawn one after the other and still never share a
sentence with `train` or `text_only`. Of each intent's patterns the last, new wordings of what the first ones say, are held back from
`train`; rare words are the tail of the Zipf-like slot values that `train` does not reach.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from grammar import Grammar, Sentence

from stxlib.errors import DataError

EVALUATION_SHARE = 0.2  # of all sentences; those that train and text_only never see
SEEN_PATTERNS = 8  # of each intent; those that follow are held back from train
# Of the sentences of all sets but train, those drawn from patterns held back; a few more patterns are just not met in train.
UNSEEN_SHARE = 0.25
PATTERN_ZIPF = 1.2  # the patterns of an intent stand in order of frequency
OPINION_INTENT_WEIGHT = 7  # intents that are about how something was (*_rate)
OTHER_INTENT_WEIGHT = 2
SENTIMENT_WEIGHTS = {"negative": 0.39, "neutral": 0.22, "positive": 0.39}  # where a sentence has an opinion
FLAT_SHARE = 0.25  # of text_only: all slot values alike, so that it has every rare word a few times
RARE_SHARE = 0.15  # at least this share of the words of each sentence of test_rare is unseen in train


@dataclass(frozen=True)
class Sizes:
    """Sentences of each set."""

    train: int
    dev: int
    test: int
    test_rare: int
    text_only: int


class Chooser:
    """Draws the sets of one corpus; equal arguments give equal sets."""

    def __init__(self, grammar: Grammar, seed: int) -> None:
        self.grammar, self.seed = grammar, seed
        self.intents = list(grammar.patterns)
        # One round of intents, each as often as its weight says: sets go through rounds, so that none lacks an intent.
        self.round = [
            intent
            for intent in self.intents
            for _ in range(OPINION_INTENT_WEIGHT if intent.endswith("_rate") else OTHER_INTENT_WEIGHT)
        ]
        self.seen: dict[str, dict[str, float]] = {}
        self.held_back: dict[str, dict[str, float]] = {}
        for intent, templates in grammar.patterns.items():
            weights = [(pattern, (rank + 1) ** -PATTERN_ZIPF) for rank, pattern in enumerate(templates)]
            self.seen[intent] = dict(weights[:SEEN_PATTERNS])
            self.held_back[intent] = dict(weights[SEEN_PATTERNS:])

    def is_for_evaluation(self, text: str) -> bool:
        digest = hashlib.blake2b(f"{self.seed} {text}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < EVALUATION_SHARE * 2**64

    def choose(self, sizes: Sizes) -> dict[str, list[Sentence]]:
        """Return the sentences of each set; within a set and among the evaluated sets no text occurs twice."""
        text_only = self._draw(
            "text_only", sizes.text_only, self._flat_now_and_then, unseen=UNSEEN_SHARE, evaluated=False
        )
        train = self._draw("train", sizes.train, _never, unseen=0.0, evaluated=False)
        heard = {word for sentence in train for word in sentence.words}
        read = {word for sentence in text_only for word in sentence.words}
        used: set[str] = set()

        def is_rare(sentence: Sentence) -> bool:
            unheard = [word for word in sentence.words if word not in heard]
            return len(unheard) >= RARE_SHARE * len(sentence.words) and read.issuperset(unheard)

        dev = self._draw("dev", sizes.dev, _never, unseen=UNSEEN_SHARE, evaluated=True, used=used)
        test = self._draw("test", sizes.test, _never, unseen=UNSEEN_SHARE, evaluated=True, used=used)
        test_rare = self._draw(
            "test_rare",
            sizes.test_rare,
            _always,
            unseen=UNSEEN_SHARE,
            evaluated=True,
            used=used,
            accept=is_rare,
        )
        return {"train": train, "dev": dev, "test": test, "test_rare": test_rare, "text_only": text_only}

    def _draw(
        self,
        name: str,
        count: int,
        is_flat: Callable[[random.Random], bool],
        *,
        unseen: float,
        evaluated: bool,
        used: set[str] | None = None,
        accept: Callable[[Sentence], bool] = lambda sentence: True,
    ) -> list[Sentence]:
        """Draw `count` sentences; exactly round(unseen * count) of them are from patterns held back from train."""
        rng = random.Random(f"{self.seed} {name}")
        used = set() if used is None else used
        num_unseen = round(unseen * count)
        sentences: list[Sentence] = []
        intents: list[str] = []
        for number in range(count):
            if not intents:
                intents = rng.sample(self.round, len(self.round))
            patterns = self.held_back if number < num_unseen else self.seen
            for sentence in self._candidates(rng, intents.pop(), patterns, is_flat):
                if (
                    self.is_for_evaluation(sentence.text) == evaluated
                    and sentence.text not in used
                    and accept(sentence)
                ):
                    used.add(sentence.text)
                    sentences.append(sentence)
                    break
        rng.shuffle(sentences)
        return sentences

    def _candidates(
        self,
        rng: random.Random,
        intent: str,
        patterns: dict[str, dict[str, float]],
        is_flat: Callable[[random.Random], bool],
    ) -> Iterator[Sentence]:
        # Some tries at the intent, a few at each pattern, so that those which seldom give what is wanted keep some of their
        # share; then at any intent: there are no rare words in "it is too dark in the kitchen".
        for attempt in range(5000):
            if attempt >= 5:
                intent = rng.choice(self.round)
            pattern = rng.choices(list(patterns[intent]), list(patterns[intent].values()))[0]
            sentiment = rng.choices(list(SENTIMENT_WEIGHTS), list(SENTIMENT_WEIGHTS.values()))[0]
            for _ in range(10):
                yield self.grammar.draw(rng, intent, pattern, sentiment, flat=is_flat(rng))
        raise DataError(
            "local/grammar: the patterns have run out of new sentences; add slot values, or lower --scale"
        )

    def _flat_now_and_then(self, rng: random.Random) -> bool:
        return rng.random() < FLAT_SHARE


def _never(rng: random.Random) -> bool:
    return False


def _always(rng: random.Random) -> bool:
    return True
