"""egs/slurp/local/prepare.py: SLURP as released -> data directories."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

from stxlib.data.data_dir import DataDir
from stxlib.data.dropped import read_dropped
from stxlib.data.slurp_corpus import place_tokens, read_slurp_jsonl, spoken_text
from stxlib.data.tables import read_table
from stxlib.data.validate import check_data_dir
from stxlib.errors import ConfigError, DataError
from stxlib.text.labels import Entity, read_entities


def record(
    number: int,
    tokens: str,
    files: str,
    intent: str = "alarm set",
    entities: tuple[tuple[str, list[int]], ...] = (),
) -> dict[str, Any]:
    """A record as released. tokens: surfaces between blanks, with a + before one that is written to the one before."""
    surfaces = [token.removeprefix("+") for token in tokens.split()]
    scenario, action = intent.split()
    return {
        "slurp_id": number,
        "sentence": tokens.replace(" +", ""),
        "sentence_annotation": "never read",
        "intent": f"{scenario}_{action}",
        "action": action,
        "tokens": [
            {"surface": surface, "id": place, "lemma": "x", "pos": "NN"}
            for place, surface in enumerate(surfaces)
        ],
        "scenario": scenario,
        "recordings": [
            {"file": file, "wer": 0.1, "ent_wer": None, "status": "correct"} for file in files.split()
        ],
        "entities": [{"span": span, "type": kind} for kind, span in entities],
    }


RECORDS = {
    "train": [
        record(
            10,
            "wake me at eight o'clock",
            "audio-11-headset.flac audio-11.flac audio--12.flac",
            entities=(("time", [3, 4]),),
        ),
        record(
            20,
            "email Bob +, that today +'s lunch is off",
            "audio-21.flac",
            "email sendemail",
            (("person", [1, 2]), ("date", [4, 5]), ("meal", [6])),
        ),
        record(30, "tweet @acme #sad", "audio-31.flac", "social post", (("business", [1]), ("tag", [2]))),
        record(40, "play u. s. radio", "audio-41.flac", "play radio", (("radio", [1, 2, 3]),))
        | {"intent": "radio"},
    ],
    "devel": [record(50, "lights off", "audio-51-headset.flac audio-51.flac", "iot hue_lightoff")],
    "test": [record(60, "lights off", "audio-61.flac audio-61-headset.flac", "iot hue_lightoff")],
    "train_synthetic": [
        record(10, "wake me at eight o'clock", "audio-synth-11.flac", entities=(("time", [3, 4]),)),
        record(70, "rain in oslo", "audio-synth-71.flac", "weather query", (("place", [2]),)),
    ],
}
SPEAKERS = {
    "audio-11-headset.flac": "FO-488",
    "audio-11.flac": "FO-488",
    "audio--12.flac": "UNK-323",
    "audio-21.flac": "ME-001",
    "audio-31.flac": "ME-001",
    "audio-51-headset.flac": "FE-002",
    "audio-51.flac": "FE-002",
    "audio-61.flac": "FE-003",
    "audio-61-headset.flac": "FE-003",
}  # audio-41 has none


def write_records(corpus: Path, name: str, records: list[dict[str, Any]]) -> None:
    path = corpus / "dataset" / "slurp" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(item) + "\n" for item in records))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "slurp"
    for name, records in RECORDS.items():
        write_records(folder, name, records)
        audio = folder / "audio" / ("slurp_synth" if name == "train_synthetic" else "slurp_real")
        audio.mkdir(parents=True, exist_ok=True)
        for item in records:
            for number, recording in enumerate(item["recordings"]):
                wave = np.full(1000 + item["slurp_id"] + number, 0.1, dtype=np.float32)
                soundfile.write(audio / recording["file"], wave, 16000)
    metadata = {
        str(item["slurp_id"]): {
            "recordings": {
                recording["file"]: {"usrid": SPEAKERS[recording["file"]], "ansid": 1, "status": "correct"}
                for recording in item["recordings"]
                if recording["file"] in SPEAKERS
            }
        }
        for name in ("train", "devel", "test")
        for item in RECORDS[name]
    }
    (folder / "dataset" / "slurp" / "metadata.json").write_text(json.dumps(metadata))
    (folder / "dataset" / "lm").mkdir()
    (folder / "dataset" / "lm" / "lm.txt").write_text("Play it again\nlights  off\n\nrain in oslo\n")
    return folder


@pytest.fixture
def prepare(load_prepare: Callable[[str], ModuleType], tmp_path: Path) -> Callable[..., Path]:
    """prepare(corpus, *options) -> data/"""

    def main(corpus: Path, *options: str) -> Path:
        out = tmp_path / "data"
        load_prepare("slurp").main(["--corpus", str(corpus), "--out", str(out), *options])
        return out

    return main


def slots(out: Path, utt: str, name: str = "train") -> list[tuple[str, str]]:
    frame = json.loads(read_table(out / name / "semantics")[utt])
    return [(slot["type"], slot["filler"]) for slot in frame["slots"]]


def entities(out: Path, utt: str, name: str = "train") -> tuple[Entity, ...]:
    return read_entities(read_table(out / name / "entities")[utt])


def test_tables_are_those_written_by_hand(corpus: Path, prepare: Callable[..., Path]) -> None:
    before = {path: path.read_bytes() for path in corpus.rglob("*") if path.is_file()}
    for _ in range(2):  # a rerun doubles nothing
        out = prepare(corpus)
    assert {path: path.read_bytes() for path in corpus.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in out.glob("[!.]*")) == ["dev", "test", "text_lm", "text_only", "train"]
    assert (out / "train" / "text").read_text() == (
        "audio--12 wake me at eight o'clock\n"
        "audio-11 wake me at eight o'clock\n"
        "audio-11-headset wake me at eight o'clock\n"
        "audio-21 email bob that today's lunch is off\n"
        "audio-31 tweet at acme hashtag sad\n"
        "audio-41 play u s radio\n"
    )
    assert (out / "train" / "intent").read_text() == (
        "audio--12 alarm_set\n"
        "audio-11 alarm_set\n"
        "audio-11-headset alarm_set\n"
        "audio-21 email_sendemail\n"
        "audio-31 social_post\n"
        "audio-41 play_radio\n"
    )
    assert (out / "train" / "semantics").read_text().splitlines()[0] == (
        'audio--12 {"intent": "alarm_set", "slots": [{"type": "time", "filler": "eight o\'clock"}]}'
    )
    assert (out / "train" / "entities").read_text().splitlines()[0] == (
        'audio--12 [{"type": "time", "filler": "eight o\'clock", "start": 11, "length": 13}]'
    )
    assert read_table(out / "train" / "utt2num_samples") == {
        "audio--12": "1012",
        "audio-11": "1011",
        "audio-11-headset": "1010",
        "audio-21": "1020",
        "audio-31": "1030",
        "audio-41": "1040",
    }
    for name in ("train", "dev", "test"):
        assert not check_data_dir(out / name).problems
        assert not read_dropped(out / name)


def test_negative_file_numbers(corpus: Path, prepare: Callable[..., Path]) -> None:
    wav = read_table(prepare(corpus) / "train" / "wav.scp")
    assert wav["audio--12"] == str(corpus.resolve() / "audio" / "slurp_real" / "audio--12.flac")


def test_both_microphones(corpus: Path, prepare: Callable[..., Path]) -> None:
    out = prepare(corpus, "--by_microphone", "true")
    assert read_table(out / "dev" / "microphone") == {"audio-51": "far", "audio-51-headset": "headset"}
    assert DataDir(out / "dev_far").utts == DataDir(out / "dev").utts[:1] == ("audio-51",)
    assert DataDir(out / "test_headset").utts == ("audio-61-headset",)
    assert not check_data_dir(out / "test_headset").problems


def test_one_microphone_alone(corpus: Path, prepare: Callable[..., Path]) -> None:
    out = prepare(corpus, "--microphones", "headset")
    assert DataDir(out / "train").utts == ("audio-11-headset",)
    assert DataDir(out / "test").utts == ("audio-61-headset",)
    assert len(DataDir(out / "text_only").utts) == 4  # no matter which recordings are taken
    out = prepare(corpus, "--microphones", "far")
    assert DataDir(out / "train").utts == ("audio--12", "audio-11", "audio-21", "audio-31", "audio-41")


def test_spans_are_lists_of_token_ids(corpus: Path, prepare: Callable[..., Path]) -> None:
    out = prepare(corpus)
    assert slots(out, "audio-41") == [("radio", "u. s. radio")]
    assert entities(out, "audio-41") == (Entity("radio", "u s radio", 5),)
    # Not first and last: tokens 0 and 2 without the one between.
    write_records(
        corpus, "train", [record(10, "eight not nine", "audio-11.flac", entities=(("time", [0, 2]),))]
    )
    out = prepare(corpus)
    assert slots(out, "audio-11") == [("time", "eight nine")]
    assert entities(out, "audio-11") == (Entity("time", "eight nine", None),)


def test_tokens_that_cut_a_word(corpus: Path, prepare: Callable[..., Path]) -> None:
    """The official scorer's fillers have a blank before 's; the entity is at its place in the text."""
    out = prepare(corpus)
    text = read_table(out / "train" / "text")["audio-21"]
    assert slots(out, "audio-21") == [("person", "bob ,"), ("date", "today 's"), ("meal", "lunch")]
    placed = entities(out, "audio-21")
    assert placed == (Entity("person", "bob", 6), Entity("date", "today's", 15), Entity("meal", "lunch", 23))
    for entity in placed:
        assert entity.start is not None
        assert text[entity.start : entity.start + len(entity.filler)] == entity.filler


def test_at_and_hash_are_read_out(corpus: Path, prepare: Callable[..., Path]) -> None:
    out = prepare(corpus)
    assert slots(out, "audio-31") == [("business", "@acme"), ("tag", "#sad")]
    assert entities(out, "audio-31") == (Entity("business", "at acme", 6), Entity("tag", "hashtag sad", 14))


def test_intent_that_is_not_scenario_and_action(
    corpus: Path, prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert read_table(prepare(corpus) / "train" / "intent")["audio-41"] == "play_radio"
    assert (
        "train: 1 sentences have an `intent` that is not their scenario and action" in capsys.readouterr().out
    )


def test_entity_error_rate_may_be_null(corpus: Path, prepare: Callable[..., Path]) -> None:
    assert RECORDS["devel"][0]["recordings"][0]["ent_wer"] is None
    assert len(DataDir(prepare(corpus) / "dev").utts) == 2


def test_recording_of_two_sentences_belongs_to_the_last(
    corpus: Path, prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    other = record(41, "stop", "audio-11.flac", "music stop")
    write_records(corpus, "train", [*RECORDS["train"], other])
    out = prepare(corpus)
    assert len(DataDir(out / "train").utts) == 6
    assert read_table(out / "train" / "text")["audio-11"] == "stop"
    assert read_table(out / "train" / "intent")["audio-11"] == "music_stop"
    assert list(read_dropped(out / "train")) == ["audio-11"]
    assert read_dropped(out / "train")["audio-11"].endswith("train.jsonl:1)")
    assert "train: 1 left out: its recording is listed again" in capsys.readouterr().out


def test_recording_in_two_sets_is_kept_for_the_test(corpus: Path, prepare: Callable[..., Path]) -> None:
    write_records(corpus, "train", [*RECORDS["train"], record(80, "off", "audio-61.flac audio-51.flac")])
    write_records(corpus, "devel", [*RECORDS["devel"], record(81, "off", "audio-61.flac")])
    out = prepare(corpus)
    assert len(DataDir(out / "train").utts) == 6 and len(DataDir(out / "dev").utts) == 2
    assert read_table(out / "test" / "text")["audio-61"] == "lights off"
    reasons = {utt: reason.partition(" (")[0] for utt, reason in read_dropped(out / "train").items()}
    assert reasons == {
        "audio-51": "its recording is in dev as well",
        "audio-61": "its recording is in dev as well",
    }
    assert read_dropped(out / "dev")["audio-61"].startswith("its recording is in test as well")


def test_speakers_are_those_of_metadata(
    corpus: Path, prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out = prepare(corpus)
    assert read_table(out / "train" / "utt2spk") == {
        "audio--12": "UNK-323",
        "audio-11": "FO-488",
        "audio-11-headset": "FO-488",
        "audio-21": "ME-001",
        "audio-31": "ME-001",
        "audio-41": "audio-41",
    }
    assert "warning: 1 recordings are not in metadata.json" in capsys.readouterr().out
    (corpus / "dataset" / "slurp" / "metadata.json").unlink()
    with pytest.raises(DataError, match=r"metadata.json: there is no such file.*--speakers false"):
        prepare(corpus)
    assert read_table(prepare(corpus, "--speakers", "false") / "test" / "utt2spk")["audio-61"] == "audio-61"


def test_synthetic_set_is_left_out_read_as_text_or_heard(corpus: Path, prepare: Callable[..., Path]) -> None:
    out = prepare(corpus)
    assert DataDir(out / "text_only").utts == ("slurp-10", "slurp-20", "slurp-30", "slurp-40")
    out = prepare(corpus, "--synthetic", "text")
    assert DataDir(out / "text_only").utts == ("slurp-10", "slurp-20", "slurp-30", "slurp-40", "slurp-70")
    assert len(DataDir(out / "train").utts) == 6
    out = prepare(corpus, "--synthetic", "audio")
    train = DataDir(out / "train")
    assert train.utts[-2:] == ("audio-synth-11", "audio-synth-71") and len(train.utts) == 8
    assert train.table("utt2spk")["audio-synth-71"] == "synthetic"
    assert train.table("microphone")["audio-synth-71"] == "synthetic"
    assert train.table("wav.scp")["audio-synth-71"].endswith("/audio/slurp_synth/audio-synth-71.flac")
    assert (
        len(DataDir(prepare(corpus, "--synthetic", "audio", "--microphones", "headset") / "train").utts) == 3
    )


def test_lm_text_has_no_sentence_of_dev_and_test(corpus: Path, prepare: Callable[..., Path]) -> None:
    out = prepare(corpus)
    assert (out / "text_lm" / "text").read_text() == "lm-00000001 play it again\nlm-00000004 rain in oslo\n"
    reasons = {utt: reason.partition(" (")[0] for utt, reason in read_dropped(out / "text_lm").items()}
    assert reasons == {"lm-00000002": "a sentence of dev or test", "lm-00000003": "no words"}


def test_everything_in_one_folder(corpus: Path, prepare: Callable[..., Path], tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    (corpus / "dataset" / "slurp").rename(flat)
    (flat / "train.jsonl").rename(flat / "train_real.jsonl")
    (corpus / "audio" / "slurp_real").rename(flat / "slurp_real")
    out = prepare(flat)
    assert len(DataDir(out / "train").utts) == 6 and not (out / "text_lm").exists()


def test_audio_of_another_corpus_beside_is_not_taken(
    corpus: Path, prepare: Callable[..., Path], load_prepare: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    flat = tmp_path / "one" / "two" / "flat"
    flat.parent.mkdir(parents=True)
    (corpus / "dataset" / "slurp").rename(flat)
    (corpus / "audio").rename(tmp_path / "one" / "audio")  # two folders up, as in the repository
    with pytest.raises(ConfigError, match=f"there is no {flat}/slurp_real; unpack"):
        prepare(flat)
    module = load_prepare("slurp")
    config = module.PrepareConfig(corpus=Path("/slurp"), out=tmp_path / "data")
    with pytest.raises(ConfigError, match="there is no /slurp/slurp_real; unpack"):
        module.find_audio(config, Path("/slurp"), "slurp_real")


def test_audio_may_lie_elsewhere(corpus: Path, prepare: Callable[..., Path], tmp_path: Path) -> None:
    (corpus / "audio").rename(tmp_path / "zenodo")
    with pytest.raises(ConfigError, match=r"slurp_real.tar.gz of zenodo.org/record/4274930.*--audio"):
        prepare(corpus)
    out = prepare(corpus, "--audio", str(tmp_path / "zenodo"))
    assert read_table(out / "dev" / "wav.scp")["audio-51"].startswith(str(tmp_path.resolve() / "zenodo"))


def test_recordings_of_a_record_whose_entities_are_at_no_tokens_are_left_out_and_listed(
    corpus: Path, prepare: Callable[..., Path]
) -> None:
    bad = record(10, "wake me", "audio-11-headset.flac audio-11.flac", entities=(("time", [1, 2]),))
    write_records(corpus, "train", [bad, *RECORDS["train"][1:]])
    with pytest.raises(
        DataError, match=r"train.jsonl:1: .*give the record as released, or leave .*--fix true"
    ):
        prepare(corpus)
    out = prepare(corpus, "--fix", "true")
    place = f"{corpus.resolve()}/dataset/slurp/train.jsonl:1"
    reason = f"an entity's `span` does not tell places in `tokens` ({place})"
    assert read_dropped(out / "train") == dict.fromkeys(("audio-11", "audio-11-headset"), reason)
    assert len(DataDir(out / "train").utts) == 3
    assert "slurp-10" not in read_table(out / "text_only" / "text")


def test_counts_are_told_before_the_audio_is_read(
    corpus: Path, prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (corpus / "audio" / "slurp_real" / "audio-61.flac").unlink()
    with pytest.raises(DataError, match="missing audio"):
        prepare(corpus)
    assert "warning: test has 1 sentences, and the release 2,974" in capsys.readouterr().out


def test_counts_unlike_the_release_are_told_with_both(
    corpus: Path, prepare: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(corpus, "--microphones", "far")
    printed = capsys.readouterr().out
    assert "warning: devel has 1 sentences, and the release 2,033" in printed
    assert "warning: devel has 2 recordings, and the release 8,690" in printed  # of both microphones


def test_missing_file_and_missing_audio_are_named(
    corpus: Path, prepare: Callable[..., Path], tmp_path: Path
) -> None:
    (corpus / "audio" / "slurp_real" / "audio-61-headset.flac").unlink()
    with pytest.raises(
        DataError, match=r"test.jsonl:1: utterance 'audio-61-headset': .*missing audio.*--fix"
    ):
        prepare(corpus)
    assert not (tmp_path / "data").exists()
    out = prepare(corpus, "--fix", "true")
    assert DataDir(out / "test").utts == ("audio-61",)
    assert read_dropped(out / "test")["audio-61-headset"].startswith("its audio is missing")
    (corpus / "dataset" / "slurp" / "devel.jsonl").unlink()
    with pytest.raises(DataError, match=r"devel.jsonl: there is no such file; .*github.com"):
        prepare(corpus)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens": [{"surface": "off"}]}, "train.jsonl:1: .*`span` does not tell places"),
        ({"tokens": None}, "train.jsonl:1: "),
        ({"recordings": [{"name": "a.flac"}]}, "train.jsonl:1: 'file'"),
        ({"scenario": "", "action": ""}, "neither scenario nor action"),
        ({"sentence": 3}, "a name is no string"),
    ],
)
def test_record_that_is_not_slurps_is_named(
    corpus: Path, prepare: Callable[..., Path], changes: dict[str, Any], message: str
) -> None:
    write_records(corpus, "train", [RECORDS["train"][0] | changes])
    with pytest.raises(DataError, match=message):
        prepare(corpus)


def test_missing_key_and_broken_json_are_named(corpus: Path, prepare: Callable[..., Path]) -> None:
    without = {key: value for key, value in RECORDS["test"][0].items() if key != "recordings"}
    write_records(corpus, "test", [RECORDS["test"][0], without])
    with pytest.raises(DataError, match="test.jsonl:2: has no `recordings`"):
        prepare(corpus)
    (corpus / "dataset" / "slurp" / "test.jsonl").write_text("{\n")
    with pytest.raises(DataError, match="test.jsonl:1: no JSON"):
        prepare(corpus)
    write_records(corpus, "test", RECORDS["test"])
    (corpus / "dataset" / "slurp" / "metadata.json").write_text('{"10": []}')
    with pytest.raises(DataError, match=r"metadata.json: .*expected"):
        prepare(corpus)


def test_spoken_text_knows_where_its_characters_come_from() -> None:
    text, sources = spoken_text("  To  @Bob, A.M. ")
    assert text == "to at bob am"
    assert ["  To  @Bob, A.M. "[place] for place in sources] == list("To @@@Bob AM")
    assert spoken_text(" . ") == ("", [])


def test_token_that_is_not_in_the_sentence_does_not_move_the_others() -> None:
    assert place_tokens("near grass market now", ["near", "grassmarket", "now"]) == [(0, 4), None, (18, 21)]
    assert place_tokens("İ at", ["İ", "at"])[1] == (2, 4)
    # Nor does one that is missing at its place, and is there later as a part of another.
    places = place_tokens("what is on tv", ["what", "o", "is", "on", "tv"])
    assert places == [(0, 4), None, (5, 7), (8, 10), (11, 13)]


@pytest.mark.parametrize("seed", range(40))
def test_as_many_characters_of_tokens_are_placed_as_can_be(seed: int) -> None:
    draw = random.Random(seed)
    sentence = "".join(draw.choice("ab ") for _ in range(draw.randrange(12)))
    tokens = ["".join(draw.choice("ab") for _ in range(draw.randrange(3))) for _ in range(draw.randrange(6))]

    def best(number: int, position: int) -> int:  # of all ways
        if number == len(tokens):
            return 0
        token = tokens[number]
        starts = [at for at in range(position, len(sentence)) if token and sentence.startswith(token, at)]
        ways = [len(token) + best(number + 1, at + len(token)) for at in starts]
        return max([best(number + 1, position), *ways])

    places = place_tokens(sentence, tokens)
    known = [place for place in places if place is not None]
    assert sum(end - start for start, end in known) == best(0, 0)
    assert all(before[1] <= after[0] for before, after in zip(known, known[1:], strict=False))
    for token, place in zip(tokens, places, strict=True):
        assert place is None or sentence[place[0] : place[1]] == token


def test_references_are_those_of_the_official_scorer(corpus: Path, prepare: Callable[..., Path]) -> None:
    """What the data directory says of test is what SLURP's own file says to the scorer."""
    from stxlib.score.slurp_format import read_slurp, recording_name

    out = prepare(corpus)
    gold = read_slurp(corpus / "dataset" / "slurp" / "train.jsonl", ["semantics", "intent"], "ref")
    for stream in ("semantics", "intent"):
        assert {recording_name(file): value for file, value in gold.streams[stream].items()} == read_table(
            out / "train" / stream
        )


def test_independent_miniature_is_read_whole(
    tmp_path: Path, prepare: Callable[..., Path], mini_layouts: Callable[..., Path]
) -> None:
    root = mini_layouts(tmp_path / "mini", "slurp", per_split=5)
    out = prepare(root, "--synthetic", "audio")
    counts = {name: len(DataDir(out / name).utts) for name in ("train", "dev", "test", "text_only")}
    assert counts == {"train": 12, "dev": 10, "test": 10, "text_only": 5}
    for name in ("train", "dev", "test"):
        assert not check_data_dir(out / name).problems and not read_dropped(out / name)
    sentences = read_slurp_jsonl(root / "slurp" / "dataset" / "slurp" / "train.jsonl")
    assert all(entity.start is not None for sentence in sentences for entity in sentence.entities)
