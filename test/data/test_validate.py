from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stxlib.data import validate
from stxlib.data.data_dir import DataDir
from stxlib.data.repair import fix_data_dir
from stxlib.data.tables import read_table, write_table
from stxlib.data.validate import check_data_dir
from stxlib.errors import DataError

MakeDataDir = Callable[..., DataDir]
BAD = "ütt-001"


def _append(path: Path, line: str) -> None:
    with path.open("ab") as file:
        file.write(line.encode())


def _set(path: Path, value: str) -> None:
    write_table(path, read_table(path, allow_empty=True) | {BAD: value})


def _segments(folder: Path, value: str) -> None:
    write_table(folder / "segments", {"ütt-000": "ütt-000 0 0.5", BAD: value, "ütt-002": "ütt-002 0 -1"})


def _remove(path: Path) -> None:
    table = read_table(path)
    write_table(path, {utt: value for utt, value in table.items() if utt != BAD})


def _nan(folder: Path) -> None:
    soundfile.write(folder / "wav" / f"{BAD}.wav", np.full(12800, np.nan, np.float32), 16000, subtype="FLOAT")


def _json(folder: Path) -> None:
    write_table(folder / "semantics", dict.fromkeys(("ütt-000", BAD, "ütt-002"), "{}") | {BAD: "{"})


