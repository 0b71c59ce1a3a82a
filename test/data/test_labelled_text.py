"""stxlib/data/labelled_text.py: labelled text of other formats, read into streams."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from stxlib.data.labelled_text import check_label, read_bio, read_jsonl, read_labelled_text
from stxlib.data.slue_table import read_slue_tsv
from stxlib.data.text_rows import common_rows
from stxlib.errors import DataError
from stxlib.text.labels import Entity, read_entities, read_frame

HEADER = "id\traw_text\tnormalized_text\tspeaker_id\tnormalized_ner\tsentiment\n"


def jsonl(folder: Path, *rows: object, name: str = "dev.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def bio(folder: Path, words: str, tags: str, labels: str) -> Path:
    for name, content in (("seq.in", words), ("seq.out", tags), ("label", labels)):
        (folder / name).write_text(content)
    return folder


class TestJsonl:
    def test_ids_are_the_rows_own_where_all_are_usable(self, tmp_path: Path) -> None:
        def ids(*rows: dict[str, object]) -> list[str]:
            return list(read_jsonl(jsonl(tmp_path, *rows))["text"])

        assert ids({"id": "x", "text": "a"}, {"id": 7, "text": "a"}) == ["x", "7"]
        assert ids({"slurp_id": 4, "text": "a"}) == ["4"]
        for second in ({"id": "x"}, {"id": "x y"}, {"id": ""}, {"id": True}, {}):
            made = ids({"id": "x", "text": "a"}, second | {"text": "b"})
            assert made == ["dev-00000001", "dev-00000002"], second

    def test_scenario_and_action_go_before_a_wrong_intent(self, tmp_path: Path) -> None:
        row = {"sentence": "a", "scenario": "play", "action": "music", "intent": "music", "entities": []}
        tables = read_jsonl(jsonl(tmp_path, row))
        assert [*tables["intent"].values()] == ["play_music"]
        frame = read_frame(*tables["semantics"].values())
        assert (frame.scenario, frame.action) == ("play", "music")

    def test_a_scenario_with_an_underscore_stays_whole(self, tmp_path: Path) -> None:
        row = {"text": "a", "scenario": "smart_home", "action": "dim", "slots": {}}
        tables = read_jsonl(jsonl(tmp_path, row))
        frame = read_frame(*tables["semantics"].values())
        assert (frame.scenario, frame.action) == ("smart_home", "dim")

    def test_starts_move_with_squeezed_blanks(self, tmp_path: Path) -> None:
        text = "  go\tto   new \n york  now"
        filler = "new \n york"
        row = {"text": text, "entities": [{"type": "GPE", "filler": filler, "start": text.index(filler)}]}
        tables = read_jsonl(jsonl(tmp_path, row))
        assert [*tables["text"].values()] == ["go to new york now"]
        (entity,) = read_entities(*tables["entities"].values())
        assert entity == Entity("GPE", "new york", 6)

    def test_slots_may_be_a_mapping_with_lists(self, tmp_path: Path) -> None:
        row = {"text": "a", "intent": "order", "slots": {"drink": ["latte", "mocha"], "size": "big"}}
        frame = read_frame(*read_jsonl(jsonl(tmp_path, row))["semantics"].values())
        assert frame.slots == (Entity("drink", "latte"), Entity("drink", "mocha"), Entity("size", "big"))

    def test_spans_of_slurp_become_fillers(self, tmp_path: Path) -> None:
        tokens = [{"surface": "at"}, {"surface": "six"}, {"surface": "am"}]
        row = {"sentence": "at six am", "scenario": "alarm", "action": "set", "tokens": tokens}
        tables = read_jsonl(jsonl(tmp_path, row | {"entities": [{"type": "time", "span": [1, 2]}]}))
        assert read_entities(*tables["entities"].values()) == (Entity("time", "six am"),)
        assert read_frame(*tables["semantics"].values()).slots == (Entity("time", "six am"),)
        for span in ([3], 1, ["a"], None):
            path = jsonl(tmp_path, row | {"entities": [{"type": "time", "span": span}]})
            with pytest.raises(DataError, match=r"dev\.jsonl:1: .*does not tell places in `tokens`"):
                read_jsonl(path)

    def test_fillers_of_slurp_are_lower_cased_in_frames_alone(self, tmp_path: Path) -> None:
        """The official scorer lower-cases the gold; named entities stand in the text as they are."""
        entities = [{"type": "who", "filler": "Ada"}]
        row = {"text": "call Ada", "scenario": "call", "action": "make", "entities": entities}
        slurp = {
            "sentence": "call Ada",
            "tokens": [{"surface": "call"}, {"surface": "Ada"}],
            "entities": [{"type": "who", "span": [1]}],
        }
        for given, filler in ((row, "Ada"), (row | {"slurp_id": 3}, "ada"), (row | slurp, "ada")):
            tables = read_jsonl(jsonl(tmp_path, given))
            assert read_frame(*tables["semantics"].values()).slots == (Entity("who", filler),)
            assert read_entities(*tables["entities"].values()) == (Entity("who", "Ada"),)

    def test_null_is_as_good_as_missing(self, tmp_path: Path) -> None:
        row = {"text": "a", "intent": None, "slots": None, "entities": None, "sentiment": None, "parse": None}
        assert read_jsonl(jsonl(tmp_path, row)).keys() == {"text"}

    def test_gzipped_and_with_a_byte_order_mark(self, tmp_path: Path) -> None:
        path = tmp_path / "dev.jsonl.gz"
        path.write_bytes(gzip.compress('\ufeff{"text": "два"}\n\n'.encode()))
        assert read_labelled_text(path)["text"] == {"dev-00000001": "два"}

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ([1], "is no JSON object"),
            ({"words": "a"}, "has no `text`"),
            ({"text": 3}, "`text` is 3; expected a string"),
            ({"text": "a", "intent": ["b"]}, "`intent` is .* expected a string"),
            ({"text": "a", "sentiment": 1}, "`sentiment` is 1; expected a string"),
            ({"text": "a", "intent": "b", "slots": [{"type": "c"}]}, "object with `type` and `filler`"),
            ({"text": "a", "slots": []}, "has `slots` and no `intent`"),
            ({"text": "a", "entities": [{"type": " ", "filler": "a"}]}, "an entity has no type"),
            ({"text": "a", "entities": [{"type": "B", "filler": "a", "start": 1}]}, "starts at 1"),
            ({"text": "a", "entities": "B"}, "expected a list"),
            ({"text": "a", "parse": "[IN:A a"}, "brackets are not closed"),
            ({"text": "\ud800"}, "surrogates not allowed"),
        ],
    )
    def test_bad_rows_name_file_and_line(self, tmp_path: Path, row: object, message: str) -> None:
        path = jsonl(tmp_path, {"text": "good"}, row)
        with pytest.raises(DataError, match=rf"dev\.jsonl:2: .*{message}"):
            read_jsonl(path)
        told: list[str] = []
        assert read_jsonl(path, report=told.append) == {"text": {"dev-00000001": "good"}}
        assert len(told) == 1

    def test_row_without_a_label_of_the_others_is_reported_once(self, tmp_path: Path) -> None:
        rows = [{"text": "a", "intent": "b", "slots": {}}, {"text": "c"}, {"text": "d", "intent": "b"}]
        path = jsonl(tmp_path, *rows)
        with pytest.raises(DataError, match=r"dev\.jsonl:2: has no intent, while 2 other lines have"):
            read_jsonl(path)
        told: list[str] = []
        assert list(read_jsonl(path, report=told.append)["text"]) == ["dev-00000001"]
        assert [line.split("dev.jsonl")[1].split(",")[0] for line in told] == [
            ":2: has no intent",
            ":3: has no slots",
        ]


class TestSlueTsv:
    def test_offsets_become_fillers_and_none_means_none(self, tmp_path: Path) -> None:
        path = tmp_path / "dev.tsv"
        path.write_text(
            HEADER
            + "u1\tIn Rome.\tin rome 'tis \"late\tS1\t[['GPE', 3, 4]]\tNeutral\n"
            + "u2\tNone\tnone of it\tS1\tNone\tPositive\r\n"
        )
        tables = read_slue_tsv(path)
        assert tables["text"] == {"u1": "in rome 'tis \"late", "u2": "none of it"}
        assert read_entities(tables["entities"]["u1"]) == (Entity("GPE", "rome", 3),)
        assert read_entities(tables["entities"]["u2"]) == ()
        assert tables["sentiment"] == {"u1": "Neutral", "u2": "Positive"}
        assert tables["utt2spk"] == {"u1": "S1", "u2": "S1"}

    def test_other_sentiments_are_left_out_by_common_rows(self, tmp_path: Path) -> None:
        path = tmp_path / "dev.tsv"
        path.write_text(HEADER + "u1\t\ta\tNone\tNone\t<mixed>\n" + "u2\t\tb\tS1\tNone\tNegative\n")
        tables, lacking = common_rows(read_slue_tsv(path))
        assert tables == {"text": {"u2": "b"}, "entities": {"u2": "[]"}, "sentiment": {"u2": "Negative"}}
        assert lacking == {"sentiment": ["u1"]}

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ("u2\ta", "2 columns, not the 6 of the header"),
            ("u1\t\ta\tS\tNone\tNeutral", "the id 'u1' is on line 2 as well"),
            ("\t\ta\tS\tNone\tNeutral", "the id is empty"),
            ("u2\t\tNone\tS\tNone\tNeutral", "has no normalized_text"),
            ("u2\t\ta\tS\t[['GPE', 0, 2]]\tNeutral", "in a text of 1 characters"),
            ("u2\t\ta\tS\t[['GPE', -1, 1]]\tNeutral", "in a text of 1 characters"),
            ("u2\t\ta\tS\topen('x')\tNeutral", r"expected \[\['TYPE', start, length\], ...\] or None"),
        ],
    )
    def test_bad_rows_name_file_and_line(self, tmp_path: Path, row: str, message: str) -> None:
        path = tmp_path / "dev.tsv"
        path.write_text(HEADER + "u1\t\tgood\tS\tNone\tNeutral\n" + row + "\n")
        with pytest.raises(DataError, match=rf"dev\.tsv:3: .*{message}"):
            read_slue_tsv(path)
        told: list[str] = []
        assert read_slue_tsv(path, report=told.append)["text"] == {"u1": "good"}
        assert len(told) == 1

    def test_header_without_text(self, tmp_path: Path) -> None:
        path = tmp_path / "dev.tsv"
        path.write_text("id\traw_text\nu1\ta\n")
        with pytest.raises(
            DataError, match=r"dev\.tsv:1: has no column normalized_text \(it has id raw_text\); "
        ):
            read_slue_tsv(path)


class TestBio:
    def test_slots_of_tags(self, tmp_path: Path) -> None:
        folder = tmp_path / "dev"
        folder.mkdir()
        bio(
            folder,
            "play  the ether song by ether now \nhi there\n",
            "O O B-song I-song O B-artist B-time\nO O\n",
            "PlayMusic\ngreet_user\n",
        )
        tables = read_bio(folder)
        text = tables["text"]["dev-00000001"]
        assert text == "play the ether song by ether now"
        frame = read_frame(tables["semantics"]["dev-00000001"])
        assert frame.intent == "PlayMusic"
        assert [(slot.type, slot.filler) for slot in frame.slots] == [
            ("song", "ether song"),
            ("artist", "ether"),
            ("time", "now"),
        ]
        assert all(text[slot.start :].startswith(slot.filler) for slot in frame.slots)
        assert read_entities(tables["entities"]["dev-00000001"]) == frame.slots
        assert [slot.start for slot in frame.slots] == [9, 23, 29]
        assert tables["intent"] == {"dev-00000001": "PlayMusic", "dev-00000002": "greet_user"}

    def test_inside_tag_begins_a_slot_where_none_of_its_type_is_open(self, tmp_path: Path) -> None:
        bio(tmp_path, "a b c d e\n", "I-x I-x I-y O I-y\n", "k\n")
        slots = read_entities(*read_bio(tmp_path)["entities"].values())
        assert slots == (Entity("x", "a b", 0), Entity("y", "c", 4), Entity("y", "e", 8))

    @pytest.mark.parametrize(
        ("words", "tags", "labels", "message"),
        [
            ("a\nb c\n", "O\nO\n", "k\nk\n", r"seq\.out:2: 1 tags for 2 words"),
            ("a\nb\n", "O\nX-y\n", "k\nk\n", r"seq\.out:2: tag 'X-y'; expected"),
            ("a\nb\n", "O\nB-\n", "k\nk\n", r"seq\.out:2: tag 'B-'; expected"),
            ("a\nb\n", "O\nO\n", "k\n", r"the files differ in lines \(seq\.in 2, seq\.out 2, label 1\)"),
            ("a\n\nb\n", "O\n\nO\n", "k\n\nk\n", r"seq\.in:2: the line is empty"),
            ("a\nb\nc\n", "O\nO\nO\n", "k\n\nk\n", r"label:2: the line is empty"),
        ],
    )
    def test_bad_lines_name_file_and_line(
        self, tmp_path: Path, words: str, tags: str, labels: str, message: str
    ) -> None:
        bio(tmp_path, words, tags, labels)
        with pytest.raises(DataError, match=message):
            read_bio(tmp_path)

    def test_missing_file(self, tmp_path: Path) -> None:
        (tmp_path / "seq.in").write_text("a\n")
        with pytest.raises(DataError, match=r"has seq\.in and no seq\.out"):
            read_bio(tmp_path)


@pytest.mark.parametrize(
    ("stream", "good", "bad"),
    [
        ("semantics", '{"intent": "a", "slots": {"b": "c"}}', '{"intent": "a", "slots": [{"b": "c"}]}'),
        ("entities", "[]", "{}"),
        ("parse", "[IN:A b ]", "[IN:A b"),
    ],
)
def test_check_label(stream: str, good: str, bad: str) -> None:
    check_label(stream, good)
    check_label("intent", bad)  # any class
    with pytest.raises(ValueError, match="expected"):
        check_label(stream, bad)
