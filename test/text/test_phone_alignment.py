"""Phones go to the words that they are nearest to; the band finds what the definition says."""

from __future__ import annotations

import random
import time

import pytest

from stxlib.text import phone_alignment
from stxlib.text.phone_alignment import assign_to_words, banded_costs, full_costs

SOUNDS = ("a", "aː", "aɪ", "b", "d", "ə", "əl", "k", "s", "t")


def draw(seed: int) -> tuple[list[str], list[list[str]]]:
    """Words, and what is said of them: phones are exchanged, dropped, doubled; some words are empty."""
    random_ = random.Random(seed)
    words = [
        random_.choices(SOUNDS, k=random_.choice((0, 1, 2, 3, 5))) for _ in range(random_.randint(1, 25))
    ]
    change = random_.choice((0.0, 0.1, 0.5, 1.0))
    said = []
    for phone in (phone for word in words for phone in word):
        kind = random_.random() / change if change else 1.0
        said += [phone] if kind > 1 else random_.choices(SOUNDS, k=random_.choice((0, 1, 2)))
    return said, words


@pytest.mark.parametrize("first_band", [1, 3, 32])
def test_the_band_gives_what_the_definition_gives(first_band: int, monkeypatch: pytest.MonkeyPatch) -> None:
    num_compared = 0
    for seed in range(150):
        said, words = draw(seed)
        with monkeypatch.context() as patch:
            patch.setattr(phone_alignment, "banded_costs", full_costs)
            wanted = assign_to_words(said, words)
        with monkeypatch.context() as patch:
            patch.setattr(phone_alignment, "full_costs", banded_costs)
            patch.setattr(phone_alignment, "_FIRST_BAND", first_band)
            assert assign_to_words(said, words) == wanted, seed
        num_compared += bool(said and any(words))
    assert num_compared > 100


def test_prices_of_ends_are_equal() -> None:
    for said, expected in (
        ("abc", "abc"),
        ("abc" * 30, "abc" * 10),
        ("a", "b" * 90),
        ("", "ab"),
        ("ab" * 40, "a"),
    ):
        cost = banded_costs(list(said), list(expected))
        assert cost(len(said), len(expected)) == full_costs(list(said), list(expected))(
            len(said), len(expected)
        )


def test_a_long_line_takes_no_time() -> None:
    said, words = draw(3)
    words = [list("abdkst"), *words] * 100
    said = [phone for word in words for phone in word if phone != "ə"]
    began = time.perf_counter()
    runs = assign_to_words(said, words)
    assert time.perf_counter() - began < 5 and len(said) > 2000  # the definition takes ten times as long
    assert [phone for run in runs for phone in run] == said
