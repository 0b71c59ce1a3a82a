"""Derive the data directories of a recipe run from a corpus folder, which is only read.

    local/prepare.py --corpus ~/corpora/mine --sets dev test --text sentences.txt.gz --out data
    local/prepare.py --corpus ~/corpora/slurp --train train_nlueval --dev devel --sets devel test --out data

Writes `train`, `dev`, and a folder for each of --sets under its own name. A set of the corpus is a data directory or labelled text.
Tables are copied, sorted, their audio paths made absolute; lengths and speakers are added where the corpus has none. `data` appears
whole or not at all.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stxlib.config import parse_config
from stxlib.data.data_dir import DataDir, list_streams
from stxlib.data.derive import derive
from stxlib.data.labelled_text import BIO_FILES, check_label, is_labelled_text, read_labelled_text
from stxlib.data.made_folder import check_replaceable, made_folder
from stxlib.data.repair import fix_data_dir
from stxlib.data.tables import line_of, read_table, write_table
from stxlib.data.text_rows import STREAMS, Report, Tables, common_rows, read_lines, stop
from stxlib.data.validate import check_data_dir
from stxlib.errors import ConfigError, DataError, run

SHOWN = 10  # so many problems of a set are printed
KINDS = f"a data directory, .jsonl, .tsv, or a folder of {' '.join(BIO_FILES)}"


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    corpus: Path
    "folder that holds the sets: NAME/ (a data directory), NAME.jsonl, NAME.tsv, or NAME/ with seq.in, seq.out and label; never written to"
    out: Path
    "folder of the derived data directories; replaced if it is there"
    train: str = "train"
    "name of the training set in the corpus; derived as `train`"
    dev: str = "dev"
    "name of the development set in the corpus; derived as `dev`"
    sets: tuple[str, ...] = ("dev", "test")
    "names of the sets to decode and score; `train` and `dev` are those of --train and --dev"
    text: tuple[Path, ...] = ()
    "text without speech: data directories, a .txt or .gz of one sentence a line, or labelled text; derived as `text_only`"
    paired: Path | None = None
    "data directory of transcribed speech, for a train set without transcripts"
    paired_dev: Path | None = None
    "a development set for it, for a dev set without transcripts"
    fix: bool = False
    "leave out utterances that are broken, and list them, in place of stopping"
    allow_pipes: bool = False
    "run the commands of `wav.scp` lines that end in |"


def main(argv: Sequence[str] | None = None) -> None:
    """Raises ConfigError and DataError, and leaves nothing behind then."""
    description = (__doc__ or "").splitlines()[0]
    config = parse_config(PrepareConfig, argv, prog="local/prepare.py", description=description).config
    sources = find_sets(config)
    check_paths(config, sources["train"])
    texts = read_sets([path for path in sources.values() if not is_data_dir(path)], config.fix)
    with made_folder(config.out) as draft:
        for name, source in sources.items():
            if source in texts:
                write_tables(texts[source], draft / name)
            else:
                derive_set(source, draft / name, config)
        for name, paired in (("paired", config.paired), ("paired_dev", config.paired_dev)):
            if paired is not None:
                derive_set(paired, draft / name, config)
        if config.text:
            write_text(config.text, draft / "text_only", config.fix)
        summaries = [DataDir(folder).summary() for folder in sorted(draft.iterdir())]
    for summary in summaries:
        print(str(summary).replace(str(draft), str(config.out)))
    here = {Path(summary.name).name: {*summary.streams} & {*STREAMS} for summary in summaries}
    for stream in sorted({*here["dev"]} - here["train"]):
        print(f"note: train has no {stream}, which dev has: nothing of it will be learnt")


def find_sets(config: PrepareConfig) -> dict[str, Path]:
    """Where each derived set comes from, by its name. Raises ConfigError for one that is missing, or that two would be written to."""
    if not config.corpus.is_dir():
        raise ConfigError(
            f"--corpus {config.corpus}: there is no such folder; give the one that holds train, dev and test"
        )
    wanted = {"train": config.train, "dev": config.dev}
    for name in config.sets:
        if wanted.get(name, name) != name and find_set(config.corpus, name) is not None:
            seen = f"--sets {name}: the corpus has a set {name}, but data/{name} is that of --{name} {wanted[name]}"
            raise ConfigError(f"{seen}; rename one of them")
        wanted.setdefault(name, name)
    sources = {}
    for name, original in wanted.items():
        taken = {"paired": config.paired, "paired_dev": config.paired_dev, "text_only": config.text}
        if Path(original).name != original or not original or taken.get(name):
            raise ConfigError(f"{original!r}: cannot be the name of a set here; rename it in the corpus")
        source = find_set(config.corpus, original)
        if source is None:
            present = {
                path.name.split(".")[0] if path.is_file() else path.name
                for path in config.corpus.iterdir()
                if is_data_dir(path) or is_labelled_text(path)
            }
            seen = f"--corpus {config.corpus}: has no set {original} (it has: {' '.join(sorted(present)) or 'none'})"
            raise ConfigError(f"{seen}; add it ({KINDS}), or name the sets by --train, --dev and --sets")
        sources[name] = source
    return sources


def find_set(corpus: Path, name: str) -> Path | None:
    """The first of NAME as a data directory, NAME.jsonl, NAME.tsv and NAME with seq.in that is there."""
    if is_data_dir(corpus / name):
        return corpus / name
    files = [corpus / f"{name}{suffix}" for suffix in (".jsonl", ".jsonl.gz", ".tsv", ".tsv.gz")]
    return next((path for path in (*files, corpus / name) if is_labelled_text(path)), None)


def is_data_dir(path: Path) -> bool:
    """Whether it is a folder with `wav.scp` or `text`."""
    return (path / "wav.scp").exists() or (path / "text").exists()


def check_paths(config: PrepareConfig, train: Path) -> None:
    """Raises ConfigError for speech without transcripts or labels, and where the corpus would be written to or something else be replaced."""
    out = config.out.resolve()
    for source in (config.corpus, config.paired, config.paired_dev, *config.text):
        if source is not None and (
            out == source.resolve() or out in source.resolve().parents or source.resolve() in out.parents
        ):
            raise ConfigError(
                f"--out {config.out}: overlaps with {source}, which is never written to; give another folder"
            )
    if config.paired is None and is_data_dir(train) and not {*STREAMS} & {*list_streams(train)}:
        raise ConfigError(
            f"{train}: has no `text` and no labels, and nothing can be learnt from speech without them; add transcripts, "
            "or give transcribed speech by --paired DIR"
        )
    check_replaceable(config.out)


def read_sets(paths: Sequence[Path], fix: bool) -> dict[Path, Tables]:
    """Sets of labelled text. Where two would share an id, the name of the set goes before the ids of all."""
    texts = {path: read_text(path, fix) for path in dict.fromkeys(paths)}
    if has_common_ids([*texts.values()]):
        texts = {path: with_prefix(tables, path.name.split(".")[0]) for path, tables in texts.items()}
    return texts


def has_common_ids(sets: Sequence[Tables]) -> bool:
    """Whether an id is in more than one of the sets."""
    ids = [tables["text"].keys() for tables in sets]
    return len(set().union(*ids)) < sum(map(len, ids))


def with_prefix(tables: Tables, name: str) -> Tables:
    """The tables with `name` and a dash before every id that does not begin so."""
    start = "_".join(name.split()) + "-"
    return {
        stream: {utt if utt.startswith(start) else start + utt: value for utt, value in table.items()}
        for stream, table in tables.items()
    }


def read_text(source: Path, fix: bool) -> Tables:
    """The tables of text without audio, of any kind, those rows alone that have all of them; others are told."""
    if is_data_dir(source):
        data = DataDir(source)
        if not data.has("text"):
            raise DataError(
                f"{source}: has no `text`; give a data directory with transcripts, or a file of sentences"
            )
        return {name: data.table(name) for name in STREAMS if data.has(name)}
    if is_labelled_text(source):
        tables, lacking = common_rows(read_labelled_text(source, report=report_of(fix)))
        for stream, utts in lacking.items():
            print(
                f"{source}: {len(utts)} rows left out, without a {stream} that counts: {' '.join(utts[:SHOWN])}"
            )
    elif source.is_file():
        sentences = {number: " ".join(line.split()) for number, line in read_lines(source)}
        name = "_".join(source.name.split(".")[0].split())
        tables = {"text": {f"{name}-{number:08d}": line for number, line in sentences.items() if line}}
    else:
        raise ConfigError(
            f"{source}: there is no such text; expected sentences, or {KINDS}; correct the path"
        )
    if not tables.get("text"):
        raise DataError(f"{source}: holds no sentence that can be used; give one a line")
    return tables


def report_of(fix: bool) -> Report:
    """What is done about a row that cannot be used."""

    def leave_out(problem: str) -> None:
        print(f"left out: {problem}")

    def stop_and_tell(problem: str) -> None:
        stop(f"{problem}, or leave such rows out by --fix true")

    return leave_out if fix else stop_and_tell


def write_tables(tables: Mapping[str, Mapping[str, str]], folder: Path) -> None:
    """Write a set."""
    for name, table in tables.items():
        write_table(folder / name, table)


def write_text(sources: Sequence[Path], folder: Path, fix: bool = False) -> None:
    """Write the text-only set `folder`: the sentences of all sources, with the labels that all sources have."""
    texts = [read_text(source, fix) for source in sources]
    if has_common_ids(texts):
        texts = [with_prefix(tables, f"text{number}") for number, tables in enumerate(texts, start=1)]
    for stream in STREAMS:
        lacking = [source for source, tables in zip(sources, texts, strict=True) if stream not in tables]
        if not lacking:
            write_table(
                folder / stream, {utt: value for tables in texts for utt, value in tables[stream].items()}
            )
        elif len(lacking) < len(sources):
            print(f"{folder.name}: without {stream}, which {lacking[0]} does not have")


def derive_set(source: Path, folder: Path, config: PrepareConfig) -> None:
    """One data directory: derived, then checked. Raises DataError with the first problems, unless they are to be left out."""
    if not source.is_dir():
        raise ConfigError(f"{source}: there is no such data directory; correct the path")
    derive(source, folder, allow_pipes=config.allow_pipes)
    problems = check_labels(source, folder, drop=config.fix)
    if config.fix:
        for problem in problems:
            print(f"left out: {problem}")
        done, checked = fix_data_dir(folder, audio="headers", allow_pipes=config.allow_pipes)
        # What it backs up is the corpus, which is untouched.
        shutil.rmtree(folder / ".backup", ignore_errors=True)
        for line in done:
            print(f"{source}: {line}")
        problems = []
    else:
        checked = check_data_dir(folder, audio="headers", allow_pipes=config.allow_pipes)
    # That a label is no JSON is among `problems` already.
    others = [problem for problem in checked.problems if problem.kind != "bad JSON"]
    problems += [str(problem).replace(str(folder), str(source)) for problem in others]
    if problems:
        lines = problems[:SHOWN]
        if more := len(problems) - len(lines):
            lines.append(f"and {more} more")
        lines.append("correct the corpus, or leave such utterances out by --fix true")
        raise DataError("\n  ".join(lines))


def check_labels(source: Path, folder: Path, *, drop: bool) -> list[str]:
    """What is wrong with the labels of a derived set. drop: its tables lose them, and `fix_data_dir` then the utterances."""
    problems = []
    for stream in (stream for stream in STREAMS[1:] if (folder / stream).exists()):
        table = read_table(folder / stream)
        bad = {}
        for utt, value in table.items():
            try:
                check_label(stream, value)
            except ValueError as error:
                bad[utt] = f"{source / stream}:{line_of(source / stream, utt)}: {utt}: {error}"
        problems += bad.values()
        if drop and bad:
            write_table(folder / stream, {utt: value for utt, value in table.items() if utt not in bad})
    return problems


if __name__ == "__main__":
    sys.exit(run(main))
