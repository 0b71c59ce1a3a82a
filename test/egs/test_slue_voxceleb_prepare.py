"""egs/slue_voxceleb/local/prepare.py: the corpus in miniature, each quirk of the release and of its readers by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from stxlib.data.data_dir import DataDir
from stxlib.data.dropped import read_dropped
from stxlib.data.validate import check_data_dir
from stxlib.errors import ConfigError, DataError

HEADER = "id normalized_text speaker_id split sentiment start_second end_second"
BLIND = "id speaker_id split start_second end_second"
RATE = 16000


def write_table(path: Path, header: str, *rows: str) -> None:
    """Rows with ` | ` between cells."""
    lines = ["\t".join(header.split()), *("\t".join(row.split(" | ")) for row in rows)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def ramp(seconds: float) -> np.ndarray:
    """Sample n is n, so that what was cut out is seen in the samples."""
    return np.arange(round(seconds * RATE), dtype=np.int16) % 30000


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """fine-tune: 3 usable rows and 4 of other sentiments or without words; dev: 1; test: blind, 2."""
    root = tmp_path / "corpora" / "slue-voxceleb"
    rows = {
        "fine-tune": (
            'id10010_abc_00001 | i said "yes | id10010 | fine-tune | Positive | 0.5 | 1.2501',
            "id10010_abc_00002 | it's,  well fine. | id10010 | fine-tune | Neutral | 0.0 | 1.5",
            "id10011_abc_00001 | no | id10011 | fine-tune | Negative | 2.01 | 4.02",
            "id10011_abc_00002 | both | id10011 | fine-tune | <mixed> | 0.1 | 0.6",
            "id10011_abc_00003 | either | id10011 | fine-tune | Disagreement | 0.1 | 0.6",
            "id10011_abc_00004 | neither | id10011 | fine-tune | None | 0.1 | 0.6",
            "id10011_abc_00005 | None | id10011 | fine-tune | Neutral | 0.1 | 0.6",
        ),
        "dev": ("id10020_abc_00001 | maybe | None | dev | Neutral | 0.1 | 0.6",),
        "test": (
            "id10030_abc_00001 | id10030 | test | 0.1 | 0.6",
            "id10030_abc_00002 | id10030 | test | 0.2 | 0.7",
        ),
    }
    for part, lines in rows.items():
        (root / f"{part}_raw").mkdir(parents=True)
        blind = part == "test"
        write_table(root / f"slue-voxceleb_{part}{'_blind' * blind}.tsv", BLIND if blind else HEADER, *lines)
        for line in lines:
            seconds = 4.5 if "4.02" in line else 1.5
            soundfile.write(root / f"{part}_raw" / f"{line.split(' ')[0]}.flac", ramp(seconds), RATE)
    return root


@pytest.fixture
def prepare(load_prepare: Callable[[str], ModuleType], corpus: Path, tmp_path: Path) -> Callable[..., Path]:
    module = load_prepare("slue_voxceleb")

    def main(*options: str, of: Path = corpus) -> Path:
        module.main(["--corpus", str(of), "--out", str(tmp_path / "data"), *options])
        return tmp_path / "data"

    return main


def tables(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def snapshot(folder: Path) -> set[tuple[str, int, bytes]]:
    return {(str(p), p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def test_the_tables_are_those_written_by_hand(prepare: Callable[..., Path], corpus: Path) -> None:
    data = prepare()
    raw = corpus / "fine-tune_raw"
    one, two, three = "id10010_abc_00001", "id10010_abc_00002", "id10011_abc_00001"
    table = f"{corpus}/slue-voxceleb_fine-tune.tsv"
    assert tables(data / "train") == {
        "wav.scp": f"{one} {raw}/{one}.flac\n{two} {raw}/{two}.flac\n{three} {raw}/{three}.flac\n",
        "segments": f"{one} {one} 0.5 1.2501\n{two} {two} 0.0 1.5\n{three} {three} 2.01 4.02\n",
        "utt2spk": f"{one} id10010\n{two} id10010\n{three} id10011\n",
        "utt2num_samples": f"{one} 12002\n{two} 24000\n{three} 32160\n",
        "utt2dur": f"{one} 0.7501\n{two} 1.5000\n{three} 2.0100\n",
        "text": f"{one} i said \"yes\n{two} it's, well fine.\n{three} no\n",
        "sentiment": f"{one} Positive\n{two} Neutral\n{three} Negative\n",
        "left_out.txt": f"id10011_abc_00002 sentiment <mixed> ({table}:5)\n"
        f"id10011_abc_00003 sentiment Disagreement ({table}:6)\n"
        f"id10011_abc_00004 sentiment None ({table}:7)\n"
        f"id10011_abc_00005 no words ({table}:8)\n",
    }
    assert {*tables(data / "text_only")} == {"text", "sentiment"}
    for folder in ("train", "dev", "test", "text_only"):
        assert not check_data_dir(data / folder).problems


def test_audio_is_cut_by_seconds_out_of_the_raw_recordings(prepare: Callable[..., Path]) -> None:
    train = DataDir(prepare() / "train")
    # 2.01 s and 4.02 s are a hair less than samples 32160 and 64320, as floats are: the nearest are meant, not those before.
    for utt, first, last in (("id10010_abc_00001", 8000, 20002), ("id10011_abc_00001", 32160, 64320)):
        wave = train.load_wave(utt, RATE)
        assert (wave * 32768).round().astype(int).tolist() == ramp(4.5)[first:last].tolist()
        assert train.measure(utt) == (last - first, RATE)


def test_mixed_and_disagreement_are_left_out_and_told(
    prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data = prepare()
    assert [*DataDir(data / "train").table("sentiment").values()] == ["Positive", "Neutral", "Negative"]
    printed = capsys.readouterr().out
    assert "train: 1 left out: sentiment <mixed> (id10011_abc_00002)" in printed
    assert "train: 1 left out: sentiment Disagreement (id10011_abc_00003)" in printed
    assert len(read_dropped(data / "train")) + len(DataDir(data / "train").utts) == 7


def test_a_blind_test_set_has_audio_and_no_labels(
    prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    test = DataDir(prepare() / "test")
    assert test.streams == {"wav.scp", "segments", "utt2spk", "utt2dur", "utt2num_samples"}
    assert len(test.utts) == 2
    assert "slue-voxceleb_test_blind.tsv is blind: no text and no sentiment" in capsys.readouterr().out


def test_published_labels_of_the_test_set_go_before_the_blind_table(
    prepare: Callable[..., Path], corpus: Path, tmp_path: Path
) -> None:
    row = "id10030_abc_0000{} | oh | id10030 | test | {} | 0.1 | 0.6"
    elsewhere = tmp_path / "published.tsv"
    write_table(elsewhere, HEADER, row.format(1, "Negative"), row.format(2, "<mixed>"))
    test = DataDir(prepare("--test_table", str(elsewhere)) / "test")
    assert test.table("sentiment") == {"id10030_abc_00001": "Negative"}
    write_table(corpus / "slue-voxceleb_test.tsv", HEADER, row.format(1, "Neutral"), row.format(2, "Neutral"))
    test = DataDir(prepare() / "test")
    assert [*test.table("sentiment").values()] == ["Neutral", "Neutral"]


def test_an_unbalanced_quote_does_not_swallow_rows(prepare: Callable[..., Path]) -> None:
    assert DataDir(prepare() / "train").table("text")["id10010_abc_00001"] == 'i said "yes'


def test_a_speaker_that_is_the_word_none_is_one_of_its_own(
    prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    dev = DataDir(prepare() / "dev")
    assert dev.table("utt2spk") == {"id10020_abc_00001": "id10020_abc_00001"}
    assert "slue-voxceleb dev: 1 rows have no speaker" in capsys.readouterr().out


def test_another_number_of_rows_than_the_release_is_told_with_both_numbers(
    prepare: Callable[..., Path], corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare()
    assert "warning: slue-voxceleb train has 7 rows, and the release 5,777" in capsys.readouterr().out


def test_another_number_of_usable_rows_than_the_release_is_told(
    prepare: Callable[..., Path], corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"u{number} | yes | s | dev | Disagreement | 0 | 1" for number in range(1453)]
    write_table(
        corpus / "slue-voxceleb_dev.tsv", HEADER, "id10020_abc_00001 | a | s | dev | Neutral | 0 | 1", *rows
    )
    prepare()
    printed = capsys.readouterr().out
    assert "slue-voxceleb dev has 1 rows with a sentiment that counts, and the release 1,437" in printed
    assert "slue-voxceleb dev has 1,454 rows" not in printed


def test_the_dev_set_of_v01_is_recognized(
    prepare: Callable[..., Path], corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"u{number} | yes | s | dev | <mixed> | 0 | 1" for number in range(953)]
    write_table(
        corpus / "slue-voxceleb_dev.tsv", HEADER, "id10020_abc_00001 | a | s | dev | Neutral | 0 | 1", *rows
    )
    prepare()
    assert "these are the rows of v0.1: get v0.2" in capsys.readouterr().out


def test_a_row_that_ends_after_its_recording_is_cut_there_and_told(
    prepare: Callable[..., Path], corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(
        corpus / "slue-voxceleb_dev.tsv", HEADER, "id10020_abc_00001 | a | s | dev | Neutral | 1 | 2.5"
    )
    dev = DataDir(prepare() / "dev")
    assert dev.table("segments")["id10020_abc_00001"] == "id10020_abc_00001 1 1.5000"
    assert len(dev.load_wave("id10020_abc_00001", RATE)) == 8000
    assert "1 rows end after their recording, and are cut there (id10020" in capsys.readouterr().out


def test_a_rerun_doubles_nothing_and_the_corpus_is_only_read(
    prepare: Callable[..., Path], corpus: Path
) -> None:
    before = snapshot(corpus)
    first = {folder.name: tables(folder) for folder in prepare().iterdir() if folder.is_dir()}
    assert {folder.name: tables(folder) for folder in prepare().iterdir() if folder.is_dir()} == first
    assert snapshot(corpus) == before


def test_a_missing_recording_stops_with_its_row_or_is_left_out_and_listed(
    prepare: Callable[..., Path], corpus: Path
) -> None:
    (corpus / "fine-tune_raw" / "id10010_abc_00002.flac").unlink()
    with pytest.raises(
        DataError, match=r"slue-voxceleb_fine-tune.tsv:3: utterance 'id10010_abc_00002': .*missing audio"
    ):
        prepare()
    data = prepare("--fix", "true")
    assert "id10010_abc_00002" not in DataDir(data / "train").utts
    assert "its audio is missing" in read_dropped(data / "train")["id10010_abc_00002"]
    assert not check_data_dir(data / "train").problems


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "u | a | s | dev | Neutral | 0.5 | 0.5",
            "start_second '0.5', end_second '0.5'; expected 0 <= start < end",
        ),
        ("u | a | s | dev | Neutral | 0 | None", "end_second 'None'; expected"),
        ("u | a | s | dev | Neutral | 1.5 | 2", "u starts at 1.5 s, and its recording has 1.500 s"),
        ("u | a | s | dev | Neutral | 0", "6 columns, not the 7 of the header"),
        ("u v | a | s | dev | Neutral | 0 | 1", "the id 'u v' is no name of a recording"),
        ("u | a | s | dev | Neutral | 0 | 1\nu\ta\ts\tdev\tNeutral\t0\t1", "the id 'u' is on line 2 as well"),
    ],
)
def test_a_row_that_cannot_be_stops_with_file_and_line(
    prepare: Callable[..., Path], corpus: Path, tmp_path: Path, row: str, message: str
) -> None:
    write_table(corpus / "slue-voxceleb_dev.tsv", HEADER, row)
    soundfile.write(corpus / "dev_raw" / "u.flac", ramp(1.5), RATE)
    with pytest.raises(DataError) as caught:
        prepare()
    assert message in str(caught.value)
    assert f"{corpus}/slue-voxceleb_dev.tsv:{3 if 'as well' in message else 2}: " in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_rows_that_tell_no_part_of_their_recording_are_left_out_and_listed(
    prepare: Callable[..., Path], corpus: Path
) -> None:
    rows = [
        "u | a | s | dev | Neutral | {} | {}".format(*times) for times in ((0.5, 0.5), (1.5, 2), (0, "None"))
    ]
    rows = [row.replace("u", f"u{number}", 1) for number, row in enumerate(rows)]
    write_table(
        corpus / "slue-voxceleb_dev.tsv", HEADER, *rows, "id10020_abc_00001 | a | s | dev | Neutral | 0 | 1"
    )
    for number in range(3):
        soundfile.write(corpus / "dev_raw" / f"u{number}.flac", ramp(1.5), RATE)
    with pytest.raises(DataError, match=r"dev.tsv:2: .*0 <= start < end, in seconds, or leave .* --fix true"):
        prepare()
    data = prepare("--fix", "true")
    assert DataDir(data / "dev").utts == ("id10020_abc_00001",)
    reasons = [reason.partition(" (")[0] for reason in read_dropped(data / "dev").values()]
    bad = "its times are no part of a recording"
    assert reasons == [bad, "starts after the end of its recording", bad]
    assert not check_data_dir(data / "dev").problems


def test_what_is_missing_is_named(prepare: Callable[..., Path], corpus: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(
        ConfigError, match="has no slue-voxceleb_fine-tune.tsv nor slue-voxceleb/slue-voxceleb"
    ):
        prepare(of=empty)
    prepare(of=corpus.parent)
    with pytest.raises(ConfigError, match="--test_table /none.tsv: there is no such file"):
        prepare("--test_table", "/none.tsv")
    (corpus / "dev_raw").rename(corpus / "dev")
    with pytest.raises(
        DataError, match="dev_raw: there is no such folder; expected the recordings, <id>.flac"
    ):
        prepare()
    write_table(corpus / "slue-voxceleb_dev.tsv", "id normalized_text start_second", "u | a | 0")
    with pytest.raises(
        DataError, match="has no column end_second sentiment .*; expected a header with id and start_sec"
    ):
        prepare()
    (corpus / "slue-voxceleb_test_blind.tsv").unlink()
    write_table(corpus / "slue-voxceleb_dev.tsv", HEADER, "u | a | s | dev | Neutral | 0 | 1")
    (corpus / "dev").rename(corpus / "dev_raw")
    with pytest.raises(DataError, match="has no slue-voxceleb_test.tsv nor slue-voxceleb_test_blind.tsv"):
        prepare()


def test_every_row_of_the_generated_layout_is_there(
    prepare: Callable[..., Path], mini_layouts: Callable[..., Path], tmp_path: Path
) -> None:
    root = mini_layouts(tmp_path / "mini", "slue_voxceleb", per_split=7) / "slue-voxceleb"
    unblind = root / "slue-voxceleb_test_unblind_standin.tsv"
    data = prepare("--test_table", str(unblind), of=root.parent)
    for name, table in (
        ("train", root / "slue-voxceleb_fine-tune.tsv"),
        ("dev", root / "slue-voxceleb_dev.tsv"),
        ("test", unblind),
    ):
        rows = [line.split("\t") for line in table.read_text().splitlines()[1:]]
        found = DataDir(data / name)
        kept = {row[0]: row for row in rows if row[4] != "<mixed>"}
        assert len(rows) == 7
        assert {*found.utts} == {*kept}
        assert {*read_dropped(data / name)} == {row[0] for row in rows} - {*kept}
        for utt, row in kept.items():
            assert (found.table("text")[utt], found.table("sentiment")[utt]) == (row[1], row[4])
            first, last = (round(float(cell) * RATE) for cell in row[5:])
            whole, _ = soundfile.read(root / f"{row[3]}_raw" / f"{utt}.flac", dtype="float32")
            assert np.array_equal(found.load_wave(utt, RATE), whole[first:last])
