"""WER, CER, counts and alignments, against jiwer itself, by hand and against exhaustive search."""

from __future__ import annotations

import itertools
import json
import random
from functools import cache
from pathlib import Path

import jiwer
import pytest

from stxlib.data.tables import write_table
from stxlib.errors import DataError
from stxlib.score.alignment import align, characters, confusions, dump_alignments, load_alignments, words
from stxlib.score.metric import Inputs
from stxlib.score.wer import edit_counts, score_cer, score_wer


def make(tmp_path: Path, references: dict[str, str], predictions: dict[str, str]) -> Inputs:
    write_table(tmp_path / "ref" / "text", references)
    (tmp_path / "hyp").mkdir()
    lines = (f"{utt} {text}".rstrip() + "\n" for utt, text in sorted(predictions.items()))
    (tmp_path / "hyp" / "text").write_text("".join(lines), encoding="utf-8")
    return Inputs(ref=tmp_path / "ref", hyp=tmp_path / "hyp")


def test_counts_by_hand(tmp_path: Path) -> None:
    inputs = make(
        tmp_path,
        {"a": "the cat sat down", "b": "hello", "c": "one two"},
        {"a": "the bat sat", "b": "hello", "c": "one one two two"},
    )
    scored = score_wer(inputs)
    assert scored.totals() == {
        "sentences": 3,
        "words": 7,
        "correct": 5,
        "substituted": 1,
        "deleted": 1,
        "inserted": 2,
        "wrong_sentences": 2,
    }
    figures = scored.figures(scored.totals())  # type: ignore[arg-type]
    assert float(figures["wer"]) == pytest.approx(100 * 4 / 7)
    assert float(figures["sentence_error"]) == pytest.approx(200 / 3)


def test_fewest_edits_and_jiwer_agree() -> None:
    @cache
    def distance(a: tuple[str, ...], b: tuple[str, ...]) -> int:
        if not a or not b:
            return len(a) + len(b)
        return min(distance(a[1:], b[1:]) + (a[0] != b[0]), distance(a[1:], b) + 1, distance(a, b[1:]) + 1)

    draw = random.Random(3)
    sides = [
        {f"u{i:03}": " ".join(draw.choice("abc") for _ in range(draw.randint(0, 6))) for i in range(200)}
        for _ in range(2)
    ]
    references, predictions = sides
    alignments = align(references, predictions)
    for item in alignments:
        assert item.num_errors == distance(item.reference, item.hypothesis)
        for op, said, heard in item.steps():
            assert {"C": said == heard, "S": None not in (said, heard) and said != heard}.get(op, True)
            assert (said is None) == (op == "I") and (heard is None) == (op == "D")
        assert [said for _, said, _ in item.steps() if said is not None] == words(references[item.utt])
        assert [heard for _, _, heard in item.steps() if heard is not None] == words(predictions[item.utt])
    counts = {name: column.sum() for name, column in edit_counts(alignments, "words").items()}
    full = jiwer.process_words(list(references.values()), list(predictions.values()))
    assert (counts["correct"], counts["substituted"], counts["deleted"], counts["inserted"]) == (
        full.hits,
        full.substitutions,
        full.deletions,
        full.insertions,
    )


def test_empty_sides(tmp_path: Path) -> None:
    scored = score_wer(make(tmp_path, {"a": "x y", "b": "z"}, {"a": "", "b": "z"}))
    assert scored.totals()["deleted"] == 2 and scored.totals()["inserted"] == 0
    (item,) = align({"a": ""}, {"a": "p q"})
    assert item.ops == "II"
    (item,) = align({"a": ""}, {"a": ""})
    assert item.ops == ""


def test_characters_of_any_script(tmp_path: Path) -> None:
    assert characters("  a\u3000b ") == ["a", "<space>", "b"]
    scored = score_cer(make(tmp_path, {"a": "日本 語", "b": "naïve"}, {"a": "日木 語", "b": "naive"}))
    totals = scored.totals()
    assert (totals["characters"], totals["substituted"]) == (9, 2)
    assert float(scored.figures(totals)["cer"]) == pytest.approx(200 / 9)  # type: ignore[arg-type]


def test_missing_extra_and_duplicate_predictions(tmp_path: Path) -> None:
    inputs = make(tmp_path, {"a": "x y", "b": "z", "c": "w"}, {"b": "z"})
    with pytest.raises(
        DataError, match=r"2 of 3 utterances have no prediction: a, c; .*--allow_missing true"
    ):
        score_wer(inputs)
    allowed = score_wer(Inputs(ref=inputs.ref, hyp=inputs.hyp, allow_missing=True))
    assert allowed.missing == ("a", "c") and allowed.totals()["deleted"] == 3
    (inputs.hyp / "text").write_text("a x y\nb z\nc w\nd q\n")
    for allow_missing in (False, True):
        with pytest.raises(DataError, match=r"1 predictions .* not in .*: d; "):
            score_wer(Inputs(ref=inputs.ref, hyp=inputs.hyp, allow_missing=allow_missing))
    (inputs.hyp / "text").write_text("a x y\nb z\nb z\nc w\n")
    with pytest.raises(DataError, match=r"text:3: .*'b'"):
        score_wer(inputs)


def test_many_missing_ids_are_cut(tmp_path: Path) -> None:
    inputs = make(tmp_path, {f"u{i:03}": "x" for i in range(100)}, {"u000": "x"})
    with pytest.raises(DataError, match=r"99 of 100 .* u020, \.\.\. and 79 more"):
        score_wer(inputs)


def test_rare_words(tmp_path: Path) -> None:
    inputs = make(
        tmp_path,
        {"a": "play ashford now", "b": "ashford ashford", "c": "play now"},
        {"a": "play ashford now", "b": "ashford ash", "c": "ashford now"},
    )
    write_table(tmp_path / "train", {"t1": "play it now", "t2": "now"})
    scored = score_wer(Inputs(ref=inputs.ref, hyp=inputs.hyp, train_text=tmp_path / "train"))
    totals = scored.totals()
    assert (totals["rare_words"], totals["rare_words_missed"]) == (3, 1)
    assert float(scored.figures(totals)["rare_word_miss"]) == pytest.approx(100 / 3)  # type: ignore[arg-type]
    assert scored.details["rare_words_most_missed"] == {"ashford": 1}


def test_different_case_is_said(tmp_path: Path) -> None:
    inputs = make(tmp_path, {"a": "HELLO there Ada", "b": "Ada"}, {"a": "hello there Bob", "b": "ada x"})
    for score in (score_wer, score_cer):
        (note,) = score(inputs).notes
        assert note.startswith("2 words of the predictions are those of the references but for letter case")
    assert not score_wer(make(tmp_path / "same", {"a": "Ada x"}, {"a": "Ada y"})).notes


def test_alignments_survive_their_file() -> None:
    alignments = align({"a": "x\u2028y <b>", "b": ""}, {"a": 'x "q"', "b": "n"})
    assert load_alignments(dump_alignments(alignments)) == alignments
    assert all(json.loads(line)["utt"] for line in dump_alignments(alignments).split("\n") if line)


def test_confusions() -> None:
    found = confusions(align({"a": "p q r", "b": "p"}, {"a": "p s", "b": "p t"}))
    assert sum(found["S"].values()) + sum(found["D"].values()) == 2
    assert found["I"] == {("", "t"): 1}
    assert list(itertools.chain(*found["S"])) in (["q", "s"], ["r", "s"])
