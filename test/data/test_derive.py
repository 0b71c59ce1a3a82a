from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stxlib.data.data_dir import DataDir
from stxlib.data.derive import choose, derive, subset
from stxlib.data.tables import read_table, write_table
from stxlib.data.validate import check_data_dir
from stxlib.errors import DataError

MakeDataDir = Callable[..., DataDir]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_missing_is_derived_and_the_source_stays(
    make_data_dir: MakeDataDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    src = make_data_dir(durations=False, sample_rate=8000).path
    (src / "utt2spk").unlink()
    (src / "text").write_text(
        "ütt-002 c\nütt-000 a\nütt-001 b\n"
    )  # unsorted, which may not be repaired in place
    before = contents(src)
    data = derive(src, tmp_path / "new" / "train")
    assert contents(src) == before
    monkeypatch.chdir("/")
    assert data.streams == {"wav.scp", "text", "utt2spk", "utt2dur", "utt2num_samples"}
    assert data.table("utt2spk") == {utt: utt for utt in data.utts}
    assert data.table("utt2dur") == {"ütt-000": "0.5000", "ütt-001": "0.8000", "ütt-002": "0.3000"}
    assert data.table("utt2num_samples")["ütt-001"] == "6400"
    assert all(Path(path).is_absolute() for path in data.table("wav.scp").values())
    assert check_data_dir(data.path).problems == []
    assert len(data.load_wave("ütt-000", 16000)) == 8000


def test_streams_that_are_there_are_kept(make_data_dir: MakeDataDir, tmp_path: Path) -> None:
    src = make_data_dir()
    write_table(src.path / "intent", dict.fromkeys(src.utts, "play_music"))
    data = derive(src.path, tmp_path / "new")
    for name in ("text", "utt2spk", "utt2dur", "intent"):
        assert data.table(name) == DataDir(src.path).table(name)


def test_text_only_sets_get_no_speakers(tmp_path: Path) -> None:
    write_table(tmp_path / "src" / "text", {"a": "one"})
    assert derive(tmp_path / "src", tmp_path / "new").streams == {"text"}


def test_audio_that_is_missing_is_left_to_validation(make_data_dir: MakeDataDir, tmp_path: Path) -> None:
    src = make_data_dir(durations=False)
    (src.path / "wav" / "ütt-001.wav").unlink()
    data = derive(src.path, tmp_path / "new")
    assert not data.has("utt2dur")
    assert [problem.kind for problem in check_data_dir(data.path).problems] == ["missing audio"]


def test_archives_and_commands_in_a_derived_set(make_data_dir: MakeDataDir, tmp_path: Path) -> None:
    src = make_data_dir(durations=False)
    (src.path / "a.ark").write_bytes(b"")
    command = f"touch {tmp_path}/ran; cat {src.path}/wav/ütt-001.wav |"
    write_table(
        src.path / "wav.scp", {"ütt-000": "a.ark:17", "ütt-001": command, "ütt-002": "wav/ütt-002.wav"}
    )
    data = derive(src.path, tmp_path / "new")
    assert data.table("wav.scp")["ütt-000"] == f"{src.path}/a.ark:17"
    assert data.table("wav.scp")["ütt-001"] == command
    assert not (tmp_path / "ran").exists()


def test_what_sorting_does_not_repair_is_an_error(make_data_dir: MakeDataDir, tmp_path: Path) -> None:
    src = make_data_dir().path
    (src / "text").write_text("ütt-000 a\nütt-000 b\n")
    with pytest.raises(DataError, match="text:2: id 'ütt-000' is here a second time"):
        derive(src, tmp_path / "new")
    with pytest.raises(DataError, match="write to another one"):
        derive(src, src)


def test_a_subset_holds_its_utterances_in_every_stream(make_data_dir: MakeDataDir, tmp_path: Path) -> None:
    src = make_data_dir(seconds=(0.3,) * 6)
    write_table(src.path / "spk2utt", {"spk0": "ütt-000 ütt-002 ütt-004", "spk1": "ütt-001 ütt-003 ütt-005"})
    src = DataDir(src.path)
    part = subset(src, tmp_path / "new", ["ütt-004", "ütt-001"])
    assert part.utts == ("ütt-001", "ütt-004")
    assert part.streams == src.streams
    assert part.table("text") == {utt: src.table("text")[utt] for utt in part.utts}
    assert read_table(part.path / "spk2utt") == {"spk0": "ütt-004", "spk1": "ütt-001"}
    assert check_data_dir(part.path).problems == []
    with pytest.raises(DataError, match=r"utterance 'x' is not there \(1 such\)"):
        subset(src, tmp_path / "other", ["x"])
    with pytest.raises(DataError, match="no utterance is chosen"):
        subset(src, tmp_path / "other", [])
    assert subset(src, tmp_path / "new", ["ütt-002"]).utts == ("ütt-002",)  # again, another part
    write_table(tmp_path / "new" / "units", {"ütt-002": "a"})
    with pytest.raises(DataError, match="holds the stream 'units', which .* has not"):
        subset(src, tmp_path / "new", ["ütt-001"])


def test_a_subset_of_segments_keeps_the_recordings_it_needs(
    make_data_dir: MakeDataDir, tmp_path: Path
) -> None:
    src = make_data_dir(durations=False).path
    write_table(src / "segments", {"a": "ütt-001 0 0.2", "b": "ütt-001 0.2 0.4", "c": "ütt-000 0 -1"})
    for name in ("text", "utt2spk"):
        write_table(src / name, dict.fromkeys("abc", "x"))
    part = subset(DataDir(src), tmp_path / "new", ["b"])
    assert list(part.table("wav.scp")) == ["ütt-001"]
    assert len(part.load_wave("b", 16000)) == 3200


def test_draws_are_nested_and_a_function_of_the_seed(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir(seconds=(0.3,) * 20)
    few, many = choose(data, num_utts=5), choose(data, num_utts=9)
    assert (len(few), few) == (5, sorted(few))
    assert set(few) < set(many)
    assert choose(data, num_utts=5) == few != choose(data, num_utts=5, seed=2)
    assert len(choose(data, hours=3.05 / 3600)) == 10
    uneven = make_data_dir("uneven", seconds=(0.2, 1.1, 0.4, 0.9, 0.3, 0.8, 0.5, 1.5))
    draws = [set(choose(uneven, hours=seconds / 3600)) for seconds in (1.6, 2.0, 2.6, 3.3, 4.1, 5.0, 5.7)]
    assert draws[-1] == set(uneven.utts)
    assert all(small <= large for small, large in zip(draws, draws[1:], strict=False))
    one = choose(data, num_speakers=1)
    assert len({data.table("utt2spk")[utt] for utt in one}) == 1
    assert len(one) == 10
    for limits in ({"num_utts": -1}, {"num_speakers": 0}, {"hours": float("nan")}):
        with pytest.raises(DataError, match="cannot be drawn; give a number above 0"):
            choose(data, **limits)  # type: ignore[arg-type]
    for limits in ({"num_utts": 21}, {"num_speakers": 3}, {"hours": 1.0}):
        with pytest.raises(DataError, match="ask for"):
            choose(data, **limits)  # type: ignore[arg-type]
