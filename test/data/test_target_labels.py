"""Label streams of data directories, as targets see them."""

from __future__ import annotations

from pathlib import Path

import pytest

from stxlib.data.target_labels import learn_targets, notes_on
from stxlib.errors import ConfigError, DataError
from stxlib.text.target_vocabulary import TargetsConfig


def write(folder: Path, **streams: str) -> Path:
    folder.mkdir()
    for stream, content in streams.items():
        (folder / stream).write_text(content, "utf-8")
    return folder


def test_classes_of_several_folders(tmp_path: Path) -> None:
    speech = write(tmp_path / "speech", text="a x\n", intent="a b_c\n")
    text = write(tmp_path / "text", text="d x\n", semantics='d {"intent": "e", "slots": {"f": "x"}}\n')
    targets = learn_targets(TargetsConfig(tasks=("intent", "slu")), [speech, text])
    assert targets.classes("intent") == ("b_c", "e")
    assert targets.vocabulary.names["slot"] == ("f",)
    assert targets.encode("intent", {"intent": "b_c"}) == "<scenario:b> <action:c>"
    assert notes_on(targets, speech) == notes_on(targets, text) == []


def test_an_utterance_without_all_streams_has_no_target(tmp_path: Path) -> None:
    labels = 'a [{"type": "X", "filler": "x"}]\nb [{"type": "Y", "filler": "y"}]\n'
    folder = write(tmp_path / "set", text="a x\n", entities=labels)
    targets = learn_targets(TargetsConfig(tasks=("ner",)), [folder])
    assert targets.vocabulary.names["entity"] == ("X",)


def test_names_that_training_lacks_are_told_by_frequency(tmp_path: Path) -> None:
    train = write(tmp_path / "train", sentiment="a good\n")
    lines = "".join(f"u{i:02d} {name}\n" for i, name in enumerate(["bad", "good", "worse", "worse"]))
    more = "".join(f"v{i:02d} new{i}\n" for i in range(12))
    targets = learn_targets(TargetsConfig(tasks=("asr", "sentiment")), [train])
    (note,) = notes_on(targets, write(tmp_path / "dev", sentiment=lines + more))
    first = f"{tmp_path / 'dev'}: sentiment: 15 utterances have what the training set lacks: "
    assert note.startswith(first + "sentiment worse, sentiment bad, sentiment new0, ")
    assert note.endswith("sentiment new7 and 4 more (u00 u02 u03 v00 v01 v02 v03 v04 v05 v06 and 5 more)")


def test_errors(tmp_path: Path) -> None:
    empty = write(tmp_path / "empty")
    with pytest.raises(ConfigError, match=r"ner: no stream text/entities in --labels \(.*empty\); give data"):
        learn_targets(TargetsConfig(tasks=("asr", "ner")), [empty])
    bad = write(tmp_path / "bad", semantics="a {}\nb nothing\n")
    with pytest.raises(DataError, match="bad/semantics: b: no JSON"):
        learn_targets(TargetsConfig(tasks=("slu",)), [bad])
    assert learn_targets(TargetsConfig(), []).symbols == ()
