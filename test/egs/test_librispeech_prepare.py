"""egs/librispeech/local/prepare.py: LibriSpeech's tree, Libri-light's parts and the LM corpus as data directories."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from stxlib.data.data_dir import DataDir
from stxlib.data.dropped import read_dropped
from stxlib.data.librispeech_corpus import RELEASED, Speaker, read_speakers
from stxlib.data.sentence_stream import SentenceFilter, write_sentences
from stxlib.data.validate import check_data_dir
from stxlib.errors import ConfigError, DataError

# part -> chapter folder -> id's number -> (samples, words)
TREE = {
    "train-clean-100": {
        "103/1240": {"0000": (16000, "CHAPTER ONE IT'S"), "0001": (24000, "MISSUS  RACHEL")},
        "103/99": {"0000": (8000, "A NAME")},
        "19/198": {"0000": (4000, "NORTHANGER ABBEY")},
    },
    "train-other-500": {"20/205": {"0000": (6400, "ONLY READ")}},
    "dev-clean": {"1272/128104": {"0000": (3200, "MISTER QUILTER")}},
    "dev-other": {"116/288045": {"0000": (1600, "AS I APPROACHED")}},
    "test-clean": {"61/70968": {"0000": (800, "HE BEGAN")}},
    "test-other": {"1688/142285": {"0000": (400, "THERE'S IRON")}},
}
SPEAKERS = """;ID  |SEX| SUBSET           |MINUTES| NAME
19   | F | train-clean-100  | 25.19 | Kara Shallenberg
20   | F | train-other-500  | 30.07 | |MF|
103  | F | train-clean-100  | 25.18 | Karen | Savage
116  | M | dev-other        | 8.05  | Stand In
1272 | M | dev-clean        | 8.01  | Stand In
61   | M | test-clean       | 8.08  | Stand In
1688 | M | test-other       | 8.02  | Stand In
"""


def write_chapter(folder: Path, rows: dict[str, tuple[int, str]]) -> None:
    """A chapter as released; folder: ends in <speaker>/<chapter>."""
    name = f"{folder.parent.name}-{folder.name}"
    folder.mkdir(parents=True)
    for number, (samples, _) in rows.items():
        soundfile.write(folder / f"{name}-{number}.flac", np.zeros(samples), 16000)
    lines = [f"{name}-{number} {words}\n" for number, (_, words) in rows.items()]
    (folder / f"{name}.trans.txt").write_text("".join(lines))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "corpus" / "LibriSpeech"
    for part, chapters in TREE.items():
        for chapter, rows in chapters.items():
            write_chapter(root / part / chapter, rows)
    (root / "SPEAKERS.TXT").write_text(SPEAKERS)
    return root.parent


@pytest.fixture
def prepare(load_prepare: Callable[[str], ModuleType], corpus: Path) -> Callable[..., Path]:
    """prepare("--option", ...) -> the folder of the data directories."""
    module = load_prepare("librispeech")

    def main(*options: object) -> Path:
        out = corpus.parent / "data"
        module.main(["--corpus", str(corpus), "--out", str(out), *map(str, options)])
        return out

    return main


def chapter_of(corpus: Path) -> Path:
    return corpus / "LibriSpeech" / "train-clean-100" / "103" / "1240"


def tables(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if not path.name.startswith(".")}


def snapshot(folder: Path) -> set[tuple[str, int, bytes]]:
    return {(str(p), p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def test_tables_are_those_written_by_hand(
    corpus: Path, prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(corpus)
    out = prepare()
    assert snapshot(corpus) == before
    root = corpus.resolve() / "LibriSpeech" / "train-clean-100"
    assert tables(out / "train") == {
        "text": "103-1240-0000 chapter one it's\n103-1240-0001 missus rachel\n103-99-0000 a name\n"
        "19-198-0000 northanger abbey\n",
        "utt2spk": "103-1240-0000 103\n103-1240-0001 103\n103-99-0000 103\n19-198-0000 19\n",
        "utt2num_samples": "103-1240-0000 16000\n103-1240-0001 24000\n103-99-0000 8000\n19-198-0000 4000\n",
        "utt2dur": "103-1240-0000 1.0000\n103-1240-0001 1.5000\n103-99-0000 0.5000\n19-198-0000 0.2500\n",
        "wav.scp": f"103-1240-0000 {root}/103/1240/103-1240-0000.flac\n"
        f"103-1240-0001 {root}/103/1240/103-1240-0001.flac\n"
        f"103-99-0000 {root}/103/99/103-99-0000.flac\n19-198-0000 {root}/19/198/19-198-0000.flac\n",
        "spk2gender": "103 f\n19 f\n",
        "origin.txt": "all of train-clean-100\n",
    }
    assert DataDir(out / "dev").utts == ("116-288045-0000", "1272-128104-0000")
    for part in ("dev-clean", "dev-other", "test-clean", "test-other"):
        ((chapter, rows),) = TREE[part].items()
        ((number, (samples, words)),) = rows.items()
        data = DataDir(out / part)
        assert data.table("text") == {f"{chapter.replace('/', '-')}-{number}": words.lower()}
        assert [*data.table("utt2num_samples").values()] == [str(samples)]
    for folder in out.iterdir():
        if folder.is_dir():
            assert not check_data_dir(folder).problems
    assert f"{out / 'train'}: 0.00 h, 4 utterances, 2 speakers, 9 word types" in capsys.readouterr().out


def test_a_rerun_doubles_nothing(prepare: Callable[..., Path]) -> None:
    first = {str(p.relative_to(p.parents[1])): p.read_bytes() for p in prepare().rglob("*") if p.is_file()}
    again = {str(p.relative_to(p.parents[1])): p.read_bytes() for p in prepare().rglob("*") if p.is_file()}
    assert first == again


def test_the_corpus_may_be_given_as_librispeech_itself_and_in_chosen_parts(
    corpus: Path, prepare: Callable[..., Path]
) -> None:
    out = prepare("--corpus", corpus / "LibriSpeech", "--sets", "test-other", "--dev", "dev-clean")
    folders = {path.name for path in out.iterdir() if path.is_dir()}
    assert folders == {"train", "dev", "test-other"}
    assert DataDir(out / "dev").utts == ("1272-128104-0000",)


def test_several_parts_to_learn_from(prepare: Callable[..., Path]) -> None:
    out = prepare("--train", "train-clean-100", "train-other-500")
    assert len(DataDir(out / "train").utts) == 5


def test_mini_librispeech_is_the_same_tree(
    corpus: Path, prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = corpus / "LibriSpeech"
    (root / "train-clean-100").rename(root / "train-clean-5")
    (root / "dev-clean").rename(root / "dev-clean-2")
    out = prepare("--train", "train-clean-5", "--dev", "dev-clean-2", "--sets", "dev-clean-2")
    assert len(DataDir(out / "train").utts) == 4
    assert len(DataDir(out / "dev-clean-2").utts) == 1
    assert "warning" not in capsys.readouterr().out  # the number of its utterances is not known


def test_a_row_count_unlike_the_release_is_a_warning_with_both_numbers(
    prepare: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(RELEASED, "train-clean-100", 4)
    prepare()
    printed = capsys.readouterr().out
    assert "warning: test-clean has 1 utterances, and the release 2,620 (num_examples of" in printed
    assert "train-clean-100 has" not in printed


# ---- quirks of the release


def test_names_of_speakers_hold_bars(tmp_path: Path) -> None:
    (tmp_path / "SPEAKERS.TXT").write_text(SPEAKERS)
    speakers = read_speakers(tmp_path / "SPEAKERS.TXT")
    assert len(speakers) == 7
    assert speakers["103"] == Speaker("F", "train-clean-100", 25.18, "Karen | Savage")
    assert speakers["20"].name == "|MF|"
    (tmp_path / "SPEAKERS.TXT").write_text("; ID\n\n19 | F | train-clean-100\n")
    with pytest.raises(DataError, match=r"SPEAKERS.TXT:3: '19 | F | train-clean-100'; expected ID | SEX"):
        read_speakers(tmp_path / "SPEAKERS.TXT")


def test_a_speaker_with_several_chapters_is_one_speaker(prepare: Callable[..., Path]) -> None:
    assert DataDir(prepare() / "train").speakers == ("103", "19")


def test_speakers_of_another_part_are_told(
    corpus: Path, prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (corpus / "LibriSpeech" / "SPEAKERS.TXT").write_text(SPEAKERS.replace("dev-other", "test-clean"))
    prepare()
    assert "warning: dev-other: 1 speakers are of another part by" in capsys.readouterr().out


def test_without_a_table_of_speakers_there_are_no_genders(
    corpus: Path, prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = corpus / "LibriSpeech" / "SPEAKERS.TXT"
    path.write_text(SPEAKERS.replace("19   |", "18   |"))
    out = prepare()
    assert (
        f"note: {path.resolve()} lacks 1 speakers (19): train gets no spk2gender" in capsys.readouterr().out
    )
    assert not (out / "train" / "spk2gender").exists()
    assert (out / "dev" / "spk2gender").exists()
    path.unlink()
    prepare()
    assert "SPEAKERS.TXT is not there: train gets no spk2gender" in capsys.readouterr().out


def test_hidden_files_of_archives_are_no_audio(corpus: Path, prepare: Callable[..., Path]) -> None:
    for name in ("._103-1240-0000.flac", "._103-1240.trans.txt"):
        (chapter_of(corpus) / name).write_bytes(b"\0\5\x16\7")
    assert len(DataDir(prepare() / "train").utts) == 4


def test_a_transcript_without_words_is_left_out_and_listed(
    corpus: Path, prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = chapter_of(corpus) / "103-1240.trans.txt"
    path.write_text("103-1240-0000\n103-1240-0001 MISSUS RACHEL\n\n")
    out = prepare()
    assert len(DataDir(out / "train").utts) == 3
    assert read_dropped(out / "train") == {"103-1240-0000": f"no words ({path.resolve()}:1)"}
    assert "train: 1 left out: no words (103-1240-0000)" in capsys.readouterr().out


# ---- a corpus that is not whole


def test_missing_audio_stops_or_is_left_out(corpus: Path, prepare: Callable[..., Path]) -> None:
    (chapter_of(corpus) / "103-1240-0001.flac").unlink()
    with pytest.raises(DataError, match=r"103-1240.trans.txt:2: utterance '103-1240-0001': .*missing audio"):
        prepare()
    assert not (corpus.parent / "data").exists()
    out = prepare("--fix", "true")
    assert len(DataDir(out / "train").utts) == 3
    assert [*read_dropped(out / "train")] == ["103-1240-0001"]


def test_audio_without_a_transcript_stops_or_is_left_out(corpus: Path, prepare: Callable[..., Path]) -> None:
    (chapter_of(corpus) / "103-1240.trans.txt").write_text("103-1240-0000 A\n")
    with pytest.raises(DataError, match=r"103-1240-0001.flac: has no line in 103-1240.trans.txt; restore"):
        prepare()
    out = prepare("--fix", "true")
    assert read_dropped(out / "train")["103-1240-0001"].startswith("no transcript (")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "103-1240-0000 A\n103-1241-0001 B\n",
            r"trans.txt:2: '103-1241-0001' is no id of this chapter, whose begin with 103-1240-",
        ),
        ("103-1240-0000 A\n103-1240-0000 B\n", r"trans.txt:2: '103-1240-0000' is on line 1 as well"),
    ],
)
def test_a_wrong_id_is_told(corpus: Path, prepare: Callable[..., Path], lines: str, message: str) -> None:
    (chapter_of(corpus) / "103-1240.trans.txt").write_text(lines)
    with pytest.raises(DataError, match=message):
        prepare()


def test_a_chapter_without_transcripts_is_told(corpus: Path, prepare: Callable[..., Path]) -> None:
    (chapter_of(corpus) / "103-1240.trans.txt").unlink()
    with pytest.raises(DataError, match=r"103-1240.trans.txt: there is no such file, and 2 recordings"):
        prepare()


def test_a_missing_part_is_told(corpus: Path, prepare: Callable[..., Path]) -> None:
    with pytest.raises(
        DataError, match=r"has no part train-clean-360 \(it has: dev-clean .*\); unpack train-c"
    ):
        prepare("--train", "train-clean-360")
    (corpus / "LibriSpeech" / "test-clean").rename(corpus / "LibriSpeech" / "moved")  # it would be told later
    for option in ("--text", "--train_list"):
        with pytest.raises(ConfigError, match=f"{option} {corpus}/nowhere: there is no such file"):
            prepare(option, corpus / "nowhere")
    with pytest.raises(DataError, match=r"utils/download.py librispeech fetches it"):
        prepare("--corpus", corpus / "nowhere")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--train_hours", "1", "--train_list", "x"], "both say what train is"),
        (["--sets", "dev"], "--sets dev: is a folder of its own"),
        (["--train", "../x"], "is no name of a part"),
        (["--text", "{corpus}/SPEAKERS.TXT", "--text_share", "0"], "0 < share <= 1"),
        (["--text_share", "0.1"], "--text_share: is of --text, which is not given"),
        (["--text_max_characters", "10"], "--text_max_characters: is of --text, which is not given"),
        (["--libri_light_amount", "1h"], "--libri_light_amount: is of --libri_light, which is not given"),
        (
            ["--libri_light", "x", "--train", "train-clean-100"],
            "--train and --libri_light: both say what train",
        ),
        (["--train", "train-clean-100", "dev-clean"], "--train dev-clean: is in --dev or --sets, too"),
        (["--train", "test-other"], "--train test-other: is in --dev or --sets, too"),
        (["--text_parts", "test-clean"], "--text_parts test-clean: is in --dev or --sets, too"),
        (["--sets", "train-clean-100"], "--train train-clean-100: is in --dev or --sets, too"),
        (["--train_hours", "-1"], "--train_hours -1: give a number above 0"),
    ],
)
def test_options_that_contradict_are_told(
    corpus: Path, prepare: Callable[..., Path], options: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare(*(option.format(corpus=corpus / "LibriSpeech") for option in options))


def test_the_corpus_is_never_written_to(corpus: Path, prepare: Callable[..., Path]) -> None:
    before = snapshot(corpus)
    for out in (corpus, corpus / "LibriSpeech" / "data", corpus.parent):
        with pytest.raises(ConfigError, match="never written to"):
            prepare("--out", out)
    assert snapshot(corpus) == before


# ---- parts of train


def test_a_list_of_ids_or_paths_chooses_what_to_learn_from(
    corpus: Path, prepare: Callable[..., Path]
) -> None:
    chosen = corpus.parent / "10h.txt"
    chosen.write_text("19-198-0000\n/some/where/103-99-0000.flac 8000\n\n19-198-0000\n")
    out = prepare("--train_list", chosen)
    assert DataDir(out / "train").utts == ("103-99-0000", "19-198-0000")
    assert not check_data_dir(out / "train").problems
    assert (out / "train" / "origin.txt").read_text() == (
        "the utterances of train-clean-100 in the list 10h.txt\n"
    )
    chosen.write_text("19-198-0000\n20-205-0000\n")
    with pytest.raises(
        DataError, match=r"10h.txt:2: '20-205-0000' is not in train-clean-100 \(1 such\); name"
    ):
        prepare("--train_list", chosen)
    both = ["--train", "train-clean-100", "train-other-500"]
    assert len(DataDir(prepare("--train_list", chosen, *both) / "train").utts) == 2
    chosen.write_text("\n")
    with pytest.raises(DataError, match="holds no id"):
        prepare("--train_list", chosen)


def test_of_a_list_that_alone_is_told_which_is_left_out_of_it(
    corpus: Path, prepare: Callable[..., Path]
) -> None:
    (chapter_of(corpus) / "103-1240.trans.txt").write_text("103-1240-0000\n103-1240-0001\n")
    chosen = corpus.parent / "ids"
    chosen.write_text("19-198-0000\n103-1240-0001\n")
    out = prepare("--train_list", chosen)
    assert DataDir(out / "train").utts == ("19-198-0000",)
    assert [*read_dropped(out / "train")] == ["103-1240-0001"]


def test_an_own_subset_is_called_so_and_a_smaller_one_is_part_of_it(
    prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = {}
    for seconds in (0.5, 1.6, 2.8):
        out = prepare("--train_hours", seconds / 3600, "--seed", 3)
        data = DataDir(out / "train")
        assert not check_data_dir(out / "train").problems
        assert {*data.table("spk2gender")} == {*data.speakers}
        drawn[seconds] = {*data.utts}
        assert sum(data.seconds.values()) <= seconds
    assert drawn[0.5] <= drawn[1.6] <= drawn[2.8]
    assert (
        "own subset, 0.000777778 h of train-clean-100 by seed 3; not Libri-light's" in capsys.readouterr().out
    )
    assert {path.name for path in out.iterdir()} == {
        *(".made_by_a_recipe", "train", "dev", "dev-clean", "dev-other", "test-clean", "test-other")
    }


@pytest.mark.parametrize(("amount", "count"), [("10min", 2), ("1h", 4), ("10h", 6)])
def test_libri_lights_parts(corpus: Path, prepare: Callable[..., Path], amount: str, count: int) -> None:
    root = corpus.parent / "light" / "librispeech_finetuning"
    row = {"0000": (1600, "WORDS OF IT")}
    for number, (folder, kind) in enumerate(
        (folder, kind) for folder in ("1h/0", "1h/5", "9h") for kind in ("clean", "other")
    ):
        write_chapter(root / folder / kind / "70" / str(number), row)
    out = prepare("--libri_light", corpus.parent / "light", "--libri_light_amount", amount)
    data = DataDir(out / "train")
    assert data.utts == tuple(f"70-{number}-0000" for number in range(count))
    assert (out / "train" / "origin.txt").read_text() == f"Libri-light's {amount}\n"
    assert not check_data_dir(out / "train").problems


def test_what_is_learnt_from_is_in_no_other_set_under_whatever_name(
    corpus: Path, prepare: Callable[..., Path]
) -> None:
    root = corpus.parent / "librispeech_finetuning"
    for folder in ("1h/0", "9h"):
        write_chapter(root / folder / "clean" / "70" / folder[0], {"0000": (1600, "A")})
    write_chapter(root / "9h" / "clean" / "1272" / "128104", {"0000": (1600, "A")})  # of dev-clean
    light = ["--libri_light", root]
    with pytest.raises(
        DataError, match=r"'1272-128104-0000' is learnt from \(Libri-light's 10h\), and is at .*dev-c"
    ):
        prepare(*light)
    others = ["--dev", "dev-other", "--sets", "test-clean"]
    assert "1272-128104-0000" in DataDir(prepare(*light, *others) / "train").utts
    assert len(DataDir(prepare(*light, "--libri_light_amount", "1h") / "train").utts) == 1
    shutil.copytree(corpus / "LibriSpeech" / "dev-clean", corpus / "LibriSpeech" / "dev-clean-2")
    with pytest.raises(DataError, match=r"is learnt from \(all of dev-clean-2\).* \(1 such in dev-clean\)"):
        prepare("--train", "dev-clean-2")
    with pytest.raises(DataError, match=r"is learnt from \(--text_parts\)"):
        prepare("--text_parts", "dev-clean-2")


def test_libri_light_that_is_not_whole_is_told(corpus: Path, prepare: Callable[..., Path]) -> None:
    root = corpus.parent / "librispeech_finetuning"
    write_chapter(root / "1h" / "0" / "clean" / "70" / "1", {"0000": (1600, "A")})
    with pytest.raises(DataError, match="has no folder 9h, which is of its 10h; give librispeech_finetuning"):
        prepare("--libri_light", root)
    write_chapter(root / "9h" / "clean" / "70" / "1", {"0000": (1600, "A")})
    with pytest.raises(DataError, match=r"'70-1-0000' is at .*1h.* as well \(1 such\)"):
        prepare("--libri_light", root)


# ---- text without speech


def test_transcripts_and_sentences_become_text_only(
    corpus: Path, prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    lm = corpus.parent / "lm.txt.gz"
    lines = [
        "IT'S  A LINE",
        "",
        "103-1240-0003 WITH AN ID",
        "NAÏVE",
        "YEAR 1984",
        "X" * 1000,
        "X" * 999,
        "LAST",
    ]
    with gzip.open(lm, "wt") as file:
        file.write("\n".join(lines))
    more = corpus.parent / "more.txt"
    more.write_text("one more\n")
    for path in (corpus / "LibriSpeech" / "train-other-500").rglob("*.flac"):
        path.unlink()  # transcripts alone are read
    out = prepare(
        "--text", lm, more, "--text_parts", "train-other-500", "train-clean-100", "--train_hours", 2e-4
    )
    kept = DataDir(out / "train").utts
    left = {
        f"{chapter.replace('/', '-')}-{number}": " ".join(words.lower().split())
        for chapter, rows in TREE["train-clean-100"].items()
        for number, (_, words) in rows.items()
    }
    expected = {utt: text for utt, text in left.items() if utt not in kept} | {"20-205-0000": "only read"}
    expected |= {
        "lm-000000001": "it's a line",
        "lm-000000003": "with an id",
        "lm-000000007": "x" * 999,
        "lm-000000008": "last",
        "lm-000000009": "one more",
    }
    data = DataDir(out / "text_only")
    assert data.table("text") == expected
    assert not check_data_dir(out / "text_only").problems
    assert read_dropped(out / "text_only") == dict.fromkeys(kept, "in train as speech") | {
        "lm-000000002": "empty line",
        "lm-000000004": "characters that are neither letters a-z nor apostrophes",
        "lm-000000005": "characters that are neither letters a-z nor apostrophes",
        "lm-000000006": "too long",
    }
    assert len(expected) + len(read_dropped(out / "text_only")) == 4 + 1 + len(lines) + 1
    printed = capsys.readouterr().out
    assert "text_only: 1 left out: empty line (lm-000000002)" in printed
    assert "text_only: utterance ids removed before 1 sentences" in printed
    words = [word for text in expected.values() for word in text.split()]
    assert f"no audio, {len(expected)} sentences, {len(words)} words, {len({*words})} word types" in printed


def test_a_smaller_share_of_the_text_is_part_of_a_larger_one(tmp_path: Path) -> None:
    path = tmp_path / "lm.txt"
    path.write_text("A SENTENCE\n" * 1000)
    drawn = {}
    for share in (0.1, 0.4, 1.0):
        folder = tmp_path / str(share)
        streamed = write_sentences(folder, [path], SentenceFilter(share=share))
        drawn[share] = {*DataDir(folder).utts}
        assert streamed.num_sentences == len(drawn[share])
        assert streamed.num_sentences + streamed.num_not_drawn == streamed.num_lines == 1000
        assert abs(len(drawn[share]) - 1000 * share) < 60
        assert not (folder / "left_out.txt").exists()
    assert drawn[0.1] < drawn[0.4] < drawn[1.0]
    # The draw is by line and seed, on every machine: BLAKE2b of "1 lm-..."
    assert sorted(drawn[0.1])[:2] == ["lm-000000009", "lm-000000016"]
    other = write_sentences(tmp_path / "other", [path], SentenceFilter(share=0.1, seed=2))
    assert {*DataDir(tmp_path / "other").utts} != drawn[0.1]
    assert other.num_sentences > 0


def test_text_that_breaks_off_is_told(corpus: Path, prepare: Callable[..., Path]) -> None:
    whole = gzip.compress(b"A SENTENCE\n" * 1000)
    path = corpus.parent / "lm.txt.gz"
    path.write_bytes(whole[:-20])
    with pytest.raises(DataError, match=r"lm.txt.gz: cannot be read: .*; give UTF-8 text, plain or gzipped"):
        prepare("--text", path)
    assert not (corpus.parent / "data").exists()
    path.write_bytes(whole[:20] + bytes(byte ^ 0xFF for byte in whole[20:]))
    with pytest.raises(DataError, match=r"lm.txt.gz: cannot be read: .*decompressing"):
        prepare("--text", path)
    path.write_bytes(gzip.compress(b"123\n"))
    for words, message in (
        (
            ["--text", path],
            r"lm.txt.gz: no sentence of 1 is left \(1: characters that .*\); give others: lines of l",
        ),
        (["--text", path, "--text_share", "1e-9"], r"\(1: not drawn\); draw a larger share"),
        (
            ["--text_parts", "train-clean-100"],
            r"\(4: in train as speech\); give .* transcripts that are not learnt",
        ),
    ):
        with pytest.raises(DataError, match=message):
            prepare(*words)
    path.write_bytes(gzip.compress(b"a b\n"))
    with pytest.raises(DataError, match=r"\(1: too long\); .*allow more characters"):
        prepare("--text", path, "--text_max_characters", "2")
    path.write_bytes(gzip.compress(b""))
    with pytest.raises(DataError, match=r"lm.txt.gz: holds no line; give sentences"):
        prepare("--text", path)


def test_every_row_of_another_generators_corpus_is_read(
    mini_layouts: Callable[..., Path], load_prepare: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    made = mini_layouts(tmp_path / "made", "librispeech", per_split=6)
    out = tmp_path / "data"
    words = ["--corpus", str(made), "--out", str(out), "--dev", "dev-clean", "--sets", "test-clean"]
    load_prepare("librispeech").main([*words, "--text", str(made / "librispeech-lm-norm.txt.gz")])
    for name, part in {"train": "train-clean-100", "dev": "dev-clean", "test-clean": "test-clean"}.items():
        lines = [
            line
            for path in (made / "LibriSpeech" / part).rglob("*.trans.txt")
            for line in path.read_text().splitlines()
        ]
        assert len(lines) == 6
        data = DataDir(out / name)
        assert data.table("text") == {line.split()[0]: line.split(" ", 1)[1].lower() for line in lines}
        assert not read_dropped(out / name)
        assert not check_data_dir(out / name).problems
        assert all(len(data.load_wave(utt, 16000)) > 1600 for utt in data.utts)
    with gzip.open(made / "librispeech-lm-norm.txt.gz", "rt") as file:
        sentences = file.read().splitlines()
    text = DataDir(out / "text_only").table("text")
    assert [*text.values()] == [sentence.lower() for sentence in sentences]
