"""egs/slue/local/prepare.py: both corpora of SLUE at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from stxlib.data.corpus_set import CorpusSet
from stxlib.data.data_dir import DataDir
from stxlib.data.dropped import read_dropped
from stxlib.data.slue_corpus import join
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
        join(parts)
