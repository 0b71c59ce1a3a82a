"""Small parts of a training set: 10 minutes, 1, 2, 3 hours, drawn by a seed.

All parts of one seed are beginnings of one order, so that the smaller is in the larger. The order comes from SHA-256 of seed and id:
it is the same on every machine and with every version of Python, and an utterance that the set lacks moves no other.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Literal

from stxlib.data.data_dir import DataDir
from stxlib.errors import DataError

Balance = Literal["shares", "equal"]
"""shares: classes in a part have the shares that they have in the set; equal: as many utterances of each, while there are any"""

_AMOUNT = re.compile(r"(\d+)(min|h)")
_TICKS = 10_000  # per second: `utt2dur` has four decimals, and whole numbers add up the same everywhere


def order_utterances(
    utts: Iterable[str], seed: int, classes: Mapping[str, str] | None = None, balance: Balance = "shares"
) -> list[str]:
    """All utterances in the order of the draw.

    classes: utterance -> class. In every beginning of the order a class then has its share to within one utterance (shares), or as
    many as any other that is not used up, to within one (equal).
    """
    digests = {utt: hashlib.sha256(f"{seed} {utt}".encode()).digest() for utt in utts}
    if classes is None:
        return sorted(digests, key=lambda utt: digests[utt])
    members: dict[str, list[str]] = {}
    for utt in sorted(digests, key=lambda utt: digests[utt]):
        members.setdefault(classes[utt], []).append(utt)
    turns = {
        utt: Fraction(2 * number + 1, 2 * len(of_class)) if balance == "shares" else Fraction(number)
        for of_class in members.values()
        for number, utt in enumerate(of_class)
    }
    return sorted(digests, key=lambda utt: (turns[utt], digests[utt]))


def draw_few(
    data: DataDir, amounts: Iterable[str], *, seed: int = 1, by: str = "", balance: Balance = "shares"
) -> dict[str, list[str]]:
    """The utterances of each amount (`10min`, `1h`), sorted by id; the sum of their seconds is at most that.

    by: the stream of classes to balance (sentiment, intent); none, if empty.
    Raises DataError for a set of text alone, where there is less than an amount, and where not even one utterance is that short.
    """
    if not data.has_audio:
        raise DataError(
            f"{data.path}: is text alone, and amounts are of speech; draw from a set with audio, or so many lines by utils/subset_data_dir.py"
        )
    order = order_utterances(data.utts, seed, data.table(by) if by else None, balance)
    ticks = [round(data.seconds[utt] * _TICKS) for utt in order]
    parts = {}
    for amount in amounts:
        limit = seconds_of(amount) * _TICKS
        if sum(ticks) < limit:
            raise DataError(
                f"{data.path}: has {sum(ticks) / _TICKS / 3600:.3f} h to draw {amount} from; ask for less"
            )
        count = total = 0
        # Up to the first that does not fit: skipping it would put others into a smaller part than into a larger one.
        while count < len(order) and total + ticks[count] <= limit:
            total += ticks[count]
            count += 1
        if not count:
            raise DataError(
                f"{data.path}: the first utterance of the draw is longer than {amount}; ask for more"
            )
        parts[amount] = sorted(order[:count], key=str.encode)
    return parts


def seconds_of(amount: str) -> int:
    """`10min`, `3h` in seconds. Raises DataError for another form."""
    match = _AMOUNT.fullmatch(amount)
    if match is None or not int(match[1]):
        raise DataError(f"{amount!r} is no amount of speech; write 10min or 3h")
    return int(match[1]) * (60 if match[2] == "min" else 3600)


def class_counts(utts: Iterable[str], classes: Mapping[str, str]) -> str:
    """How many utterances each class has, as `Negative 3, Neutral 55`."""
    counts = Counter(classes[utt] for utt in utts)
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
