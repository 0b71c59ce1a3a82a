from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stxlib.data.audio import UnreadableAudio
from stxlib.data.data_dir import DataDir
from stxlib.data.tables import write_table
from stxlib.errors import DataError

MakeDataDir = Callable[..., DataDir]


def test_streams_ids_and_summary(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir()
    assert data.streams == {"wav.scp", "text", "utt2spk", "utt2dur"}
    assert data.utts == ("ütt-000", "ütt-001", "ütt-002")
    assert data.table("text")["ütt-001"] == "слово 1"
    assert data.speakers == ("spk0", "spk1")
    assert str(data.summary()).endswith(
        "train: 0.00 h, 3 utterances, 2 speakers, 4 word types (text utt2dur utt2spk wav.scp)"
    )
    assert data.summary().hours == pytest.approx(1.6 / 3600)


@pytest.mark.parametrize("place", ["current", "data_dir", "parent", "absolute"])
def test_relative_paths_are_found(
    make_data_dir: MakeDataDir, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    data = make_data_dir()
    paths = {
        "current": ("corpus/train/wav", data.path.parents[1]),
        "data_dir": ("wav", Path("/")),
        "parent": ("train/wav", Path("/")),
        "absolute": (str(data.path / "wav"), Path("/")),
    }
    prefix, folder = paths[place]
    monkeypatch.chdir(folder)
    write_table(data.path / "wav.scp", {utt: f"{prefix}/{utt}.wav" for utt in data.utts})
    assert len(DataDir(data.path).load_wave("ütt-000", 16000)) == 8000


def test_the_parent_of_a_relative_data_dir_is_found(
    make_data_dir: MakeDataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_data_dir()
    write_table(data.path / "wav.scp", {utt: f"train/wav/{utt}.wav" for utt in data.utts})
    monkeypatch.chdir(data.path)
    assert len(DataDir(".").load_wave("ütt-000", 16000)) == 8000


def test_waves_are_resampled(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir(sample_rate=8000)
    wave = data.load_wave("ütt-000", 16000)
    assert (wave.shape, wave.dtype) == ((8000,), np.float32)
    assert data.measure("ütt-000") == (4000, 8000)


def test_segments_cut_recordings(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir(durations=False)
    for name in ("text", "utt2spk"):
        (data.path / name).unlink()
    write_table(
        data.path / "segments", {"a": "ütt-001 0.1 0.35", "b": "ütt-001 0.5 -1", "c": "ütt-000 0 0.5"}
    )
    data = DataDir(data.path)
    assert data.utts == ("a", "b", "c")
    whole, _ = soundfile.read(data.path / "wav" / "ütt-001.wav", dtype="float32")
    np.testing.assert_array_equal(data.load_wave("a", 16000), whole[1600:5600])
    np.testing.assert_array_equal(data.load_wave("b", 16000), whole[8000:])
    assert data.seconds == pytest.approx({"a": 0.25, "b": 0.3, "c": 0.5})
    write_table(data.path / "segments", {"a": "ütt-001 0.1"})
    with pytest.raises(
        DataError, match=r"segments:1: 'ütt-001 0.1' of 'a' is not `<recording> <start> <end>`"
    ):
        DataDir(data.path).load_wave("a", 16000)
    write_table(data.path / "segments", {"a": "none 0.1 0.2"})
    with pytest.raises(UnreadableAudio, match=r"wav.scp: recording 'none' of segments is not there"):
        DataDir(data.path).load_wave("a", 16000)


def test_seconds_come_from_headers_where_there_is_no_table(make_data_dir: MakeDataDir) -> None:
    assert make_data_dir(durations=False).seconds == pytest.approx(
        {"ütt-000": 0.5, "ütt-001": 0.8, "ütt-002": 0.3}
    )


def test_a_bad_duration_is_an_error(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir()
    write_table(data.path / "utt2dur", dict.fromkeys(data.utts, "long"))
    with pytest.raises(DataError, match=r"utt2dur:1: 'long' of 'ütt-000' is no number of seconds"):
        DataDir(data.path).seconds  # noqa: B018


def test_sets_without_text_and_sets_of_text(make_data_dir: MakeDataDir, tmp_path: Path) -> None:
    data = make_data_dir()
    (data.path / "text").unlink()
    data = DataDir(data.path)
    assert not data.has("text")
    assert "no transcripts" in str(data.summary())
    with pytest.raises(DataError, match=r"has no stream 'text' \(it has utt2dur utt2spk wav.scp\)"):
        data.table("text")
    write_table(tmp_path / "text_only" / "text", {"a": "one two", "b": "two"})
    texts = DataDir(tmp_path / "text_only")
    assert not texts.has_audio
    assert texts.utts == ("a", "b")
    assert str(texts.summary()).endswith("no audio, 2 utterances, speakers unknown, 2 word types (text)")


def test_folders_that_are_no_data_dirs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such data directory"):
        DataDir(tmp_path / "none")
    with pytest.raises(DataError, match="has neither wav.scp nor text"):
        DataDir(tmp_path).utts  # noqa: B018


def test_streams_of_other_ids_are_errors(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir()
    write_table(data.path / "intent", {"ütt-000": "x", "ütt-002": "y"})
    with pytest.raises(
        DataError, match=r"intent: utterance 'ütt-001' is not there \(1 such; first: ütt-001\); add it"
    ):
        DataDir(data.path).table("intent")
    write_table(data.path / "intent", dict.fromkeys((*data.utts, "zzz"), "x"))
    with pytest.raises(DataError, match=r"intent:1: id 'zzz' is no utterance of the set"):
        DataDir(data.path).table("intent")


def test_unreadable_audio_is_named_by_table_line_and_id(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir()
    (data.path / "wav" / "ütt-001.wav").unlink()
    with pytest.raises(UnreadableAudio) as error:
        data.load_wave("ütt-001", 16000)
    assert str(error.value).startswith(
        f"{data.path}/wav.scp:2: utterance 'ütt-001': wav/ütt-001.wav: missing audio"
    )
    assert "--fix to drop it" in str(error.value)


def test_commands_are_refused_with_their_place(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir()
    write_table(data.path / "wav.scp", {utt: f"cat {data.path}/wav/{utt}.wav |" for utt in data.utts})
    data = DataDir(data.path)
    with pytest.raises(DataError, match=r"wav.scp:1: utterance 'ütt-000': `cat .* \|` would run a command"):
        data.load_wave("ütt-000", 16000)
    assert len(data.load_wave("ütt-000", 16000, allow_pipes=True)) == 8000


def test_it_can_be_sent_to_a_worker(make_data_dir: MakeDataDir) -> None:
    data = make_data_dir()
    data.table("text")
    data.table("wav.scp")
    copy = pickle.loads(pickle.dumps(data))
    assert copy.utts == data.utts
    np.testing.assert_array_equal(copy.load_wave("ütt-000", 16000), data.load_wave("ütt-000", 16000))
    assert set(copy._tables) == {"wav.scp"}


def test_real_sets_are_read_whole(test_data: Path) -> None:
    found = [path.parent for path in (test_data / "data").glob("*/*/wav.scp")]
    assert len(found) >= 5
    for path in found:
        data = DataDir(path)
        for name in data.streams:
            assert data.table(name)
        utt = data.utts[0]
        assert len(data.load_wave(utt, 16000)) == pytest.approx(16000 * data.seconds[utt], abs=200)
