"""Derive the data directories of a recipe run from a corpus folder, which is only read.

    local/prepare.py --corpus ~/corpora/mine --sets train dev test --text sentences.txt.gz --out data

Tables are copied, sorted, their audio paths made absolute; lengths and speakers are added where the corpus has none. `data` appears
whole or not at all.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stxlib.config import parse_config
from stxlib.data.data_dir import DataDir, list_streams
from stxlib.data.derive import derive
from stxlib.data.made_folder import check_replaceable, made_folder
from stxlib.data.repair import fix_data_dir
from stxlib.data.tables import write_table
from stxlib.data.validate import check_data_dir
from stxlib.errors import ConfigError, DataError, run

SHOWN = 10  # so many problems of a set are printed
TEXT_STREAMS = ("text", "intent", "semantics", "entities", "sentiment")


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    corpus: Path
    "folder that holds a data directory for each set; it is never written to"
    out: Path
    "folder of the derived data directories; replaced if it is there"
    sets: tuple[str, ...] = ("train", "dev", "test")
    "names of the data directories of the corpus"
    text: Path | None = None
    "text without speech: a data directory, a .txt or .gz of one sentence a line, or a .jsonl with labels"
    paired: Path | None = None
    "data directory of transcribed speech, for a train set without transcripts"
    fix: bool = False
    "leave out utterances that are broken, and list them, in place of stopping"
    allow_pipes: bool = False
    "run the commands of `wav.scp` lines that end in |"


def main(argv: Sequence[str] | None = None) -> None:
    """Raises ConfigError and DataError, and leaves nothing behind then."""
    description = (__doc__ or "").splitlines()[0]
    config = parse_config(PrepareConfig, argv, prog="local/prepare.py", description=description).config
    check_paths(config)
    with made_folder(config.out) as draft:
        for name in config.sets:
            derive_set(config.corpus / name, draft / name, config)
        if config.paired is not None:
            derive_set(config.paired, draft / "paired", config)
        if config.text is not None:
            write_text(config.text, draft / "text_only")
        summaries = [DataDir(folder).summary() for folder in sorted(draft.iterdir())]
    for summary in summaries:
        print(str(summary).replace(str(draft), str(config.out)))


def check_paths(config: PrepareConfig) -> None:
    """Raises ConfigError for a missing set, for speech without transcripts, and where the corpus would be written to or something else be replaced."""
    if not config.corpus.is_dir():
        raise ConfigError(
            f"--corpus {config.corpus}: there is no such folder; give the one that holds train, dev and test"
        )
    present = sorted(
        path.name
        for path in config.corpus.iterdir()
        if (path / "wav.scp").exists() or (path / "text").exists()
    )
    missing = [name for name in config.sets if name not in present]
    if missing:
        seen = f"--corpus {config.corpus}: has no data directory {missing[0]} (it has: {' '.join(present) or 'none'})"
        raise ConfigError(f"{seen}; add it, or name the sets by --sets")
    out = config.out.resolve()
    for source in (config.corpus, config.paired, config.text):
        if source is not None and (
            out == source.resolve() or out in source.resolve().parents or source.resolve() in out.parents
        ):
            raise ConfigError(
                f"--out {config.out}: overlaps with {source}, which is never written to; give another folder"
            )
    if config.paired is None and "train" in config.sets and not (config.corpus / "train" / "text").exists():
        raise ConfigError(
            f"{config.corpus / 'train'}: has no `text`, and nothing can be learnt from speech without it; add transcripts, "
            "or give transcribed speech by --paired DIR"
        )
    check_replaceable(config.out)


def derive_set(source: Path, folder: Path, config: PrepareConfig) -> None:
    """One set: derived, then checked. Raises DataError with the first problems, unless they are to be left out."""
    if not source.is_dir():
        raise ConfigError(f"{source}: there is no such data directory; correct the path")
    derive(source, folder, allow_pipes=config.allow_pipes)
    if config.fix:
        done, checked = fix_data_dir(folder, audio="headers", allow_pipes=config.allow_pipes)
        shutil.rmtree(
            folder / ".backup", ignore_errors=True
        )  # what it backs up is the corpus, which is untouched
        print("\n".join(f"{source}: {line}" for line in done))
    else:
        checked = check_data_dir(folder, audio="headers", allow_pipes=config.allow_pipes)
    if checked.problems:
        lines = [str(problem).replace(str(folder), str(source)) for problem in checked.problems[:SHOWN]]
        more = len(checked.problems) - len(lines)
        if more:
            lines.append(f"and {more} more")
        lines.append("correct the corpus, or leave such utterances out by --fix true")
        raise DataError("\n  ".join(lines))


def write_text(source: Path, folder: Path) -> None:
    """Write the text-only set `folder` out of a data directory, lines of text, or JSON lines."""
    if source.is_dir():
        data = DataDir(source)
        for name in TEXT_STREAMS:
            if name in list_streams(source):
                write_table(folder / name, data.table(name))
        if not (folder / "text").exists():
            raise DataError(
                f"{source}: has no `text`; give a data directory with transcripts, or a file of sentences"
            )
        return
    if not source.is_file():
        raise ConfigError(f"--text {source}: there is no such file or data directory; correct the path")
    if ".jsonl" in source.suffixes:
        tables = label_tables(source)
    else:
        tables = {"text": {f"text-{number:08d}": line for number, line in lines_of(source)}}
    if not tables.get("text"):
        raise DataError(f"{source}: holds no sentence; give one a line")
    for name, table in tables.items():
        write_table(folder / name, table)


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers and lines that are not empty, of a plain or gzipped UTF-8 file."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                text = " ".join(line.decode("utf-8-sig" if number == 1 else "utf-8").split())
                if text:
                    yield number, text
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}; give UTF-8 text, plain or gzipped") from None


def label_tables(path: Path) -> dict[str, dict[str, str]]:
    """Tables of a file of JSON objects: `text` (or `sentence`), and `intent` (or `scenario` and `action`), `slots`, `entities`,
    `sentiment` where all of them have it. Raises DataError with file and line.
    """
    tables: dict[str, dict[str, str]] = {name: {} for name in TEXT_STREAMS}
    for number, line in lines_of(path):
        utt = f"text-{number:08d}"
        try:
            row = json.loads(line)
            text = row.get("text", row.get("sentence"))
        except (json.JSONDecodeError, AttributeError):
            raise DataError(f"{path}:{number}: is no JSON object; give one a line") from None
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"{path}:{number}: has no `text` (nor `sentence`); add it")
        tables["text"][utt] = " ".join(text.split())
        for name, value in labels_of(row).items():
            tables[name][utt] = value
    for name in TEXT_STREAMS[1:]:
        if 0 < len(tables[name]) < len(tables["text"]):
            utt = next(utt for utt in tables["text"] if utt not in tables[name])
            seen = f"has no {name}, while {len(tables[name])} other lines have"
            raise DataError(f"{path}:{int(utt[5:])}: {seen}; label all lines or none")
    return {name: table for name, table in tables.items() if table}


def labels_of(row: dict[str, Any]) -> dict[str, str]:
    """The values of one JSON object in our tables. `scenario` and `action` go before `intent`, which SLURP has wrong in places."""
    labels: dict[str, str] = {}
    intent = (
        f"{row['scenario']}_{row['action']}" if "scenario" in row and "action" in row else row.get("intent")
    )
    if intent:
        labels["intent"] = str(intent)
        slots = row.get("slots", row.get("entities"))
        if slots is not None:
            if isinstance(slots, dict):
                slots = [{"type": kind, "filler": filler} for kind, filler in slots.items()]
            labels["semantics"] = json.dumps({"intent": str(intent), "slots": slots}, ensure_ascii=False)
    if "entities" in row:
        labels["entities"] = json.dumps(row["entities"], ensure_ascii=False)
    if row.get("sentiment"):
        labels["sentiment"] = str(row["sentiment"])
    return labels


if __name__ == "__main__":
    sys.exit(run(main))
