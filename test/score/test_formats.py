"""Files of SLURP and SLUE as references and predictions, and how their formats are told apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stxlib.data.slue_table import read_slue_tsv
from stxlib.data.tables import write_table
from stxlib.errors import DataError
from stxlib.score.formats import look, read_labels
from stxlib.score.inputs import read_pairs, read_speakers
from stxlib.score.metric import Inputs
from stxlib.text.labels import Entity, read_entities, read_frame

VOXPOPULI = """id\traw_text\tnormalized_text\tspeaker_id\tsplit\traw_ner\tnormalized_ner
20131007-PLENARY_21:26:04_7\tX\tin "europe's north. ms. x, 2 december\tNone\tdev\tNone\t[['LOC', 4, 14], ['PERSON', 20, 5], ['DATE', 27, 10]]
20131007-PLENARY_21:26:04_8\tX\tnone of us\tNone\tdev\tNone\tNone
"""
SUBMISSION = """id\tpred_text\tpred_ner\tpred_sentiment
id1_00001\tlike i said\tNone\tPositive
20131007-PLENARY_21:26:04_7\tin europe\t[['LOC', "europe 's north"], ['PERSON', 'ms x']]\tNone
20131007-PLENARY_21:26:04_8\tNone\tNone\tNone
"""


def lines(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_formats_are_told_by_looking(tmp_path: Path) -> None:
    texts = {
        "slurp": '\n\n{"file": "a"}\n',
        "slue": VOXPOPULI,
        "data_dir": "id normalized_text\tx\nutt2 {\n",
    }
    for expected, text in texts.items():
        (tmp_path / expected).write_text(text)
        assert look(tmp_path / expected) == expected
    (tmp_path / "bom").write_bytes(b"\xef\xbb\xbf" + SUBMISSION.encode())
    assert look(tmp_path / "bom") == "slue" and look(tmp_path) == "data_dir"


def test_slurp_gold_with_spans_and_with_fillers(tmp_path: Path) -> None:
    spans = {
        "slurp_id": 7,
        "sentence": "wake  Me at Seven AM",
        "intent": "music",  # not scenario_action: as some records of the release
        "scenario": "alarm",
        "action": "set_now",
        "tokens": [{"surface": word, "id": i} for i, word in enumerate(["wake", "Me", "at", "Seven", "AM"])],
        "recordings": [{"file": "a.flac", "ent_wer": None}, {"file": "b.flac"}],
        "entities": [{"span": [3, 4], "type": "time"}, {"span": [1]}],
    }
    path = lines(tmp_path / "gold.jsonl", spans)
    labels = read_labels(path, ["semantics", "intent", "text"], "ref")
    assert list(labels.streams["semantics"]) == ["a.flac", "b.flac"]
    frame = read_frame(labels.streams["semantics"]["b.flac"])
    assert (frame.scenario, frame.action) == ("alarm", "set_now")
    assert frame.slots == (Entity("time", "seven am"), Entity("unknown", "me"))
    assert labels.streams["intent"]["a.flac"] == "alarm_set_now"
    assert labels.streams["text"]["a.flac"] == "wake Me at Seven AM"
    assert labels.sentences == {"a.flac": "7", "b.flac": "7"}
    fillers = {**spans, "entities": [{"type": "time", "filler": "Seven AM"}], "n_recordings": 2}
    del fillers["recordings"], fillers["tokens"]
    lines(path, fillers)
    with pytest.raises(
        DataError, match=r"gold.jsonl:1: has neither `file` nor `recordings`; .*--load_gold true"
    ):
        read_labels(path, ["semantics"], "ref")
    labels = read_labels(path, ["semantics"], "ref", load_gold=True)
    assert read_frame(labels.streams["semantics"]["7"]).slots == (Entity("time", "seven am"),)
    # Predictions keep their case, as in the official script.
    labels = read_labels(path, ["semantics"], "hyp", load_gold=True)
    assert read_frame(labels.streams["semantics"]["7"]).slots == (Entity("time", "Seven AM"),)


def test_release_of_slurp_without_recordings(test_data: Path) -> None:
    """The gold with fillers, read whole: duplicates of entities, and intents that are not scenario_action, are there."""
    path = test_data / "data" / "text_slurp" / "test.jsonl"
    pairs = read_pairs(Inputs(ref=path, hyp=path, load_gold=True), "semantics")
    frames = [read_frame(value) for value in pairs.references.values()]
    assert len(frames) == 2974
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [frame.intent for frame in frames] == [f"{r['scenario']}_{r['action']}" for r in records]
    assert sum(record["intent"] != frame.intent for record, frame in zip(records, frames, strict=True)) > 20
    assert all(slot.filler == slot.filler.lower() for frame in frames for slot in frame.slots)


def test_slurp_recordings_under_two_sentences(tmp_path: Path) -> None:
    first = {"slurp_id": 1, "scenario": "a", "action": "b", "tokens": [], "recordings": [{"file": "x.flac"}]}
    path = lines(tmp_path / "gold.jsonl", first, {**first, "slurp_id": 2, "action": "c"})
    labels = read_labels(path, ["intent"], "ref")
    assert labels.streams["intent"] == {"x.flac": "a_c"} and labels.repeated == ()
    assert "1 recordings stand under several sentences" in labels.notes[0]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ('{"file": "a", "scenario": "x", "entities": []}', r"p.jsonl:2: has no `action`"),
        (
            '{"file": "a", "scenario": "x", "action": "y", "entities": [{"filler": "z"}]}',
            r":2: an entity has no `type`",
        ),
        (
            '{"file": "a", "scenario": "x", "action": "y", "entities": [{"type": "z"}]}',
            r":2: an entity has neither",
        ),
        ('{"file": "a", "scenario": "x", "action": "y", "entities": "z"}', r":2: `entities` is not a list"),
        ('{"slurp_id": 3, "scenario": "x", "action": "y"}', r":2: has neither `file` nor `recordings`"),
        ('{"file": "a"', r":2: no JSON"),
        ('["a"]', r":2: .*expected an object a line"),
        ('{"recordings": [3], "scenario": "x", "action": "y"}', r":2: `recordings` is not a list of objects"),
    ],
)
def test_broken_slurp_records(tmp_path: Path, record: str, message: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"file": "b", "scenario": "x", "action": "y"}\n' + record + "\n")
    with pytest.raises(DataError, match=message):
        read_labels(path, ["semantics"], "hyp")


def test_load_gold_needs_slurp_ids(tmp_path: Path) -> None:
    path = lines(tmp_path / "p.jsonl", {"file": "b", "scenario": "x", "action": "y"})
    with pytest.raises(DataError, match=r"p.jsonl:1: has no `slurp_id`; leave --load_gold out"):
        read_labels(path, ["semantics"], "hyp", load_gold=True)


def test_files_that_are_not_read(tmp_path: Path) -> None:
    record = '{"file": "b", "scenario": "x", "action": "y"}'
    for text in (f"[{record}]\n", f"[\n{record}\n]\n"):
        (tmp_path / "p.jsonl").write_text(text)
        with pytest.raises(DataError, match=r"p.jsonl:1: begins a JSON array; expected one object a line"):
            read_labels(tmp_path / "p.jsonl", ["semantics"], "hyp")
    (tmp_path / "text.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(DataError, match=r"text.gz: is compressed; unpack it \(gunzip -k"):
        read_labels(tmp_path / "text.gz", ["text"], "hyp")


def test_load_gold_is_for_files_of_slurp(tmp_path: Path) -> None:
    write_table(tmp_path / "ref/semantics", {"3": '{"intent": "x_y"}'})
    inputs = Inputs(ref=tmp_path / "ref", hyp=tmp_path / "ref", load_gold=True)
    with pytest.raises(DataError, match=r"--load_gold true: neither .* is a file of SLURP.*leave it out"):
        read_pairs(inputs, "semantics")
    gold = lines(tmp_path / "p.jsonl", {"slurp_id": 3, "scenario": "x", "action": "y"})
    assert read_pairs(Inputs(ref=gold, hyp=inputs.hyp, load_gold=True), "semantics").references.keys() == {
        "3"
    }


def test_slue_tables(tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_text(VOXPOPULI)
    labels = read_labels(tmp_path / "dev.tsv", ["text", "entities", "sentiment"], "ref")
    first, second = labels.ids and sorted(labels.ids)
    assert set(labels.streams) == {"text", "entities"}
    # Punctuation goes as in the toolkit (commas stay), a lone quote is text, `None` as a speaker is nothing.
    assert labels.streams["text"] == {first: "in \"europe's north ms x, 2 december", second: "none of us"}
    assert read_entities(labels.streams["entities"][first]) == (
        Entity("LOC", "europe's north", 4),
        Entity("PERSON", "ms. x", 20),
        Entity("DATE", "2 december", 27),
    )
    assert labels.streams["entities"][second] == "[]"


def test_offsets_count_blanks_at_the_beginning(tmp_path: Path) -> None:
    table = "id\tnormalized_text\tnormalized_ner\nu1\t in  rome \t [['GPE', 5, 4]] \n"
    (tmp_path / "dev.tsv").write_text(table)
    streams = read_labels(tmp_path / "dev.tsv", ["text", "entities"], "ref").streams
    rome = (Entity("GPE", "rome", 3),)
    assert streams["text"] == {"u1": "in rome"} and read_entities(streams["entities"]["u1"]) == rome
    tables = read_slue_tsv(tmp_path / "dev.tsv")
    assert tables["text"] == {"u1": "in rome"} and read_entities(tables["entities"]["u1"]) == rome


def test_speakers_of_a_table(tmp_path: Path) -> None:
    rows = {"a": "S1", "b": "S1", "c": "None", "d": "S2"}
    text = "".join(f"{utt}\tx\t{speaker}\n" for utt, speaker in rows.items())
    (tmp_path / "dev.tsv").write_text("id\tnormalized_text\tspeaker_id\n" + text)
    expected = {"a": "S1", "b": "S1", "c": "c", "d": "S2"}
    assert read_speakers(tmp_path / "dev.tsv", "abcd") == expected
    assert read_speakers(tmp_path / "dev.tsv", "acd") is None  # each has its own
    write_table(tmp_path / "ref/text", dict.fromkeys(rows, "x"))
    assert read_speakers(tmp_path / "ref/text", "abcd") is None
    write_table(tmp_path / "ref/utt2spk", expected)
    for ref in (tmp_path / "ref", tmp_path / "ref/text"):
        assert read_speakers(ref, "abcd") == expected
    assert read_speakers(tmp_path / "ref/text", "abx") is None  # the table of something else
    with pytest.raises(DataError, match=r"utt2spk: 1 utterances have no speaker: x; run utils/validate"):
        read_speakers(tmp_path / "ref", "abx")
    gold = lines(tmp_path / "ref/gold.jsonl", {"file": "a", "scenario": "x", "action": "y"})
    assert read_speakers(gold, "abcd") is None


def test_slue_submission(tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_text(VOXPOPULI)
    (tmp_path / "submission.tsv").write_text(SUBMISSION.replace("\n", "\r\n"))
    inputs = Inputs(ref=tmp_path / "dev.tsv", hyp=tmp_path / "submission.tsv")
    pairs = read_pairs(inputs, "entities")
    predicted = [read_entities(value) for value in pairs.predictions.values()]
    assert predicted == [(Entity("LOC", "europe 's north"), Entity("PERSON", "ms x")), ()]
    # The file holds the other corpus too: no mistake, but told.
    assert "1 predictions are for utterances not in" in pairs.notes[0]
    with pytest.raises(DataError, match=r"1 of 2 utterances have no prediction: 20131007-PLENARY_21:26:04_8"):
        read_pairs(inputs, "text")
    texts = read_pairs(Inputs(ref=inputs.ref, hyp=inputs.hyp, allow_missing=True), "text")
    assert list(texts.predictions.values()) == ["in europe", ""] and len(texts.missing) == 1
    with pytest.raises(DataError, match=r"dev.tsv: has no sentiment, read as slue"):
        read_pairs(inputs, "sentiment")


def test_submission_as_pandas_writes_it(tmp_path: Path) -> None:
    """A cell with both kinds of quotes is quoted as a whole, and its quotes are doubled."""
    cells = """a\t"he said ""no"" to it"\t"[['LOC', ""europe's north""]]"\tnone"""
    (tmp_path / "s.tsv").write_text(
        "id\tpred_text\tpred_ner\tpred_sentiment\n" + cells + "\nb\tx\tnone\tNone\n"
    )
    streams = read_labels(tmp_path / "s.tsv", ["text", "entities", "sentiment"], "hyp").streams
    assert streams["text"]["a"] == 'he said "no" to it'
    assert read_entities(streams["entities"]["a"]) == (Entity("LOC", "europe's north"),)
    assert streams["entities"]["b"] == "[]" and streams["sentiment"] == {}


def test_slue_sentiment_leaves_other_labels_out(tmp_path: Path) -> None:
    header = "id\tnormalized_text\tspeaker_id\tsplit\tsentiment\tstart_second\tend_second\n"
    rows = {"a": "Positive", "b": "<mixed>", "c": "Neutral", "d": "Disagreement"}
    text = header + "".join(
        f"{utt}\tyes. well\tNone\tdev\t{label}\t0.0\t1.0\n" for utt, label in rows.items()
    )
    (tmp_path / "dev.tsv").write_text(text)
    write_table(tmp_path / "hyp/sentiment", dict.fromkeys("abcd", "Positive"))
    pairs = read_pairs(Inputs(ref=tmp_path / "dev.tsv", hyp=tmp_path / "hyp"), "sentiment")
    assert pairs.references == {"a": "Positive", "c": "Neutral"} and pairs.notes == ()
    write_table(tmp_path / "hyp/sentiment", dict.fromkeys("abcde", "Positive"))
    with pytest.raises(DataError, match=r"1 predictions are for utterances not in .*: e; "):
        read_pairs(Inputs(ref=tmp_path / "dev.tsv", hyp=tmp_path / "hyp"), "sentiment")
    assert read_labels(tmp_path / "dev.tsv", ["text"], "ref").streams["text"]["a"] == "yes. well"


def test_slue_gold_of_both_corpora(tmp_path: Path) -> None:
    text = "id\tpred_text\tpred_ner\tpred_sentiment\tset_name\n"
    text += "a\tx\tNone\tPositive\tslue-voxceleb\nb\ty\tNone\tNone\tslue-voxpopuli\n"
    (tmp_path / "gold.tsv").write_text(text)
    labels = read_labels(tmp_path / "gold.tsv", ["entities", "sentiment"], "ref")
    assert labels.streams == {"entities": {"b": "[]"}, "sentiment": {"a": "Positive"}}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("x\ty", r"s.tsv:2: 2 columns, not the 4 of the header; set them apart by tabs"),
        ("x\ty\t[['A']\tNone", r"s.tsv:2: pred_ner: .*expected \[\['TYPE', 'words'\]"),
        ("x\ty\t[['A']]\tNone", r"s.tsv:2: pred_ner: \['A'\] .*or \['TYPE', 'words'\]"),
        ("x\ty\t'A'\tNone", r"s.tsv:2: pred_ner: .*expected \[\["),
        ("x\ty\t[['A', 3, 40]]\tNone", r"s.tsv:2: .* in a text of 0 characters"),
        ("\ty\tNone\tNone", r"s.tsv:2: the id is empty"),
    ],
)
def test_broken_slue_rows(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "s.tsv"
    path.write_text("id\tpred_text\tpred_ner\tpred_sentiment\n" + row + "\n")
    with pytest.raises(DataError, match=message):
        read_labels(path, ["entities"], "hyp")


def test_repeated_rows_of_a_submission(tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_text(VOXPOPULI)
    (tmp_path / "s.tsv").write_text(SUBMISSION + SUBMISSION.splitlines()[2] + "\n")
    for allow_missing in (False, True):
        inputs = Inputs(ref=tmp_path / "dev.tsv", hyp=tmp_path / "s.tsv", allow_missing=allow_missing)
        with pytest.raises(
            DataError, match=r"s.tsv:5: the id '20131007-PLENARY_21:26:04_7' is on line 3 as well"
        ):
            read_pairs(inputs, "entities")


def test_a_format_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is no file; --format slurp expects SLURP's JSON lines"):
        read_labels(tmp_path, ["text"], "ref", format="slurp")
    (tmp_path / "dev.tsv").write_text("id\tsplit\n")
    with pytest.raises(DataError, match=r"has no text, read as slue"):
        read_labels(tmp_path / "dev.tsv", ["text"], "ref", format="slue")


def test_a_side_may_have_another_stream(tmp_path: Path) -> None:
    write_table(tmp_path / "ref/intent", {"a": "x_y"})
    write_table(tmp_path / "hyp/semantics", {"a": '{"intent": "x_y"}'})
    pairs = read_pairs(Inputs(ref=tmp_path / "ref", hyp=tmp_path / "hyp"), "intent", "semantics")
    assert (pairs.ref_stream, pairs.hyp_stream) == ("intent", "semantics")
    with pytest.raises(DataError, match=r"hyp/intent: no such table, nor entities; expected lines"):
        read_pairs(Inputs(ref=tmp_path / "ref", hyp=tmp_path / "hyp"), "intent", "entities")
