"""Text without speech, of any size: sentences streamed from files into the set `text_only`, none of them kept in memory.

Made for LibriSpeech's LM corpus (OpenSLR 11: 40 million normalized sentences, gzipped), and right for any file of one sentence a line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from stxlib.data.dropped import LIST
from stxlib.data.tables import sort_ids
from stxlib.data.text_rows import read_lines
from stxlib.errors import ConfigError, DataError

EMPTY = "empty line"
TOO_LONG = "too long"
OTHER_CHARACTERS = "characters that are neither letters a-z nor apostrophes"

_SHOWN = 5  # so many ids of a reason are printed, as for other sets
_ID = re.compile(
    r"\d+-\d+-\d+\s+"
)  # of an utterance, before its transcript: some LM texts are mixed with such
_SENTENCE = re.compile(r"[a-z' ]*")


@dataclass(frozen=True)
class SentenceFilter:
    """Which sentences are taken."""

    max_characters: int = 999
    """longer ones are left out (999 as others have it for this corpus: those of 1,000 and more are no sentences)"""
    share: float = 1.0
    """share that is drawn; a smaller one is part of a larger one of the same seed"""
    seed: int = 1

    def __post_init__(self) -> None:
        if self.max_characters < 1 or not 0 < self.share <= 1:
            raise ConfigError(
                f"max_characters {self.max_characters}, share {self.share}: need max_characters >= 1 and "
                "0 < share <= 1; correct the option"
            )


@dataclass
class Streamed:
    """What became of the lines. `num_lines` is the sum of `num_sentences`, `num_not_drawn` and those of `left_out`."""

    num_lines: int = 0
    num_sentences: int = 0
    num_not_drawn: int = 0
    num_ids: int = 0
    """sentences that had an utterance id before them"""
    num_words: int = 0
    vocabulary: set[str] = field(default_factory=set)
    left_out: dict[str, int] = field(default_factory=dict)
    """by reason"""
    first: dict[str, list[str]] = field(default_factory=dict)
    """the first ids of each reason"""

    def lines(self, name: str) -> list[str]:
        """What stage 1 prints of the set `name`."""
        lines = [
            f"{name}: {count} left out: {reason} ({' '.join(self.first[reason])}{' ...' if count > _SHOWN else ''})"
            for reason, count in self.left_out.items()
        ]
        if self.num_ids:
            lines.append(f"{name}: utterance ids removed before {self.num_ids} sentences")
        drawn = f", {self.num_not_drawn} more were not drawn" if self.num_not_drawn else ""
        lines.append(
            f"{name}: no audio, {self.num_sentences} sentences{drawn}, {self.num_words} words, {len(self.vocabulary)} word types"
        )
        return lines


def write_sentences(
    folder: Path,
    paths: Sequence[Path],
    chosen: SentenceFilter,
    *,
    transcripts: Mapping[str, str] | None = None,
    left_out: Mapping[str, str] | None = None,
) -> Streamed:
    """Write `text` of a set, and the list of what was left out, from transcripts and then from files, line by line.

    paths: plain or gzipped UTF-8, one sentence a line. The sentence on line 17 of them all is `lm-000000017`, in lower case.
    transcripts: by id, in lower case, all taken; ids sort before those of sentences, as those that begin with a digit do.
    left_out: id -> reason, of transcripts that are not among them.
    Raises DataError for a file that cannot be read to its end, and where no sentence is left.
    """
    streamed = Streamed()
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        text = stack.enter_context((folder / "text").open("w", encoding="utf-8", newline="\n"))
        listed = stack.enter_context((folder / LIST).open("w", encoding="utf-8", newline="\n"))
        _write_transcripts(transcripts or {}, left_out or {}, streamed, text, listed)
        for number, line in enumerate((line for path in paths for _, line in read_lines(path)), start=1):
            _write_sentence(f"lm-{number:09d}", line, chosen, streamed, text, listed)
    if not streamed.left_out:
        (folder / LIST).unlink()
    if not streamed.num_sentences:
        raise DataError(f"{' '.join(map(str, paths)) or folder.name}: {_nothing_left(streamed)}")
    return streamed


def _nothing_left(streamed: Streamed) -> str:
    """Why there is no sentence, and what to do."""
    if not streamed.num_lines:
        return "holds no line; give sentences, one a line"
    seen = [f"{count}: {reason}" for reason, count in streamed.left_out.items()]
    mend = "give others: lines of letters and apostrophes, or transcripts that are not learnt from as speech"
    if streamed.num_not_drawn:
        seen.append(f"{streamed.num_not_drawn}: not drawn")
        mend = "draw a larger share"
    elif TOO_LONG in streamed.left_out:
        mend = "give one sentence a line, or allow more characters"
    return f"no sentence of {streamed.num_lines} is left ({', '.join(seen)}); {mend}"


def _write_transcripts(
    transcripts: Mapping[str, str],
    left_out: Mapping[str, str],
    streamed: Streamed,
    text: TextIO,
    listed: TextIO,
) -> None:
    ids = sort_ids(transcripts)
    assert not ids or ids[-1] < "lm-", ids[-1]
    for utt in ids:
        streamed.num_lines += 1
        _take(utt, transcripts[utt], streamed, text)
    for utt in sort_ids(left_out):
        streamed.num_lines += 1
        _leave_out(utt, left_out[utt], streamed, listed)


def _write_sentence(
    utt: str, line: str, chosen: SentenceFilter, streamed: Streamed, text: TextIO, listed: TextIO
) -> None:
    streamed.num_lines += 1
    if chosen.share < 1 and _draw(f"{chosen.seed} {utt}") >= chosen.share:
        streamed.num_not_drawn += 1
        return
    sentence = " ".join(line.lower().split())
    if sentence[:1].isdigit() and (found := _ID.match(sentence)):
        sentence = sentence[found.end() :]
        streamed.num_ids += 1
    if not sentence:
        _leave_out(utt, EMPTY, streamed, listed)
    elif len(sentence) > chosen.max_characters:
        _leave_out(utt, TOO_LONG, streamed, listed)
    elif not _SENTENCE.fullmatch(sentence):
        _leave_out(utt, OTHER_CHARACTERS, streamed, listed)
    else:
        _take(utt, sentence, streamed, text)


def _take(utt: str, sentence: str, streamed: Streamed, text: TextIO) -> None:
    text.write(f"{utt} {sentence}\n")
    words = sentence.split()
    streamed.num_sentences += 1
    streamed.num_words += len(words)
    streamed.vocabulary.update(words)


def _leave_out(utt: str, reason: str, streamed: Streamed, listed: TextIO) -> None:
    listed.write(f"{utt} {reason}\n")
    streamed.left_out[reason] = streamed.left_out.get(reason, 0) + 1
    first = streamed.first.setdefault(reason, [])
    if len(first) < _SHOWN:
        first.append(utt)


def _draw(key: str) -> float:
    """A number in [0, 1), the same for a key on every machine."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=6).digest()) / 2**48