# kind: (what spoils a good folder, the message without the folder, utterances after the repair, runs without decoding)
CASES: dict[str, tuple[Callable[[Path], object], str, int, bool]] = {
    "unsorted": (
        lambda d: (d / "text").write_text("ütt-001 a\nütt-000 b\nütt-002 c\n"),
        "text:2: id 'ütt-000' comes after 'ütt-001': unsorted; sort with LC_ALL=C sort, or run",
        3,
        True,
    ),
    "duplicate": (
        lambda d: _append(d / "text", "ütt-002 again\n"),
        "text:4: id 'ütt-002' is here a second time (first on line 3); delete one of the two, or run",
        3,
        True,
    ),
    "no value": (
        lambda d: (d / "utt2spk").write_text("ütt-000 a\nütt-001\nütt-002 c\n"),
        "utt2spk:2: id 'ütt-001' has no value; write one after the id, or run",
        2,
        True,
    ),
    "empty line": (
        lambda d: _append(d / "text", "\n"),
        "text:4: the line is empty; delete it, or run",
        3,
        True,
    ),
    "not UTF-8": (
        lambda d: (d / "text").write_bytes(
            "ütt-000 a\nütt-001 ".encode() + b"\xe9\n" + "ütt-002 c\n".encode()
        ),
        "text:2: the line of 'ütt-001' is not UTF-8",
        2,
        True,
    ),
    "byte order mark": (
        lambda d: (d / "text").write_bytes(b"\xef\xbb\xbf" + (d / "text").read_bytes()),
        "text:1: the file begins with a byte order mark",
        3,
        True,
    ),
    "id without text": (
        lambda d: _remove(d / "text"),
        "wav.scp:2: utterance 'ütt-001' is not in text; add it to {folder}/text, or run",
        2,
        True,
    ),
    "missing id": (
        lambda d: _remove(d / "utt2spk"),
        "wav.scp:2: utterance 'ütt-001' is not in utt2spk",
        2,
        True,
    ),
    "missing length": (
        lambda d: _remove(d / "utt2dur"),
        "utt2dur: utterance 'ütt-001' is not in utt2dur",
        3,
        True,
    ),
    "id without audio": (
        lambda d: _append(d / "text", "ütt-009 words\n"),
        "text:4: id 'ütt-009' is not in wav.scp; add it to {folder}/wav.scp, or run",
        3,
        True,
    ),
    "bad JSON": (_json, "semantics:2: the value of 'ütt-001' is not JSON", 2, True),
    "bad number": (
        lambda d: _set(d / "utt2dur", "nan"),
        "utt2dur:2: 'nan' of 'ütt-001' is no length",
        3,
        True,
    ),
    "wrong length": (
        lambda d: _set(d / "utt2dur", "0.5"),
        "utt2dur:2: 0.5 of 'ütt-001' is not the length of its audio (0.800 s)",
        3,
        True,
    ),
    "missing audio": (
        lambda d: (d / "wav" / f"{BAD}.wav").unlink(),
        "wav.scp:2: recording 'ütt-001': wav/ütt-001.wav: missing audio: there is no such file; restore the file, or run",
        2,
        True,
    ),
    "zero length": (
        lambda d: soundfile.write(d / "wav" / f"{BAD}.wav", np.zeros(0), 16000),
        "wav.scp:2: recording 'ütt-001': {folder}/wav/ütt-001.wav: zero length",
        2,
        True,
    ),
    "unreadable audio": (
        lambda d: (d / "wav" / f"{BAD}.wav").write_text("no audio"),
        "wav.scp:2: recording 'ütt-001': {folder}/wav/ütt-001.wav: ",
        2,
        True,
    ),
    "NaN samples": (
        _nan,
        "wav.scp:2: recording 'ütt-001': {folder}/wav/ütt-001.wav: 12800 samples are NaN or infinite",
        2,
        False,
    ),
    "wrong sample rate": (
        lambda d: soundfile.write(d / "wav" / f"{BAD}.wav", np.zeros(6400), 8000),
        "wav.scp:2: recording 'ütt-001' has 8000 Hz, not 16000 Hz; resample it, do without --sample_rate",
        2,
        True,
    ),
    "bad segment": (
        lambda d: _segments(d, "ütt-001 x 1"),
        "segments:2: 'ütt-001 x 1' of 'ütt-001' is not `<recording> <start> <end>` in seconds",
        2,
        True,
    ),
    "unknown recording": (
        lambda d: _segments(d, "other 0 1"),
        "segments:2: recording 'other' of 'ütt-001' is not in wav.scp; add it to {folder}/wav.scp",
        2,
        True,
    ),
    "segment past the end": (
        lambda d: _segments(d, "ütt-001 0.2 1.7"),
        "segments:2: segment 'ütt-001' from 0.2 to 1.7 s is past the end of its recording (0.800 s)",
        2,
        True,
    ),
    "unknown id": (
        lambda d: (
            [(d / name).unlink() for name in ("wav.scp", "utt2dur")] and _append(d / "utt2spk", "ütt-009 x\n")
        ),
        "utt2spk:4: id 'ütt-009' is not in text; add it to {folder}/text, or run",
        3,
        True,
    ),
    "command": (
        lambda d: _set(d / "wav.scp", f"cat {d}/wav/ütt-001.wav |"),
        "wav.scp:2: recording 'ütt-001' is a command: `cat {folder}/wav/ütt-001.wav |`; read it, then give --allow_pipes",
        3,
        True,
    ),
}


def test_every_kind_has_a_case() -> None:
    documented = (validate.__doc__ or "").partition("Kinds of problem: ")[2].replace("\n", " ")
    for words in (" (of a table)", " (of a set).", "."):
        documented = documented.replace(words, "")
    assert {kind.strip() for kind in documented.replace(";", ",").split(",")} == set(CASES)
    assert len(CASES) == 23


@pytest.mark.parametrize("audio", ["samples", "headers"])
@pytest.mark.parametrize("kind", CASES)
def test_every_message_is_provoked_and_repaired(make_data_dir: MakeDataDir, kind: str, audio: str) -> None:
    spoil, message, left, without_decoding = CASES[kind]
    if audio == "headers" and not without_decoding:
        return
    folder = make_data_dir().path
    options: dict[str, object] = {"audio": audio}
    if kind == "wrong sample rate":
        options["sample_rate"] = 16000
    assert check_data_dir(folder, **options).problems == []  # type: ignore[arg-type]
    spoil(folder)
    found = check_data_dir(folder, **options)  # type: ignore[arg-type]
    messages = [str(problem) for problem in found.problems if problem.kind == kind]
    expected = f"{folder}/{message}".replace("{folder}", str(folder))
    assert messages, found.problems
    assert messages[0].startswith(expected), messages
    assert "; " in messages[0]
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    done, after = fix_data_dir(folder, **options)  # type: ignore[arg-type]

    remaining = [problem for problem in after.problems if problem.kind != "command"]
    assert remaining == []
    assert len(DataDir(folder).utts) == left
    for name in DataDir(folder).streams:
        DataDir(folder).table(name)
    if left == 2:
        assert sum(line.startswith(f"dropped {BAD!r}: ") for line in done) == 1
        assert BAD not in DataDir(folder).utts
    for line in done:
        name, marker, backup = line.partition("; the old one is ")
        if marker:
            assert Path(backup).parent == folder / ".backup"
            assert Path(backup).read_bytes() == before[Path(name.split()[1].rstrip(",")).name]


