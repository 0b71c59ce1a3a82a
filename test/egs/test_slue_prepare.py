"""egs/slue/local/prepare.py: both corpora of SLUE at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from stxlib.data.corpus_set import CorpusSet, merge
from stxlib.data.data_dir import DataDir
from stxlib.data.dropped import read_dropped
from stxlib.data.validate import check_data_dir
from stxlib.errors import ConfigError, DataError


@pytest.fixture
def corpora(mini_layouts: Callable[..., Path], tmp_path: Path) -> Path:
    mini_layouts(tmp_path / "corpora", "slue_voxceleb", per_split=5)
    return mini_layouts(tmp_path / "corpora", "slue_voxpopuli", per_split=5)


def test_every_row_of_both_is_in_its_set_and_in_the_common_ones(
    load_prepare: Callable[[str], ModuleType], corpora: Path, tmp_path: Path
) -> None:
    out = tmp_path / "data"
    load_prepare("slue").main(["--corpus", str(corpora), "--out", str(out)])
    for name in ("train", "dev"):
        celeb, populi, both = (DataDir(out / f"{name}{end}") for end in ("_voxceleb", "_voxpopuli", ""))
        assert len(celeb.utts) + len(read_dropped(celeb.path)) == len(populi.utts) == 5
        assert {*both.utts} == {*celeb.utts} | {*populi.utts}
        assert both.streams == {"wav.scp", "segments", "text", "utt2spk", "utt2dur", "utt2num_samples"}
        for part in (celeb, populi):
            for utt in part.utts:
                assert both.table("text")[utt] == part.table("text")[utt]
                assert (both.load_wave(utt, 16000) == part.load_wave(utt, 16000)).all()
                assert both.measure(utt) == part.measure(utt)
        assert not check_data_dir(both.path).problems
    assert {path.name for path in out.iterdir() if path.is_dir()} == {
        *(f"{name}{end}" for name in ("train", "dev") for end in ("", "_voxceleb", "_voxpopuli")),
        "test_voxceleb",
        "test_voxpopuli",
        "text_only",
    }


@pytest.mark.parametrize("name", ["voxceleb", "voxpopuli"])
def test_a_missing_recording_stops_with_its_row_or_is_left_out_of_its_sets(
    load_prepare: Callable[[str], ModuleType], corpora: Path, tmp_path: Path, name: str
) -> None:
    folder, suffix = ("fine-tune_raw", ".flac") if name == "voxceleb" else ("fine-tune", ".ogg")
    recording = min((corpora / f"slue-{name}" / folder).glob(f"*{suffix}"))
    words = ["--corpus", str(corpora), "--out", str(tmp_path / "data")]
    main = load_prepare("slue").main
    main(words)
    before = {part.name: len(DataDir(part).utts) for part in (tmp_path / "data").iterdir() if part.is_dir()}
    dropped = len(read_dropped(tmp_path / "data" / "train"))
    recording.write_bytes(b"") if name == "voxceleb" else recording.unlink()
    with pytest.raises(DataError, match=rf"slue-{name}_fine-tune.tsv:\d+: utterance '.*--fix true"):
        main(words)
    main([*words, "--fix", "true"])
    for part in ("train", f"train_{name}"):
        data = DataDir(tmp_path / "data" / part)
        assert len(data.utts) == before[part] - 1 and recording.stem not in data.utts
        assert "its audio" in read_dropped(data.path)[recording.stem]
        assert not check_data_dir(data.path).problems
    assert len(read_dropped(tmp_path / "data" / "train")) == dropped + 1


def test_what_either_corpus_leaves_out_is_listed_in_the_common_sets(
    load_prepare: Callable[[str], ModuleType], corpora: Path, tmp_path: Path
) -> None:
    table = corpora / "slue-voxceleb" / "slue-voxceleb_dev.tsv"
    header, *rows = table.read_text().splitlines()
    column = header.split("\t").index("sentiment")
    cells = rows[0].split("\t")
    rows[0] = "\t".join([*cells[:column], "Disagreement", *cells[column + 1 :]])
    table.write_text("\n".join([header, *rows]) + "\n")
    out = tmp_path / "data"
    load_prepare("slue").main(["--corpus", str(corpora), "--out", str(out)])
    for name in ("train", "dev"):
        listed = read_dropped(out / f"{name}_voxceleb") | read_dropped(out / f"{name}_voxpopuli")
        assert read_dropped(out / name) == listed
        assert len(DataDir(out / name).utts) + len(listed) == 10  # the rows of both tables
    assert read_dropped(out / "dev")[cells[0]] == f"sentiment Disagreement ({table.resolve()}:2)"


def test_a_missing_corpus_is_named(
    load_prepare: Callable[[str], ModuleType], corpora: Path, tmp_path: Path
) -> None:
    (corpora / "slue-voxpopuli").rename(corpora / "elsewhere")
    with pytest.raises(ConfigError, match="has no slue-voxpopuli/slue-voxpopuli_fine-tune.tsv"):
        load_prepare("slue").main(["--corpus", str(corpora), "--out", str(tmp_path / "data")])


def test_an_id_that_both_have_is_an_error() -> None:
    parts = [CorpusSet(), CorpusSet()]
    for number, part in enumerate(parts):
        part.add("u", f"table{number}:2", {"text": "yes"}, Path("u.flac"))
    with pytest.raises(DataError, match="table1:2: the id 'u' is at table0:2 as well"):
        merge(parts)
