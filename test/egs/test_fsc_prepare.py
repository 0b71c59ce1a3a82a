"""egs/fsc/local/prepare.py: Fluent Speech Commands as released -> data directories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from stxlib.data.data_dir import DataDir
from stxlib.data.dropped import read_dropped
from stxlib.data.tables import read_table
from stxlib.data.validate import check_data_dir
from stxlib.errors import ConfigError, DataError

HEADER = ",path,speakerId,transcription,action,object,location"
ROWS = {
    "train": [
        "0,wavs/speakers/s1/aa-1.wav,s1,Change language,change language,none,none",
        '1,wavs/speakers/s1/aa-2.wav,s1,"Too loud, turn it down",decrease,volume,none',
        "2,wavs/speakers/s2/aa-3.wav,s2,Turn the lights off in the kitchen,deactivate,lights,kitchen",
        "3,wavs/speakers/s2/aa-4.wav,s2,Turn the lights off in the kitchen.,deactivate,lights,kitchen",
    ],
    "valid": ["0,wavs/speakers/s3/bb-1.wav,s3,I couldn't hear anything,increase,volume,none"],
    "test": ['0,wavs/speakers/s4/cc-1.wav,s4,"It said ""stop""",deactivate,music,none'],
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "fluent_speech_commands_dataset"
    for name, rows in ROWS.items():
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (folder / "data" / f"{name}_data.csv").write_text("\n".join([HEADER, *rows]) + "\n")
        for number, row in enumerate(rows):
            path = folder / row.split(",")[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.full(1600 + number, 0.1, dtype=np.float32), 16000)
    return folder


@pytest.fixture
def prepare(load_prepare: Callable[[str], ModuleType], tmp_path: Path) -> Callable[..., Path]:
    """prepare(corpus, *options) -> data/"""

    def main(corpus: Path, *options: str) -> Path:
        out = tmp_path / "data"
        load_prepare("fsc").main(["--corpus", str(corpus), "--out", str(out), *options])
        return out

    return main


def test_tables_are_those_written_by_hand(
    corpus: Path, prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in corpus.rglob("*") if path.is_file()}
    for _ in range(2):  # a rerun doubles nothing
        out = prepare(corpus)
    assert {path: path.read_bytes() for path in corpus.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in out.glob("[!.]*")) == ["dev", "test", "text_only", "train"]
    assert (out / "train" / "text").read_text() == (
        "aa-1 change language\n"
        "aa-2 too loud turn it down\n"
        "aa-3 turn the lights off in the kitchen\n"
        "aa-4 turn the lights off in the kitchen\n"
    )
    assert (out / "train" / "intent").read_text() == (
        "aa-1 change language_none_none\n"
        "aa-2 decrease_volume_none\n"
        "aa-3 deactivate_lights_kitchen\n"
        "aa-4 deactivate_lights_kitchen\n"
    )
    assert (out / "train" / "utt2spk").read_text() == "aa-1 s1\naa-2 s1\naa-3 s2\naa-4 s2\n"
    assert (out / "train" / "utt2num_samples").read_text() == "aa-1 1600\naa-2 1601\naa-3 1602\naa-4 1603\n"
    wav = read_table(out / "train" / "wav.scp")
    assert wav["aa-2"] == str(corpus.resolve() / "wavs" / "speakers" / "s1" / "aa-2.wav")
    assert (out / "dev" / "text").read_text() == "bb-1 i couldn't hear anything\n"
    for name in ("train", "dev", "test"):
        assert not check_data_dir(out / name).problems
        assert not read_dropped(out / name)
    printed = capsys.readouterr().out
    assert "train: 0.00 h, 4 utterances, 2 speakers" in printed


def test_comma_in_a_quoted_transcription(corpus: Path, prepare: Callable[..., Path]) -> None:
    assert read_table(prepare(corpus) / "train" / "text")["aa-2"] == "too loud turn it down"


def test_doubled_quotes_inside_a_cell(corpus: Path, prepare: Callable[..., Path]) -> None:
    assert read_table(prepare(corpus) / "test" / "text") == {"cc-1": "it said stop"}


def test_none_is_a_value_of_object_and_location(corpus: Path, prepare: Callable[..., Path]) -> None:
    assert read_table(prepare(corpus) / "train" / "intent")["aa-1"] == "change language_none_none"


def test_text_only_has_each_sentence_once(corpus: Path, prepare: Callable[..., Path]) -> None:
    text_only = DataDir(prepare(corpus) / "text_only")
    assert text_only.utts == ("text-aa-1", "text-aa-2", "text-aa-3")
    assert text_only.table("intent")["text-aa-3"] == "deactivate_lights_kitchen"