def test_a_second_repair_does_nothing_and_loses_no_backup(make_data_dir: MakeDataDir) -> None:
    folder = make_data_dir().path
    original = (folder / "text").read_bytes()
    for count in (1, 2):
        _append(folder / "text", "ﬀ drop me\n")
        done, _ = fix_data_dir(folder)
        assert "dropped the line: id 'ﬀ' is not in wav.scp" in done[0]
        assert len(list((folder / ".backup").iterdir())) == count
        assert (folder / "text").read_bytes() == original
    assert fix_data_dir(folder)[0] == []


def test_nothing_is_changed_where_nothing_would_be_left(make_data_dir: MakeDataDir) -> None:
    folder = make_data_dir().path
    for path in (folder / "wav").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"missing audio.*no utterance would be left, so nothing was changed"):
        fix_data_dir(folder)
    assert not (folder / ".backup").exists()


def test_lengths_that_are_missing_are_written(make_data_dir: MakeDataDir) -> None:
    folder = make_data_dir(durations=False).path
    write_table(folder / "spk2utt", {"spk0": "ütt-000 ütt-002", "spk1": "ütt-001"})
    (folder / "wav" / f"{BAD}.wav").unlink()
    fix_data_dir(folder)
    assert read_table(folder / "utt2dur") == {"ütt-000": "0.5000", "ütt-002": "0.3000"}
    assert read_table(folder / "utt2num_samples") == {"ütt-000": "8000", "ütt-002": "4800"}
    assert read_table(folder / "spk2utt") == {"spk0": "ütt-000 ütt-002"}


def test_a_recording_that_fails_takes_all_its_segments(make_data_dir: MakeDataDir) -> None:
    folder = make_data_dir(durations=False).path
    write_table(folder / "segments", {"a": f"{BAD} 0 0.2", "b": f"{BAD} 0.2 0.4", "c": "ütt-000 0 -1"})
    for name in ("text", "utt2spk"):
        write_table(folder / name, dict.fromkeys("abc", "x"))
    (folder / "wav" / f"{BAD}.wav").write_text("no audio")
    done, after = fix_data_dir(folder)
    assert not after.problems
    assert next(line for line in done if line.startswith("dropped ")).startswith(
        "dropped 'a': recording 'ütt-001'"
    )
    assert DataDir(folder).utts == ("c",)
    assert list(read_table(folder / "wav.scp")) == ["ütt-000"]


def test_commands_are_checked_where_they_are_allowed(make_data_dir: MakeDataDir) -> None:
    folder = make_data_dir().path
    _set(folder / "wav.scp", f"touch {folder}/ran; cat {folder}/wav/ütt-001.wav |")
    check_data_dir(folder)
    assert not (folder / "ran").exists()
    (folder / "wav" / "ütt-001.wav").unlink()
    kinds = [problem.kind for problem in check_data_dir(folder, allow_pipes=True).problems]
    assert kinds == ["unreadable audio"]


def test_real_sets_are_valid(test_data: Path) -> None:
    found = [path.parent for path in (test_data / "data").glob("*/*/wav.scp")]
    assert len(found) >= 5
    for folder in found:
        assert check_data_dir(folder, audio="headers").problems == []
