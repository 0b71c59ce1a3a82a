"""egs/stop/local/prepare.py: STOP as released -> data directories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from stxlib.data.data_dir import DataDir
from stxlib.data.dropped import read_dropped
from stxlib.data.stop_corpus import lower_parse, recording_id
from stxlib.data.tables import read_table
from stxlib.data.validate import check_data_dir
from stxlib.errors import ConfigError, DataError

HEADER = [
    "file_id",
    "domain",
    "gender",
    "native",
    "utterance",
    "seqlogical",
    "normalized_utterance",
    "normalized_seqlogical",
    "decoupled_normalized_seqlogical",
]


def row(file_id: str, words: str, parse: str, *, gender: str = "female", native: str = "yes") -> str:
    domain = file_id.split("/")[1].split("_")[0]
    return "\t".join([file_id, domain, gender, native, words.title(), "[X", words, "[X", parse])


ROWS = {
    "train": [
        row(
            "train_0/alarm_train_0/00000001.wav",
            "wake me at Seven",
            "[IN:CREATE_ALARM [SL:DATE_TIME at Seven ] ]",
        ),
        row(
            "train_0/alarm_train_0/00000002.wav",
            "wake me at seven",
            "[IN:CREATE_ALARM [SL:DATE_TIME at seven ] ]",
        ),
        row(
            "train_0/music_train_0/00000001.wav", 'play "free bird', '[IN:PLAY_MUSIC [SL:TRACK "free bird ] ]'
        ),
    ],
    "eval": [
        row("eval_0/timer_eval_0/00000003.wav", "stop", "[IN:PAUSE_TIMER ]", gender="", native="no"),
        row("eval_1/timer_eval_1/00000003.wav", "stop", "[IN:PAUSE_TIMER ]", gender="male"),
    ],
    "test": [
        row(
            "test_0/weather_test_0/00000004.wav",
            "rain at the eagles game",
            "[IN:GET_WEATHER [SL:LOCATION [IN:GET_EVENT [SL:NAME_EVENT eagles ] ] ] ]",
        )
    ],
}
# Where the release has them: eval and test without the number at the end of the folder that `file_id` has.
ON_DISK = {"eval": ("timer_eval_", "timer_eval"), "test": ("weather_test_", "weather_test")}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "stop"
    (folder / "manifests").mkdir(parents=True)
    for name, rows in ROWS.items():
        (folder / "manifests" / f"{name}.tsv").write_text("\n".join(["\t".join(HEADER), *rows]) + "\n")
        for number, line in enumerate(rows):
            file_id = Path(line.split("\t")[0])
            if name in ON_DISK:
                file_id = file_id.parent.with_name(file_id.parent.name[:-2]) / file_id.name
            (folder / file_id).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / file_id, np.full(800 + number, 0.1, dtype=np.float32), 16000)
    return folder


@pytest.fixture
def prepare(load_prepare: Callable[[str], ModuleType], tmp_path: Path) -> Callable[..., Path]:
    """prepare(corpus, *options) -> data/"""

    def main(corpus: Path, *options: str) -> Path:
        out = tmp_path / "data"
        load_prepare("stop").main(["--corpus", str(corpus), "--out", str(out), *options])
        return out

    return main


def add_rows(corpus: Path, *rows: str) -> Path:
    path = corpus / "manifests" / "train.tsv"
    path.write_text(path.read_text() + "".join(f"{line}\n" for line in rows))
    return path.resolve()


def test_tables_are_those_written_by_hand(corpus: Path, prepare: Callable[..., Path]) -> None:
    before = {path: path.read_bytes() for path in corpus.rglob("*") if path.is_file()}
    for _ in range(2):  # a rerun doubles nothing
        out = prepare(corpus)
    assert {path: path.read_bytes() for path in corpus.rglob("*") if path.is_file()} == before
    assert (out / "train" / "text").read_text() == (
        "alarm_train_0_00000001 wake me at seven\n"
        "alarm_train_0_00000002 wake me at seven\n"
        'music_train_0_00000001 play "free bird\n'
    )
    assert (out / "train" / "parse").read_text() == (
        "alarm_train_0_00000001 [IN:CREATE_ALARM [SL:DATE_TIME at seven ] ]\n"
        "alarm_train_0_00000002 [IN:CREATE_ALARM [SL:DATE_TIME at seven ] ]\n"
        'music_train_0_00000001 [IN:PLAY_MUSIC [SL:TRACK "free bird ] ]\n'
    )
    assert (out / "train" / "intent").read_text() == (
        "alarm_train_0_00000001 CREATE_ALARM\n"
        "alarm_train_0_00000002 CREATE_ALARM\n"
        "music_train_0_00000001 PLAY_MUSIC\n"
    )
    assert read_table(out / "train" / "utt2num_samples") == {
        "alarm_train_0_00000001": "800",
        "alarm_train_0_00000002": "801",
        "music_train_0_00000001": "802",
    }
    assert read_table(out / "train" / "domain")["music_train_0_00000001"] == "music"
    for name in ("train", "dev", "test"):
        assert not check_data_dir(out / name).problems
        assert not read_dropped(out / name)


def test_folder_on_disk_lacks_the_number_of_file_id(corpus: Path, prepare: Callable[..., Path]) -> None:
    out = prepare(corpus)
    assert read_table(out / "test" / "wav.scp") == {
        "weather_test_0_00000004": str(corpus.resolve() / "test_0" / "weather_test" / "00000004.wav")
    }
    (corpus / "test_0" / "weather_test").rename(
        corpus / "test_0" / "weather_test_0"
    )  # as other copies have it
    assert read_table(prepare(corpus) / "test" / "wav.scp") == {
        "weather_test_0_00000004": str(corpus.resolve() / "test_0" / "weather_test_0" / "00000004.wav")
    }


def test_two_recordings_of_a_sentence_keep_different_ids(corpus: Path, prepare: Callable[..., Path]) -> None:
    dev = DataDir(prepare(corpus) / "dev")
    assert dev.utts == ("timer_eval_0_00000003", "timer_eval_1_00000003")
    assert dev.table("wav.scp")["timer_eval_1_00000003"].endswith("/eval_1/timer_eval/00000003.wav")
    assert dev.table("utt2gender") == {"timer_eval_0_00000003": "unknown", "timer_eval_1_00000003": "male"}
    assert recording_id("test_1/alarm_test/00000007.wav") == "alarm_test_1_00000007"


def test_nested_parse_is_kept(corpus: Path, prepare: Callable[..., Path]) -> None:
    assert read_table(prepare(corpus) / "test" / "parse") == {
        "weather_test_0_00000004": "[IN:GET_WEATHER [SL:LOCATION [IN:GET_EVENT [SL:NAME_EVENT eagles ] ] ] ]"
    }


def test_brackets_against_each_other_are_set_apart() -> None:
    assert lower_parse("[IN:A [SL:B x ][SL:C Y] ]") == "[IN:A [SL:B x ] [SL:C y ] ]"
    with pytest.raises(ValueError):
        lower_parse("[IN:A [SL:B x ]")


def test_unbalanced_quotes_are_words(corpus: Path, prepare: Callable[..., Path]) -> None:
    assert read_table(prepare(corpus) / "train" / "text")["music_train_0_00000001"] == 'play "free bird'


def test_rows_without_parse_or_with_other_columns_are_dropped_and_listed(
    corpus: Path, prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = add_rows(
        corpus,
        row("train_0/alarm_train_0/00000005.wav", "no parse", ""),
        row("train_0/alarm_train_0/00000006.wav", "no tree", "[IN:A [SL:B"),
        row("train_0/alarm_train_0/00000007.wav", "", "[IN:A ]"),
        "train_0/alarm_train_0/00000008.wav\talarm\tfemale",
        ROWS["train"][0],
    )
    out = prepare(corpus)
    assert len(DataDir(out / "train").utts) == 3
    assert read_dropped(out / "train") == {
        "alarm_train_0_00000001": f"its recording is listed already ({path}:9)",
        "alarm_train_0_00000005": f"no parse ({path}:5)",
        "alarm_train_0_00000006": f"a parse that is no tree ({path}:6)",
        "alarm_train_0_00000007": f"no words ({path}:7)",
        "alarm_train_0_00000008": f"another number of columns than the 9 of the header ({path}:8)",
    }
    assert "train: 1 left out: no parse (alarm_train_0_00000005)" in capsys.readouterr().out


def test_text_only_has_each_sentence_once(corpus: Path, prepare: Callable[..., Path]) -> None:
    text_only = DataDir(prepare(corpus) / "text_only")
    assert text_only.utts == ("text-alarm_train_0_00000001", "text-music_train_0_00000001")
    assert text_only.streams == {"text", "parse", "intent"}


def test_domains_may_be_chosen(corpus: Path, prepare: Callable[..., Path]) -> None:
    for name in ("eval", "test"):
        path = corpus / "manifests" / f"{name}.tsv"
        path.write_text(path.read_text() + f"{ROWS['train'][2]}\n")
    out = prepare(corpus, "--domains", "music")
    assert [DataDir(out / name).utts for name in ("train", "dev", "test")] == 3 * [
        ("music_train_0_00000001",)
    ]
    with pytest.raises(ConfigError, match="--domains cooking: STOP has alarm event"):
        prepare(corpus, "--domains", "cooking")
    seen = r"train.tsv: has no row of the domain reminder or event \(it has alarm music\); name others"
    with pytest.raises(DataError, match=seen):
        prepare(corpus, "--domains", "reminder", "event")


def test_missing_column_file_and_audio_are_named(
    corpus: Path, prepare: Callable[..., Path], tmp_path: Path
) -> None:
    audio = corpus / "train_0" / "music_train_0" / "00000001.wav"
    audio.rename(tmp_path / "kept.wav")
    with pytest.raises(DataError, match=r"train.tsv:4: utterance 'music_train_0_00000001': .*missing audio"):
        prepare(corpus)
    assert not (tmp_path / "data").exists()
    assert len(DataDir(prepare(corpus, "--fix", "true") / "train").utts) == 2
    audio.write_bytes(b"")
    with pytest.raises(DataError, match="empty"):
        prepare(corpus)
    path = corpus / "manifests" / "eval.tsv"
    path.write_text(path.read_text().replace("decoupled_", ""))
    with pytest.raises(DataError, match="eval.tsv:1: has no column decoupled_normalized_seqlogical"):
        prepare(corpus)
    path.unlink()
    with pytest.raises(DataError, match="eval.tsv: there is no such file"):
        prepare(corpus)


def test_independent_miniature_is_read_whole(
    tmp_path: Path, prepare: Callable[..., Path], mini_layouts: Callable[..., Path]
) -> None:
    out = prepare(mini_layouts(tmp_path / "mini", "stop", per_split=5))
    for name in ("train", "dev", "test"):
        assert len(DataDir(out / name).utts) == 5 and not read_dropped(out / name)
        assert not check_data_dir(out / name).problems
