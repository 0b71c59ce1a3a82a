"""LibriSpeech as released (OpenSLR 12; Mini LibriSpeech, OpenSLR 31; Libri-light's labelled parts): its tree read into tables.

    LibriSpeech/SPEAKERS.TXT
    LibriSpeech/<part>/<speaker>/<chapter>/<speaker>-<chapter>-<NNNN>.flac
    LibriSpeech/<part>/<speaker>/<chapter>/<speaker>-<chapter>.trans.txt     an id and its words a line

Ids are those of the corpus; a speaker is the reader (others have the chapter in it, and more speakers); text gets lower case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stxlib.data.corpus_set import CorpusSet, count_text, merge
from stxlib.data.text_rows import read_lines
from stxlib.errors import DataError

RELEASED = {
    "train-clean-100": 28539,
    "train-clean-360": 104014,
    "train-other-500": 148688,
    "dev-clean": 2703,
    "dev-other": 2864,
    "test-clean": 2620,
    "test-other": 2939,
}
"utterances by part"
RELEASE_SOURCE = "num_examples of openslr/librispeech_asr on Hugging Face"

LIBRI_LIGHT = {"10min": ("1h/0",), "1h": ("1h",), "10h": ("1h", "9h")}
"folders of librispeech_finetuning by amount: 1h/{0..5} are six times ten minutes, 9h is the rest of the ten hours (arXiv 1912.07875)"

_SHOWN = 10  # so many problems are told
_PART_OF = {"train-clean-5": "train-clean-100", "dev-clean-2": "dev-clean"}  # where Mini's speakers are from


@dataclass(frozen=True)
class Speaker:
    """A line of SPEAKERS.TXT."""

    sex: str
    """M or F"""
    part: str
    minutes: float
    name: str


def find_root(corpus: Path) -> Path:
    """The folder that holds the parts: `corpus`/LibriSpeech, else `corpus`. Raises DataError where there is neither."""
    for folder in (corpus / "LibriSpeech", corpus):
        if folder.is_dir():
            return folder.resolve()
    raise DataError(
        f"{corpus}: there is no such folder; give the one that LibriSpeech was unpacked to "
        "(utils/download.py librispeech fetches it)"
    )


def read_part(root: Path, part: str, *, audio: bool = True, fix: bool = False) -> CorpusSet:
    """All utterances of a part. Prints a warning where their number is not the release's.

    Raises DataError for a part that is missing, and as `read_tree` does.
    """
    if not (root / part).is_dir():
        there = sorted(path.name for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
        raise DataError(
            f"{root}: has no part {part} (it has: {' '.join(there) or 'none'}); unpack {part}.tar.gz there, "
            "or name other parts"
        )
    rows = read_tree(root / part, audio=audio, fix=fix)
    if warning := count_text(part, "utterances", rows.num_rows, RELEASED.get(part), RELEASE_SOURCE):
        print(warning)
    return rows


def read_libri_light(folder: Path, amount: str, *, fix: bool = False) -> CorpusSet:
    """Libri-light's labelled speech of `amount` (10min, 1h, 10h). folder: librispeech_finetuning, or the one that holds it.

    Raises DataError for a folder that is missing, and as `read_tree` and `merge` do.
    """
    inner = folder / "librispeech_finetuning"
    root = (inner if inner.is_dir() else folder).resolve()
    for name in LIBRI_LIGHT[amount]:
        if not (root / name).is_dir():
            seen = f"{root}: has no folder {name}, which is of its {amount}"
            raise DataError(
                f"{seen}; give librispeech_finetuning as Libri-light released it, with 1h/0 to 1h/5 and 9h"
            )
    return merge([read_tree(root / name, fix=fix) for name in LIBRI_LIGHT[amount]])


def read_tree(folder: Path, *, audio: bool = True, fix: bool = False) -> CorpusSet:
    """All utterances of the chapters below a folder; those whose line has an id alone are left out.

    audio: whether recordings are wanted; that a file is missing is found out when the set is written.
    fix: recordings without a transcript are left out.
    Raises DataError, with the first such places, for a chapter without its file of transcripts, for an id that is of another
    chapter or twice there, and for a recording without a line.
    """
    chapters = {path.parent for path in _visible(folder.rglob("*.trans.txt"))}
    if audio:
        chapters |= {path.parent for path in _visible(folder.rglob("*.flac"))}
    if not chapters:
        raise DataError(
            f"{folder}: holds no *.trans.txt; expected <speaker>/<chapter>/ below it, as released"
        )
    rows = CorpusSet()
    problems: list[str] = []
    for chapter in sorted(chapters):
        problems += _read_chapter(chapter, rows, audio=audio, fix=fix)
    if problems:
        more = f" ({len(problems)} such places)" if len(problems) > 1 else ""
        shown = "\n  ".join(problems[:_SHOWN])
        raise DataError(f"{shown}; restore the files from the release{more}")
    return rows


def choose_listed(rows: CorpusSet, path: Path, parts: str) -> CorpusSet:
    """The utterances of a list: the first word of each line is an id, or the path of its audio.

    parts: where `rows` are from, for messages. Raises DataError for an id that is not among `rows`, and for an empty list.
    """
    ids: dict[str, int] = {}
    for number, line in read_lines(path):
        if line.strip():
            ids.setdefault(Path(line.split()[0]).name.removesuffix(".flac"), number)
    if not ids:
        raise DataError(f"{path}: holds no id; give one a line, as 103-1240-0000")
    left_out = {utt for utts in rows.dropped.ids.values() for utt in utts}
    unknown = [utt for utt in ids if utt not in rows.places and utt not in left_out]
    if unknown:
        seen = f"{path}:{ids[unknown[0]]}: {unknown[0]!r} is not in {parts} ({len(unknown)} such)"
        raise DataError(f"{seen}; name the parts that the list is of")
    chosen = merge([rows])
    for utt in [utt for utt in chosen.places if utt not in ids]:
        chosen.remove(utt)
    kept = {reason: [utt for utt in utts if utt in ids] for reason, utts in chosen.dropped.ids.items()}
    chosen.dropped.ids = {reason: utts for reason, utts in kept.items() if utts}
    chosen.num_rows = len(ids)
    return chosen


def read_speakers(path: Path) -> dict[str, Speaker]:
    """Read SPEAKERS.TXT: `;` begins a comment, bars set the columns apart, and a name may hold bars itself.

    Raises DataError naming file and line.
    """
    speakers = {}
    for number, line in read_lines(path):
        if not line.strip() or line.lstrip().startswith(";"):
            continue
        try:
            speaker, sex, part, minutes, name = (column.strip() for column in line.split("|", 4))
            speakers[speaker] = Speaker(sex, part, float(minutes), name)
        except ValueError:
            raise DataError(
                f"{path}:{number}: {line[:80]!r}; expected ID | SEX | SUBSET | MINUTES | NAME, as released"
            ) from None
    return speakers


def genders(root: Path, name: str, speakers: Iterable[str]) -> dict[str, str]:
    """speaker -> m or f by SPEAKERS.TXT, for `spk2gender` of the set `name`; nothing, which is said, where that is not known of all."""
    path = root / "SPEAKERS.TXT"
    if not path.is_file():
        print(f"note: {path} is not there: {name} gets no spk2gender")
        return {}
    known = read_speakers(path)
    wanted = sorted(set(speakers))
    if others := [speaker for speaker in wanted if speaker not in known]:
        print(
            f"note: {path} lacks {len(others)} speakers ({' '.join(others[:5])}): {name} gets no spk2gender"
        )
        return {}
    return {speaker: known[speaker].sex.lower() for speaker in wanted}


def check_part_of_speakers(root: Path, part: str, rows: CorpusSet) -> None:
    """Print a warning where speakers of a part belong to another one by SPEAKERS.TXT: a folder may have been moved."""
    path = root / "SPEAKERS.TXT"
    known: Mapping[str, Speaker] = read_speakers(path) if path.is_file() else {}
    speakers = sorted({*rows.tables.get("utt2spk", {}).values()} & known.keys())
    if moved := [speaker for speaker in speakers if known[speaker].part not in (part, _PART_OF.get(part))]:
        seen = f"{len(moved)} speakers are of another part by {path} ({' '.join(moved[:5])})"
        print(f"warning: {part}: {seen}: check where its folders come from")


def _read_chapter(chapter: Path, rows: CorpusSet, *, audio: bool, fix: bool) -> list[str]:
    """Add the utterances of a folder; returns what is wrong with it."""
    speaker, name = chapter.parent.name, f"{chapter.parent.name}-{chapter.name}"
    transcripts = chapter / f"{name}.trans.txt"
    recordings = {path.stem for path in _visible(chapter.glob("*.flac"))} if audio else set()
    if not transcripts.is_file():
        return [f"{transcripts}: there is no such file, and {len(recordings)} recordings lie beside"]
    problems = []
    lines: dict[str, int] = {}
    for number, line in read_lines(transcripts):
        utt, *words = line.split(maxsplit=1) or [""]
        place = f"{transcripts}:{number}"
        if not utt:
            continue
        rows.num_rows += 1
        if utt.rpartition("-")[0] != name:
            problems.append(f"{place}: {utt!r} is no id of this chapter, whose begin with {name}-")
        elif utt in lines:
            problems.append(f"{place}: {utt!r} is on line {lines[utt]} as well")
        else:
            lines[utt] = number
            values = {"text": " ".join(" ".join(words).lower().split()), "utt2spk": speaker}
            rows.add(utt, place, values, chapter / f"{utt}.flac" if audio else None)
            if not values["text"]:
                rows.drop(utt, "no words")
    for utt in sorted(recordings - lines.keys()):
        if fix:
            rows.num_rows += 1
            rows.dropped.add(utt, "no transcript", str(chapter / f"{utt}.flac"))
        else:
            problems.append(f"{chapter / f'{utt}.flac'}: has no line in {transcripts.name}")
    return problems


def _visible(paths: Iterable[Path]) -> Iterable[Path]:
    # macOS puts files `._<name>` into archives, which are no audio and no text.
    return (path for path in paths if not path.name.startswith("."))
