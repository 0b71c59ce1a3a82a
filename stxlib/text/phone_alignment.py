"""Whose phones are these: phones of running speech, brought to the words that they belong to."""

from __future__ import annotations

from collections.abc import Sequence


def assign_to_words(phones: Sequence[str], pronunciations: Sequence[Sequence[str]]) -> list[list[str]]:
    """Cut `phones` into one run a word, so that the runs are as near as can be to the words' own pronunciations.

    Nearness is edit distance (Wagner and Fischer 1974) to the pronunciations joined; a phone that has no counterpart goes
    to the word before it. Words with an empty pronunciation get no phones, unless there is no other word.
    """
    expected = [(phone, word) for word, pronunciation in enumerate(pronunciations) for phone in pronunciation]
    runs: list[list[str]] = [[] for _ in pronunciations]
    if not runs:
        return runs
    if not expected:
        runs[0].extend(phones)
        return runs
    # costs[i][j]: phones[:i] against expected[:j]
    costs = [[float(j) for j in range(len(expected) + 1)]]
    for i, phone in enumerate(phones, start=1):
        above, row = costs[-1], [float(i)]
        for j, (other, _) in enumerate(expected, start=1):
            row.append(min(above[j - 1] + _distance(phone, other), above[j] + 1, row[j - 1] + 1))
        costs.append(row)
    words: list[int] = []
    i, j = len(phones), len(expected)
    while i > 0:
        if j > 0 and costs[i][j] == costs[i - 1][j - 1] + _distance(phones[i - 1], expected[j - 1][0]):
            i, j = i - 1, j - 1
            words.append(expected[j][1])
        elif costs[i][j] == costs[i - 1][j] + 1:
            i -= 1
            words.append(expected[max(j - 1, 0)][1])
        else:
            j -= 1
    for phone, word in zip(phones, reversed(words), strict=True):
        runs[word].append(phone)
    return runs


def _distance(phone: str, other: str) -> float:
    # Half the price between variants of one sound ("ə", "əʊ"), so that a reduced vowel stays in its word.
    return 0.0 if phone == other else 0.5 if phone[:1] == other[:1] else 1.0