def test_counts_unlike_the_release_are_told_with_both(
    corpus: Path, prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(corpus)
    printed = capsys.readouterr().out
    assert "warning: dev has 1 utterances, and the release 3,118" in printed
    assert "warning: train has 3 intents, and the release 31" in printed


def test_counts_are_told_before_the_audio_is_read(
    corpus: Path, prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    min(corpus.rglob("*.wav")).unlink()
    with pytest.raises(DataError, match="missing audio"):
        prepare(corpus)
    assert "warning: dev has 1 utterances, and the release 3,118" in capsys.readouterr().out


def test_speaker_in_two_sets_is_told(
    corpus: Path, prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = corpus / "data" / "test_data.csv"
    path.write_text(path.read_text().replace(",s4,", ",s1,"))
    prepare(corpus)
    assert "warning: 1 speakers of train are in dev or test" in capsys.readouterr().out


def test_repeated_recording_and_row_without_words_are_dropped_and_listed(
    corpus: Path, prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = corpus / "data" / "train_data.csv"
    lines = path.read_text().splitlines()
    path.write_text(
        "\n".join([*lines, lines[1], lines[2].replace("aa-2", "aa-9").split(',"')[0] + ",...,a,b,c"])
    )
    out = prepare(corpus)
    assert DataDir(out / "train").utts == ("aa-1", "aa-2", "aa-3", "aa-4")
    assert read_dropped(out / "train") == {
        "aa-1": f"its recording is listed already ({path.resolve()}:6)",
        "aa-9": f"no words ({path.resolve()}:7)",
    }
    assert "train: 1 left out: no words (aa-9)" in capsys.readouterr().out


def test_missing_column_is_named(corpus: Path, prepare: Callable[..., Path]) -> None:
    path = corpus / "data" / "valid_data.csv"
    path.write_text(path.read_text().replace("location", "place"))
    with pytest.raises(DataError, match=r"valid_data.csv:1: has no column location \(it has "):
        prepare(corpus)
    path.write_text(HEADER + "\n0,wavs/a.wav,s3,hello,none\n")
    with pytest.raises(DataError, match="valid_data.csv:2: 5 cells, not the 7 of the header"):
        prepare(corpus)
    path.write_text(HEADER + "\n0,wavs/a.wav,s3,hello,none,,none\n")
    with pytest.raises(DataError, match="valid_data.csv:2: has no object"):
        prepare(corpus)
    path.write_text(HEADER + '\n0,wavs/a.wav,s3,"hello,none,none,none\n')
    with pytest.raises(DataError, match="valid_data.csv:2: .*close the quotes"):
        prepare(corpus)


def test_missing_file_and_missing_audio_stop(
    corpus: Path, prepare: Callable[..., Path], tmp_path: Path
) -> None:
    (corpus / "wavs" / "speakers" / "s1" / "aa-2.wav").unlink()
    with pytest.raises(DataError, match=r"train_data.csv:3: utterance 'aa-2': .*missing audio.*--fix true"):
        prepare(corpus)
    assert not (tmp_path / "data").exists()
    out = prepare(corpus, "--fix", "true")
    assert DataDir(out / "train").utts == ("aa-1", "aa-3", "aa-4")
    assert "its audio is missing" in read_dropped(out / "train")["aa-2"]
    (corpus / "data" / "test_data.csv").unlink()
    with pytest.raises(DataError, match="test_data.csv: there is no such file"):
        prepare(corpus)
    assert DataDir(out / "train").utts == ("aa-1", "aa-3", "aa-4")  # as it was


def test_set_without_rows_stops(corpus: Path, prepare: Callable[..., Path]) -> None:
    (corpus / "data" / "train_data.csv").write_text(HEADER + "\n")
    with pytest.raises(DataError, match="train: no row of 0 can be used"):
        prepare(corpus)


def test_corpus_is_found_in_the_folder_above_and_never_written_to(
    corpus: Path, prepare: Callable[..., Path], load_prepare: Callable[[str], ModuleType]
) -> None:
    assert DataDir(prepare(corpus.parent / "fluent_speech_commands_dataset") / "test").utts == ("cc-1",)
    with pytest.raises(ConfigError, match=r"has no data/train_data.csv nor "):
        prepare(corpus / "wavs")
    with pytest.raises(ConfigError, match="there is no such folder"):
        prepare(corpus / "nowhere")
    for out in (corpus, corpus / "data2"):
        with pytest.raises(ConfigError, match="never written to"):
            load_prepare("fsc").main(["--corpus", str(corpus), "--out", str(out)])


def test_independent_miniature_is_read_whole(
    tmp_path: Path, prepare: Callable[..., Path], mini_layouts: Callable[..., Path]
) -> None:
    root = mini_layouts(tmp_path / "mini", "fsc", per_split=5)
    out = prepare(root)
    for name in ("train", "dev", "test"):
        assert len(DataDir(out / name).utts) == 5 and not read_dropped(out / name)
        assert not check_data_dir(out / name).problems
