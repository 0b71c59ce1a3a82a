"""What a preparation leaves out of a set: counted by reason on the screen, and listed beside the tables in `left_out.txt`.

The name of the list has a dot, so that it is no stream of the data directory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from stxlib.data.tables import read_table, write_table

LIST = "left_out.txt"
"of a set: a sorted table, `<id> <reason>`; absent where nothing was left out"

_SHOWN = 5  # so many ids of a reason are printed


@dataclass
class Dropped:
    """The rows that a set of a corpus loses.

        dropped = Dropped()
        dropped.add("id10012-0001", "sentiment <mixed>", where="slue-voxceleb_dev.tsv:12")
        dropped.report(out / "dev")

    A reason is a phrase without a full stop, the same for all rows that it holds for; what is of one row alone goes into `where`.
    """

    ids: dict[str, list[str]] = field(default_factory=dict)
    "by reason, in the order of `add`"
    places: dict[tuple[str, str], str] = field(default_factory=dict)
    "(id, reason) -> where in the corpus, of those that have it"

    def add(self, utt: str, reason: str, where: str = "") -> None:
        """Count a row. Blanks in its id are written as `_`; an id without a character as `(none)`."""
        utt = "_".join(utt.split()) or "(none)"
        reason = " ".join(reason.split())
        self.ids.setdefault(reason, []).append(utt)
        if where:
            self.places[utt, reason] = where

    def __len__(self) -> int:
        return sum(map(len, self.ids.values()))

    def lines(self, name: str) -> list[str]:
        """A sentence for each reason: how many rows of the set `name`, and the first of them."""
        sentences = []
        for reason, utts in self.ids.items():
            more = " ..." if len(utts) > _SHOWN else ""
            sentences.append(f"{name}: {len(utts)} left out: {reason} ({' '.join(utts[:_SHOWN])}{more})")
        return sentences

    def write(self, folder: Path) -> None:
        """Write the list into the folder of the set. An id that is left out twice has both reasons, on one line.

        Raises DataError as `write_table` does.
        """
        values: dict[str, list[str]] = {}
        for reason, utts in self.ids.items():
            for utt in utts:
                place = self.places.get((utt, reason))
                values.setdefault(utt, []).append(f"{reason} ({place})" if place else reason)
        if values:
            write_table(folder / LIST, {utt: "; ".join(reasons) for utt, reasons in values.items()})

    def report(self, folder: Path) -> None:
        """Write the list, and print the sentences under the name of the folder."""
        self.write(folder)
        for line in self.lines(folder.name):
            print(line)


def read_dropped(folder: Path) -> dict[str, str]:
    """id -> reason, of a set that was prepared; empty where nothing was left out."""
    return read_table(folder / LIST) if (folder / LIST).exists() else {}
