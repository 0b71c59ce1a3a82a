"""The speakers of each set: an eSpeak voice variant with an accent, a pitch and a rate of its own.

No variant speaks in two of train, dev and test; `test` and `test_rare` share variants, so that their difference is the words, and
share no speaker. Some accents of test are not in train. Variants that are robots, whispers or hard to understand are left out.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

# One family a word: variants made from one another stay together.
_FAMILY_NAMES = """
Alex Alicia Andrea Andy+AnxiousAndy Annie Denis Diogo Gene+Gene2 Henrique Hugo Jacky Lee Mario Michael
Mike+mike2 Reed RicishayMax+RicishayMax2+RicishayMax3 Storm adam anika antonio aunty belinda boris caleb
david ed edward+edward2 f1 f2 f3 f4 f5 grandma grandpa gustave ian iven+iven2+iven3+iven4 john kaukovalta
klatt4+klatt5+klatt6 linda m1 m2 m3 m4 m5 m6 m7 m8 marcelo max michel miguel norbert pablo paul pedro quincy
rob robert sandro shelby steph+steph2+steph3 travis victor zac
"""
FAMILIES = _FAMILY_NAMES.split()
FAMILY_SHARES = {"train": 0.65, "dev": 0.13, "test": 0.22}
# Accents in the order in which speakers get them, over and over.
ACCENTS = {
    "train": [
        "en-us",
        "en-us",
        "en-gb-x-rp",
        "en-us",
        "en-gb-x-gbclan",
        "en-us",
        "en-gb-x-rp",
        "en-gb-x-gbcwmd",
    ],
    "dev": [
        "en-us",
        "en-us",
        "en-gb-x-rp",
        "en-029",
        "en-us",
        "en-gb-x-gbclan",
        "en-gb-x-rp",
        "en-gb-x-gbcwmd",
    ],
    "test": [
        "en-us",
        "en-us",
        "en-gb-x-rp",
        "en-029",
        "en-us",
        "en-gb-x-gbclan",
        "en-gb-x-rp",
        "en-gb-scotland",
    ],
}


@dataclass(frozen=True)
class Speaker:
    """Pitch, its range and rate are eSpeak's: 0-100, 0-100, words a minute."""

    id: str
    accent: str
    variant: str
    pitch: int
    pitch_range: int
    rate: int

    @property
    def voice(self) -> str:
        return f"{self.accent}+{self.variant}"


def make_speakers(seed: int, counts: dict[str, int]) -> dict[str, list[Speaker]]:
    """Return `counts[name]` speakers for each of train, dev, test and test_rare."""
    rng = random.Random(f"{seed} speakers")
    families = FAMILIES.copy()
    rng.shuffle(families)
    variants: dict[str, list[str]] = {}
    start = 0
    for name, share in FAMILY_SHARES.items():
        stop = start + round(share * len(families)) if name != "test" else len(families)
        variants[name] = [variant for family in families[start:stop] for variant in family.split("+")]
        start = stop
    made: set[tuple[object, ...]] = set()
    speakers: dict[str, list[Speaker]] = {}
    for name, count in counts.items():
        group = "test" if name == "test_rare" else name
        speakers[name] = []
        for number in range(count):
            while True:
                accent = ACCENTS[group][number % len(ACCENTS[group])]
                variant = variants[group][(number + number // len(variants[group])) % len(variants[group])]
                voice = (accent, variant, rng.randint(28, 72), rng.randint(35, 65), rng.randint(155, 200))
                if voice not in made:
                    break
            made.add(voice)
            speakers[name].append(Speaker(f"{name}-s{number:03d}", *voice))
    return speakers
