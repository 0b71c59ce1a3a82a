"""STOP (Spoken Task Oriented Parsing) as released: a manifest for each set, and a file for each recording.

    stop/manifests/{train,eval,test}.tsv
    stop/<split>_<n>/<domain>_<split>_<n>/<8 digits>.wav

The manifests are tab-separated, without quoting: `file_id domain gender native utterance seqlogical normalized_utterance
normalized_seqlogical decoupled_normalized_seqlogical`. Two quirks of the release: the `_<n>` at the end of a domain's folder may be missing
on disk while `file_id` has it, and some rows have no parse or another number of columns. Of a sentence of eval and test there are two
recordings, by different speakers; speakers have no names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from stxlib.data.corpus_set import CorpusSet
from stxlib.data.text_rows import read_lines, squeeze
from stxlib.errors import DataError
from stxlib.text.parse_tree import Tree, read_tree, write_tree

PARSE = "decoupled_normalized_seqlogical"
COLUMNS = ("file_id", "domain", "gender", "native", "normalized_utterance", PARSE)
FILES = {"train": "train.tsv", "dev": "eval.tsv", "test": "test.tsv"}
"set -> its file in `manifests/`"
DOMAINS = ("alarm", "event", "messaging", "music", "navigation", "reminder", "timer", "weather")

_NUMBER = re.compile(r"_\d+")
_BRACKETS = re.compile(r"\[(?:IN|SL):[^\s\[\]]+|\]")


def read_stop(root: Path, name: str, domains: Collection[str] = ()) -> CorpusSet:
    """A set (train, dev, test): audio, `text`, `parse`, `intent`, `domain`, `utt2gender`, `utt2native`.

    The text is `normalized_utterance`, and the parse `decoupled_normalized_seqlogical`, both in lower case but for the labels of brackets;
    the intent is the label of the whole tree without `IN:`. Dropped: rows with another number of columns, without words or parse, with a
    parse that is no tree, or with a `file_id` that was there before. domains: those to read; all where there are none.
    Raises DataError naming file and line.
    """
    path = root / "manifests" / FILES[name]
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; unpack the corpus again")
    rows = CorpusSet()
    found: set[str] = set()
    header: list[str] = []
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        cells = line.split("\t")
        if not header:
            header = [cell.strip() for cell in cells]
            if missing := [column for column in COLUMNS if column not in header]:
                seen = (
                    f"{where}: has no column {' '.join(missing)} (it has {' '.join(header)[:80] or 'none'})"
                )
                raise DataError(f"{seen}; give the manifest as released")
        elif not line.strip():
            continue
        elif len(cells) != len(header):
            rows.num_rows += 1
            reason = f"another number of columns than the {len(header)} of the header"
            rows.dropped.add(recording_id(cells[0]), reason, where)
        else:
            row = dict(zip(header, (squeeze(cell) for cell in cells), strict=True))
            found.add(row["domain"])
            if not domains or row["domain"] in domains:
                rows.num_rows += 1
                _add(rows, root, row, where)
    if domains and not found & {*domains}:
        seen = f"{path}: has no row of the domain {' or '.join(domains)} (it has {' '.join(sorted(found)) or 'none'})"
        raise DataError(f"{seen}; name others by --domains")
    return rows


def recording_id(file_id: str) -> str:
    """`test_0/alarm_test_0/00003470.wav` -> `alarm_test_0_00003470`: domain, folder of the split, number of the file."""
    parts = PurePosixPath(file_id).with_suffix("").parts if file_id else ()
    if len(parts) != 3:
        return "_".join(parts)
    split, folder, number = parts
    domain = _NUMBER.sub("", folder).removesuffix("_" + _NUMBER.sub("", split))
    return f"{domain}_{split}_{number}"


def find_recording(root: Path, file_id: str) -> Path:
    """The file as `file_id` has it; where there is none, without the number at the end of its folder, if that is there."""
    path = root / file_id
    folder = path.parent.with_name(re.sub(r"_\d+$", "", path.parent.name))
    other = folder / path.name
    return other if not path.exists() and other.exists() else path


def lower_parse(parse: str) -> str:
    """A parse with single blanks and its words in lower case. ValueError where it is no tree.

    Brackets that stand against a word or another bracket are set apart.
    """
    try:
        tree = read_tree(parse)
    except ValueError:
        tree = read_tree(_BRACKETS.sub(lambda match: f" {match[0]} ", parse))
    return write_tree(_lower(tree))


def _lower(tree: Tree) -> Tree:
    return Tree(
        tree.label,
        tuple(child.lower() if isinstance(child, str) else _lower(child) for child in tree.children),
    )


def _add(rows: CorpusSet, root: Path, row: Mapping[str, str], where: str) -> None:
    utt = "_".join(recording_id(row["file_id"]).split())
    if not utt:
        raise DataError(f"{where}: has no file_id; give the manifest as released")
    values = {"text": row["normalized_utterance"].lower(), "domain": row["domain"] or "unknown"}
    values |= {f"utt2{column}": row[column] or "unknown" for column in ("gender", "native")}
    reason = ""
    try:
        values["parse"] = lower_parse(row[PARSE])
        values["intent"] = read_tree(values["parse"]).label.removeprefix("IN:")
    except ValueError:
        reason = "a parse that is no tree" if row[PARSE] else "no parse"
    if not values["text"]:
        reason = "no words"
    if utt in rows.places:
        reason = "its recording is listed already"
    if reason:
        rows.dropped.add(utt, reason, where)
        return
    # Speakers have no names: each recording counts as one of its own.
    rows.add(utt, where, values | {"utt2spk": utt}, find_recording(root, row["file_id"]))
