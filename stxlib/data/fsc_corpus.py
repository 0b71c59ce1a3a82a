"""Fluent Speech Commands as released: a CSV for each set, whose paths lead to one file for each utterance.

    fluent_speech_commands_dataset/data/{train,valid,test}_data.csv
    fluent_speech_commands_dataset/wavs/speakers/<speaker>/<uuid>.wav

The columns are an unnamed index, `path speakerId transcription action object location`; a transcription with a comma is quoted.
"""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath

from stxlib.data.corpus_set import CorpusSet
from stxlib.data.text_rows import read_lines
from stxlib.errors import DataError
from stxlib.text.normalize import NormalizationConfig, normalize

COLUMNS = ("path", "speakerId", "transcription", "action", "object", "location")
FILES = {"train": "train_data.csv", "dev": "valid_data.csv", "test": "test_data.csv"}
"set -> its file in `data/`"
RELEASED = {"train": 23_132, "dev": 3_118, "test": 3_793}
"utterances, as they are quoted from Lugosch et al. 2019 (arXiv 1904.03670); 30,043 in all"
NUM_INTENTS = 31
"distinct triples of action, object and location, as quoted from the same paper"

_WORDS = NormalizationConfig(case="lower", punctuation="remove")


def read_fsc(root: Path, name: str) -> CorpusSet:
    """A set (train, dev, test): audio, `text`, `intent`, `utt2spk`.

    The id is the name of the file, a UUID; the intent is action, object and location, set apart by `_` (`none` is a value as others are);
    the text is in lower case, without punctuation but apostrophes. A recording that is listed twice, and a row without words, are dropped.
    Raises DataError naming file and line.
    """
    path = root / "data" / FILES[name]
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; unpack the corpus again")
    rows = CorpusSet()
    lines = list(read_lines(path))
    # The csv module joins the lines of a quoted cell, so that its own count of lines is what a message needs.
    reader = csv.reader((f"{line}\n" for _, line in lines), strict=True)
    try:
        header = next(reader, [])
        if missing := [column for column in COLUMNS if column not in header]:
            seen = f"{path}:1: has no column {' '.join(missing)} (it has {' '.join(header) or 'none'})"
            raise DataError(f"{seen}; give the file as released")
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            if not cells:
                continue
            if len(cells) != len(header):
                raise DataError(
                    f"{where}: {len(cells)} cells, not the {len(header)} of the header; give the file as released"
                )
            _add(rows, root, dict(zip(header, cells, strict=True)), where)
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: {error}; close the quotes of a cell") from None
    return rows


def _add(rows: CorpusSet, root: Path, row: dict[str, str], where: str) -> None:
    rows.num_rows += 1
    path = PurePosixPath(row["path"])
    utt = "_".join(path.stem.split())
    if empty := [column for column in COLUMNS if column != "transcription" and not row[column].strip()]:
        raise DataError(f"{where}: has no {' '.join(empty)}; fill the cell, `none` where there is none")
    if utt in rows.places:
        rows.dropped.add(utt, "its recording is listed already", where)
        return
    text = normalize(row["transcription"], _WORDS)
    if not text:
        rows.dropped.add(utt, "no words", where)
        return
    intent = "_".join(" ".join(row[column].split()) for column in ("action", "object", "location"))
    speaker = "_".join(row["speakerId"].split())
    rows.add(utt, where, {"text": text, "intent": intent, "utt2spk": speaker}, root / path)
