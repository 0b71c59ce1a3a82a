"""Whose phones are these: phones of running speech, brought to the words that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

# Prices are counted in halves, so that they are whole numbers and ties are exact.
_GAP, _OTHER, _VARIANT = 2, 2, 1
_FIRST_BAND = 32
_FAR = 1 << 30

Costs = Callable[[int, int], int]
"""(i, j) -> price of turning the first i phones into the first j expected ones"""


def assign_to_words(phones: Sequence[str], pronunciations: Sequence[Sequence[str]]) -> list[list[str]]:
    """Cut `phones` into one run a word, so that the runs are as near as can be to the words' own pronunciations.

    Nearness is edit distance (Wagner and Fischer 1974) to the pronunciations joined; a phone that has no counterpart goes
    to the word before it. Words with an empty pronunciation get no phones, unless there is no other word.
    """
    expected = [phone for pronunciation in pronunciations for phone in pronunciation]
    word_of = [word for word, pronunciation in enumerate(pronunciations) for _ in pronunciation]
    runs: list[list[str]] = [[] for _ in pronunciations]
    if not runs:
        return runs
    if not expected:
        runs[0].extend(phones)
        return runs
    is_short = len(phones) * len(expected) <= _FIRST_BAND**2  # arrays do not pay there
    costs = full_costs(phones, expected) if is_short else banded_costs(phones, expected)
    words: list[int] = []
    i, j = len(phones), len(expected)
    while i > 0:
        if j > 0 and costs(i, j) == costs(i - 1, j - 1) + _price(phones[i - 1], expected[j - 1]):
            i, j = i - 1, j - 1
            words.append(word_of[j])
        elif costs(i, j) == costs(i - 1, j) + _GAP:
            i -= 1
            words.append(word_of[max(j - 1, 0)])
        else:
            j -= 1
    for phone, word in zip(phones, reversed(words), strict=True):
        runs[word].append(phone)
    return runs


def full_costs(phones: Sequence[str], expected: Sequence[str]) -> Costs:
    """All prices, as the definition says: time and memory grow with the product of the lengths."""
    costs = [[_GAP * j for j in range(len(expected) + 1)]]
    for i, phone in enumerate(phones, start=1):
        above, row = costs[-1], [_GAP * i]
        for j, other in enumerate(expected, start=1):
            row.append(min(above[j - 1] + _price(phone, other), above[j] + _GAP, row[j - 1] + _GAP))
        costs.append(row)
    return lambda i, j: costs[i][j]


def banded_costs(phones: Sequence[str], expected: Sequence[str]) -> Costs:
    """The same prices wherever a cheapest way leads along, and no lower ones elsewhere; only a band around the diagonal is computed.

    A way that leaves a band of half-width k has more than k gaps. So where the end is reached inside it for at most the
    price of k gaps, every cheapest way is inside (Ukkonen 1985); else the band is made twice as wide.
    """
    symbols: dict[str, int] = {}
    ids, other_ids = (_numbers(names, symbols) for names in (phones, expected))
    sounds: dict[str, int] = {}
    firsts, other_firsts = (_numbers([name[:1] for name in names], sounds) for names in (phones, expected))
    num_phones, num_expected = len(phones), len(expected)
    half = abs(num_phones - num_expected) + _FIRST_BAND
    while True:
        width = 2 * half + 1
        steps = _GAP * np.arange(width)
        # band[i, b] is the price of (i, j) with j = i + b - half.
        band = np.full((num_phones + 1, width), _FAR, dtype=np.int64)
        stop = min(width, half + num_expected + 1)
        band[0, half:stop] = _GAP * np.arange(stop - half)
        for i in range(1, num_phones + 1):
            first = max(0, half - i)  # j >= 0
            stop = min(width, num_expected - i + half + 1)  # j <= num_expected
            if first >= stop:
                continue
            row = np.full(width, _FAR, dtype=np.int64)
            row[:-1] = band[i - 1, 1:] + _GAP
            inner = max(first, half - i + 1)  # j >= 1 has a counterpart
            js = slice(i + inner - half - 1, i + stop - half - 1)
            prices = np.where(other_firsts[js] == firsts[i - 1], _VARIANT, _OTHER)
            prices[other_ids[js] == ids[i - 1]] = 0
            row[inner:stop] = np.minimum(row[inner:stop], band[i - 1, inner:stop] + prices)
            # row[b] = min over c <= b of row[c] + (b - c) gaps
            row[first:stop] = np.minimum.accumulate(row[first:stop] - steps[first:stop]) + steps[first:stop]
            band[i, first:stop] = row[first:stop]
        if band[num_phones, num_expected - num_phones + half] <= _GAP * half:
            break
        half *= 2

    def cost(i: int, j: int) -> int:
        b = j - i + half
        return int(band[i, b]) if 0 <= b < width else _FAR

    return cost


def _numbers(names: Sequence[str], table: dict[str, int]) -> np.ndarray:
    return np.array([table.setdefault(name, len(table)) for name in names], dtype=np.int64)


def _price(phone: str, other: str) -> int:
    # Half the price between variants of one sound ("ə", "əʊ"), so that a reduced vowel stays in its word.
    return 0 if phone == other else _VARIANT if phone[:1] == other[:1] else _OTHER
