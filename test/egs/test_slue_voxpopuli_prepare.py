"""egs/slue_voxpopuli/local/prepare.py: the corpus in miniature, each quirk of the release and of its readers by name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from stxlib.data.data_dir import DataDir
from stxlib.data.dropped import read_dropped
from stxlib.data.slue_voxpopuli import clean, move_entities
from stxlib.data.validate import check_data_dir
from stxlib.errors import DataError
from stxlib.score.slue_nel import read_entity_times
from stxlib.text.labels import read_entities

COLUMNS = ["id", "raw_text", "normalized_text", "speaker_id", "split", "raw_ner", "normalized_ner"]
ONE, TWO, THREE, FOUR = (f"20131007-0900-PLENARY-19-en_20131007-21:26:04_{n}" for n in (3, 7, 10, 11))


def write_table(path: Path, *rows: tuple[str, ...], columns: int = 7) -> None:
    lines = [COLUMNS[:columns], *(row[:columns] for row in rows)]
    path.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")


def row(
    utt: str, text: str, ner: str = "None", speaker: str = "28150", part: str = "fine-tune"
) -> tuple[str, ...]:
    return utt, text.capitalize(), text, speaker, part, ner, ner


ROWS = (
    # The list is not in the order of the text, and the text loses characters before the second entity.
    row(ONE, "mr. president, it is europe's  day in june 2013.", "[['DATE', 38, 9], ['LOC', 21, 6]]"),
    row(TWO, 'he said "no ; then yes?', "[]", "None"),
    row(
        THREE, "Ünï the u.s. and the euro 2012 cup", "[['GPE', 8, 4], ['EVENT', 21, 13], ['CARDINAL', 26, 4]]"
    ),
    row(FOUR, " . ", "None"),
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "corpora" / "slue-voxpopuli"
    for part, rows in {
        "fine-tune": ROWS,
        "dev": (row("d:1", "yes", "[['ORG', 0, 3]]"),),
        "test": (row("t:1", "no."),),
    }.items():
        (root / part).mkdir(parents=True)
        blind = part == "test"
        write_table(root / f"slue-voxpopuli_{part}{'_blind' * blind}.tsv", *rows, columns=5 if blind else 7)
        for utt, *_ in rows:
            noise = np.random.default_rng(1).normal(0, 0.1, 9600)
            soundfile.write(root / part / f"{utt}.ogg", noise, 16000, format="OGG", subtype="VORBIS")
    return root


@pytest.fixture
def prepare(load_prepare: Callable[[str], ModuleType], corpus: Path, tmp_path: Path) -> Callable[..., Path]:
    module = load_prepare("slue_voxpopuli")

    def main(*options: str, of: Path = corpus) -> Path:
        module.main(["--corpus", str(of), "--out", str(tmp_path / "data"), *options])
        return tmp_path / "data"

    return main


def tables(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_tables_are_those_written_by_hand(prepare: Callable[..., Path], corpus: Path) -> None:
    data = prepare()
    audio = corpus / "fine-tune"
    first, second, third = sorted((ONE, TWO, THREE))
    assert (first, second, third) == (THREE, ONE, TWO)
    assert tables(data / "train") == {
        "wav.scp": "".join(f"{utt} {audio}/{utt}.ogg\n" for utt in (THREE, ONE, TWO)),
        "utt2spk": f"{THREE} 28150\n{ONE} 28150\n{TWO} {TWO}\n",
        "utt2num_samples": f"{THREE} 9600\n{ONE} 9600\n{TWO} 9600\n",
        "utt2dur": f"{THREE} 0.6000\n{ONE} 0.6000\n{TWO} 0.6000\n",
        "text": f"{THREE} Ünï the us and the euro 2012 cup\n"
        f"{ONE} mr president, it is europe's day in june 2013\n"
        f'{TWO} he said "no then yes\n',
        "entities": f'{THREE} [{{"type": "GPE", "filler": "us", "start": 8, "length": 2}}, '
        '{"type": "EVENT", "filler": "euro 2012 cup", "start": 19, "length": 13}, '
        '{"type": "CARDINAL", "filler": "2012", "start": 24, "length": 4}]\n'
        f'{ONE} [{{"type": "DATE", "filler": "june 2013", "start": 36, "length": 9}}, '
        '{"type": "LOC", "filler": "europe", "start": 20, "length": 6}]\n'
        f"{TWO} []\n",
        "left_out.txt": f"{FOUR} no words ({corpus}/slue-voxpopuli_fine-tune.tsv:5)\n",
    }
    for folder in ("train", "dev", "test", "text_only"):
        assert not check_data_dir(data / folder).problems


def test_offsets_are_characters_of_the_text_of_the_same_row(prepare: Callable[..., Path]) -> None:
    train = DataDir(prepare() / "train")
    for utt, text in train.table("text").items():
        for entity in read_entities(train.table("entities")[utt]):
            assert entity.start is not None
            assert text[entity.start : entity.start + len(entity.filler)] == entity.filler


def test_ids_that_hold_colons_are_kept_and_their_audio_is_read(prepare: Callable[..., Path]) -> None:
    train = DataDir(prepare() / "train")
    assert {*train.utts} == {ONE, TWO, THREE}
    assert all(len(train.load_wave(utt, 16000)) == 9600 for utt in train.utts)


def test_the_word_none_and_an_empty_list_both_say_that_there_are_no_entities(
    prepare: Callable[..., Path], corpus: Path
) -> None:
    write_table(corpus / "slue-voxpopuli_dev.tsv", row("d:1", "yes", "None"))
    assert DataDir(prepare() / "dev").table("entities") == {"d:1": "[]"}
    write_table(corpus / "slue-voxpopuli_dev.tsv", row("d:1", "none said so", "[]"))
    assert DataDir(prepare() / "dev").table("entities") == {"d:1": "[]"}


def test_a_speaker_that_is_the_word_none_is_one_of_its_own(
    prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert DataDir(prepare() / "train").table("utt2spk")[TWO] == TWO
    assert f"slue-voxpopuli train: 1 rows have no speaker; each counts as one of its own ({TWO} ...)" in (
        capsys.readouterr().out
    )


def test_an_unbalanced_quote_does_not_swallow_rows(prepare: Callable[..., Path]) -> None:
    assert DataDir(prepare() / "train").table("text")[TWO] == 'he said "no then yes'


def test_entities_that_the_list_names_first_to_last_do_not_move_one_another() -> None:
    given = "a. b. c. d"
    text, places = clean(given)
    spans = [("ORG", 0, 1), ("GPE", 3, 4), ("LAW", 6, 7), ("NORP", 9, 10)]
    counts: Counter[str] = Counter()
    for order in (spans, spans[::-1]):
        found = {
            entity.filler: entity.start
            for entity in move_entities(order, text, places, "raw", counts)
            if entity
        }
        assert (text, found) == ("a b c d", {"a": 0, "b": 2, "c": 4, "d": 6})
    assert not counts


def test_an_entity_of_punctuation_alone_is_lost_and_counted() -> None:
    text, places = clean("what ?! now")
    counts: Counter[str] = Counter()
    assert move_entities([("ORG", 5, 7), ("TIME", 4, 11)], text, places, "raw", counts)[0] is None
    assert counts == {"left out: without punctuation nothing of them is left": 1}


def test_combined_types_lack_those_that_slue_does_not_score(
    prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    train = DataDir(prepare("--entities", "combined") / "train")
    found = {
        utt: [(entity.type, entity.filler) for entity in read_entities(value)]
        for utt, value in train.table("entities").items()
    }
    assert found == {
        ONE: [("WHEN", "june 2013"), ("PLACE", "europe")],
        TWO: [],
        THREE: [("PLACE", "us"), ("QUANT", "2012")],
    }
    assert "1 entities left out, of types that SLUE does not score" in capsys.readouterr().out


def test_a_blind_test_set_has_text_where_the_table_has_and_no_entities(
    prepare: Callable[..., Path], corpus: Path
) -> None:
    assert DataDir(prepare() / "test").streams == {"wav.scp", "utt2spk", "utt2dur", "utt2num_samples", "text"}
    (corpus / "slue-voxpopuli_test_blind.tsv").write_text("id\tspeaker_id\tsplit\nt:1\tNone\ttest\n")
    assert DataDir(prepare() / "test").streams == {"wav.scp", "utt2spk", "utt2dur", "utt2num_samples"}


def test_another_number_of_rows_than_the_release_is_told_with_both_numbers(
    prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    prepare()
    assert "warning: slue-voxpopuli train has 4 rows, and the release 5,000" in capsys.readouterr().out


def test_a_rerun_doubles_nothing(prepare: Callable[..., Path]) -> None:
    first = {folder.name: tables(folder) for folder in prepare().iterdir() if folder.is_dir()}
    assert {folder.name: tables(folder) for folder in prepare().iterdir() if folder.is_dir()} == first


@pytest.mark.parametrize(
    ("ner", "message"),
    [
        ("[['ORG', 0, 9]]", "['ORG', 0, 9] in a text of 3 characters; expected"),
        ("[['ORG', 0]]", "['ORG', 0] in a text of 3 characters"),
        ("ORG", "'ORG'; expected [['TYPE', start, length], ...] or None"),
    ],
)
def test_entities_that_cannot_be_stop_with_file_and_line(
    prepare: Callable[..., Path], corpus: Path, tmp_path: Path, ner: str, message: str
) -> None:
    write_table(corpus / "slue-voxpopuli_dev.tsv", row("d:1", "yes", ner))
    with pytest.raises(DataError) as caught:
        prepare()
    assert message in str(caught.value)
    assert "slue-voxpopuli_dev.tsv:2: " in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_rows_with_entities_that_cannot_be_are_left_out_and_listed(
    prepare: Callable[..., Path], corpus: Path, tmp_path: Path
) -> None:
    write_table(
        corpus / "slue-voxpopuli_dev.tsv", row("d:0", "yes", "[['ORG', 0, 9]]"), row("d:1", "yes", "None")
    )
    with pytest.raises(DataError, match=r"dev.tsv:2: .* inside of it, or leave such rows out by --fix true"):
        prepare()
    data = prepare("--fix", "true")
    assert DataDir(data / "dev").utts == ("d:1",)
    table = f"{corpus.resolve()}/slue-voxpopuli_dev.tsv"
    assert read_dropped(data / "dev") == {"d:0": f"its entities are not inside of its text ({table}:2)"}
    assert not check_data_dir(data / "dev").problems


def test_a_missing_recording_stops_with_its_row(prepare: Callable[..., Path], corpus: Path) -> None:
    (corpus / "dev" / "d:1.ogg").unlink()
    with pytest.raises(DataError, match=r"slue-voxpopuli_dev.tsv:2: utterance 'd:1': .*missing audio"):
        prepare()


def nel_record(utt: str, text: str, named: list[tuple[str, int, int, float, float]]) -> str:
    columns = ("ne_label", "start_char_idx", "char_offset", "start_sec", "end_sec")
    words = [("", 0.0, 0.1), ("yes", 0.1, 0.3), ("minister", 0.3, 0.6)]
    return json.dumps(
        {
            "id": utt,
            "text": text,
            "speaker_id": "7",
            "ne_timestamps": {name: [each[at] for each in named] for at, name in enumerate(columns)},
            "word_timestamps": {
                name: [word[at] for word in words] for at, name in enumerate(("word", "start_sec", "end_sec"))
            },
        }
    )


def test_times_of_entities_and_words_are_those_of_nel(prepare: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "validation.jsonl"
    path.write_text(nel_record("d:1", "yes . minister", [("PERSON", 6, 8, 0.3, 0.6)]) + "\n")
    folder = prepare("--nel_dev", str(path)) / "dev_nel"
    nel = DataDir(folder)
    assert nel.table("text") == {"d:1": "yes minister"}
    assert read_entities(nel.table("entities")["d:1"])[0].start == 4
    assert read_entity_times(nel.table("entity_times")["d:1"]) == [("minister", 0.3, 0.6)]
    assert json.loads(nel.table("word_times")["d:1"])[1] == ["yes", 0.1, 0.3]
    assert not check_data_dir(folder).problems


def test_records_of_nel_may_be_lists_of_objects(prepare: Callable[..., Path], tmp_path: Path) -> None:
    record = json.loads(
        nel_record("d:1", "yes minister", [("PERSON", 4, 8, 0.3, 0.6), ("ORG", 0, 3, 0, 0.3)])
    )
    path = tmp_path / "columns.jsonl"
    path.write_text(json.dumps(record) + "\n")
    of_columns = tables(prepare("--nel_dev", str(path)) / "dev_nel")
    for key in ("ne_timestamps", "word_timestamps"):
        names, columns = record[key].keys(), record[key].values()
        record[key] = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    path.write_text(json.dumps(record) + "\n")
    assert tables(prepare("--nel_dev", str(path)) / "dev_nel") == of_columns


def test_records_of_nel_with_labels_that_cannot_be_are_left_out_and_listed(
    prepare: Callable[..., Path], tmp_path: Path
) -> None:
    path = tmp_path / "validation.jsonl"
    bad = (
        nel_record("d:2", "yes", [("PERSON", 0, 3, 0.3, None)]),
        nel_record("d:3", "a", [("ORG", None, 3, 0, 1)]),
    )
    path.write_text("\n".join([nel_record("d:1", "yes", [("PERSON", 0, 3, 0, 1)]), *bad]))
    with pytest.raises(
        DataError, match=r"jsonl:2: ne_timestamps: end_sec None is no time.*, or leave such rows"
    ):
        prepare("--nel_dev", str(path))
    folder = prepare("--nel_dev", str(path), "--fix", "true") / "dev_nel"
    assert DataDir(folder).utts == ("d:1",)
    assert read_dropped(folder) == {
        "d:2": f"it lacks times ({path}:2)",
        "d:3": f"its entities are not inside of its text ({path}:3)",
    }


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ('{"id": "d:1"}', "no 'text'; expected a record of vp_nel"),
        (nel_record("d:1", "yes", [("PERSON", 2, 8, 0.3, 0.6)]), "'PERSON' at 2, 8 characters: not inside"),
        (
            nel_record("d:1", "yes", [("PERSON", 0, 3, -1, 0.6)]),
            "ne_timestamps: start_sec -1 is no time in seconds",
        ),
        (
            '{"id": "d:1", "text": "a", "ne_timestamps": {"ne_label": []}}',
            "ne_timestamps: no 'start_char_idx'; expec",
        ),
        (
            '{"id": "d:1", "text": "a", "ne_timestamps": [{"start_sec": 1}]}',
            "ne_timestamps: no 'ne_label'; expec",
        ),
        ('{"id": "d:1", "text": "a", "ne_timestamps": 1}', "ne_timestamps: 1; expected an object of columns"),
    ],
)
def test_records_of_nel_that_cannot_be_stop_with_file_and_line(
    prepare: Callable[..., Path], tmp_path: Path, record: str, message: str
) -> None:
    path = tmp_path / "validation.jsonl"
    path.write_text(record + "\n")
    with pytest.raises(DataError) as caught:
        prepare("--nel_dev", str(path))
    assert str(caught.value).startswith(f"{path}:1: ")
    assert message in str(caught.value)


def test_every_row_of_the_generated_layout_is_there(
    prepare: Callable[..., Path], mini_layouts: Callable[..., Path], tmp_path: Path
) -> None:
    root = mini_layouts(tmp_path / "mini", "slue_voxpopuli", per_split=9) / "slue-voxpopuli"
    data = prepare(of=root.parent)
    num_entities = 0
    for name, part in (("train", "fine-tune"), ("dev", "dev"), ("test", "test_blind")):
        rows = [
            line.split("\t") for line in (root / f"slue-voxpopuli_{part}.tsv").read_text().splitlines()[1:]
        ]
        found = DataDir(data / name)
        assert len(rows) == 9
        assert {*found.utts} == {each[0] for each in rows}
        assert not read_dropped(data / name)
        for utt, _, text, *rest in rows:
            assert found.table("text")[utt] == text
            if name != "test":
                spans = [] if rest[-1] == "None" else json.loads(rest[-1].replace("'", '"'))
                entities = read_entities(found.table("entities")[utt])
                assert [(e.type, e.start, len(e.filler)) for e in entities] == [(*span,) for span in spans]
                num_entities += len(entities)
    assert num_entities
