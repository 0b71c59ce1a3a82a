"""egs/custom/local/prepare.py: data directories out of a corpus that is only read."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from stxlib.data.data_dir import DataDir
from stxlib.data.validate import check_data_dir
from stxlib.errors import ConfigError, DataError
from stxlib.text.labels import read_entities

ROOT = Path(__file__).parents[2]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "custom_prepare", ROOT / "egs" / "custom" / "local" / "prepare.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


prepare = load()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three sets of two utterances; audio paths relative to the corpus; no lengths, no speakers, tables out of order."""
    folder = tmp_path / "corpus"
    for name in ("train", "dev", "test"):
        (folder / name).mkdir(parents=True)
        (folder / "wav").mkdir(exist_ok=True)
        for utt in ("b", "a"):
            soundfile.write(
                folder / "wav" / f"{name}-{utt}.wav", np.zeros(8000, dtype=np.float32) + 0.1, 8000
            )
        (folder / name / "wav.scp").write_text(
            "".join(f"{name}-{utt} wav/{name}-{utt}.wav\n" for utt in "ba")
        )
        (folder / name / "text").write_text(f"{name}-b ONE TWO\n{name}-a TWO\n")
    return folder


def snapshot(folder: Path) -> set[tuple[str, int, bytes]]:
    return {(str(p), p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def main(corpus: Path, *options: str) -> Path:
    out = corpus.parent / "data"
    prepare.main(["--corpus", str(corpus), "--out", str(out), *options])
    return out


def test_derives_what_is_missing_and_leaves_the_corpus_alone(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(corpus)
    out = main(corpus)
    assert snapshot(corpus) == before
    data = DataDir(out / "train")
    assert data.utts == ("train-a", "train-b")
    assert data.seconds == {"train-a": 1.0, "train-b": 1.0}
    assert data.table("utt2num_samples")["train-a"] == "8000"
    assert data.speakers == ("train-a", "train-b")
    assert len(data.load_wave("train-a", 16000)) == 16000
    printed = capsys.readouterr().out
    assert f"{out}/train: 0.00 h, 2 utterances, 2 speakers, 2 word types" in printed
    assert sorted(path.name for path in out.glob("[!.]*")) == ["dev", "test", "train"]
    main(corpus)  # again: replaced, not doubled
    assert DataDir(out / "train").utts == ("train-a", "train-b")


def test_missing_set_names_those_there_are(corpus: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no set test2 \(it has: dev test train\)"):
        main(corpus, "--sets", "train", "dev", "test2")
    with pytest.raises(ConfigError, match="there is no such folder"):
        main(corpus / "nowhere")


def test_never_writes_to_what_it_reads(corpus: Path) -> None:
    for out in (corpus, corpus / "data", corpus.parent):
        with pytest.raises(ConfigError, match="never written to"):
            prepare.main(["--corpus", str(corpus), "--out", str(out)])


def test_does_not_replace_something_else(corpus: Path) -> None:
    out = corpus.parent / "data"
    (out / "thesis").mkdir(parents=True)
    with pytest.raises(ConfigError, match="holds thesis, and no recipe made this folder"):
        main(corpus)
    assert (out / "thesis").is_dir()
    shutil.copytree(corpus, corpus.parent / "other")  # data directories, but someone's own
    before = snapshot(corpus.parent / "other")
    with pytest.raises(ConfigError, match="holds dev, and no recipe made this folder"):
        prepare.main(["--corpus", str(corpus), "--out", str(corpus.parent / "other")])
    assert snapshot(corpus.parent / "other") == before


def test_speech_without_transcripts_asks_for_paired_speech(corpus: Path) -> None:
    (corpus / "train" / "text").unlink()
    with pytest.raises(ConfigError, match="train: has no `text`.*--paired DIR"):
        main(corpus)


def test_broken_utterance_is_named_or_left_out(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (corpus / "wav" / "train-b.wav").unlink()
    with pytest.raises(DataError, match=r"corpus/train/wav\.scp:\d+.*train-b") as caught:
        main(corpus)
    assert "--fix true" in str(caught.value)
    assert [path.name for path in corpus.parent.iterdir()] == ["corpus"], "something was left behind"
    before = snapshot(corpus)
    out = main(corpus, "--fix", "true")
    assert "train-b" in capsys.readouterr().out
    assert DataDir(out / "train").utts == ("train-a",)
    assert snapshot(corpus) == before


@pytest.mark.parametrize("suffix", [".txt", ".gz", ".txt.gz"])
def test_text_of_one_sentence_a_line(corpus: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sentences{suffix}"
    content = "\ufeffeins  zwei\n\nдва три\r\n".encode()
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    text = DataDir(main(corpus, "--text", str(path)) / "text_only").table("text")
    assert list(text.values()) == ["eins zwei", "два три"]


def test_text_of_a_data_directory(corpus: Path) -> None:
    (corpus / "test" / "intent").write_text("test-a greet\ntest-b leave\n")
    (corpus / "test" / "text").write_text("test-a TWO\ntest-b ONE TWO\n")
    (corpus / "test" / "wav.scp").write_text("test-a wav/test-a.wav\ntest-b wav/test-b.wav\n")
    data = DataDir(main(corpus, "--text", str(corpus / "test")) / "text_only")
    assert data.streams == {"text", "intent"}


def test_text_with_labels(corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    rows = [
        {
            "text": "wake me at six",
            "scenario": "alarm",
            "action": "set",
            "intent": "wrong",
            "entities": [{"type": "time", "filler": "six"}],
        },
        {"sentence": "a latte", "intent": "order", "slots": {"drink": "latte"}, "entities": []},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = DataDir(main(corpus, "--text", str(path)) / "text_only")
    assert list(data.table("intent").values()) == ["alarm_set", "order"]
    assert [json.loads(value)["slots"] for value in data.table("semantics").values()] == [
        [{"type": "time", "filler": "six"}],
        [{"type": "drink", "filler": "latte"}],
    ]
    assert data.streams == {"text", "intent", "semantics", "entities"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"text": "a", "intent": "b"}\n{"text": "c"}\n',
            r"labels\.jsonl:2: has no intent, while 1 other lines have",
        ),
        ('{"text": "a"}\nnot json\n', r"labels\.jsonl:2: is no JSON object"),
        ('{"words": "a"}\n', r"labels\.jsonl:1: has no `text`"),
        ("\n", "holds no sentence"),
    ],
)
def test_bad_text_names_file_and_line(corpus: Path, tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        main(corpus, "--text", str(path))


def label(corpus: Path, name: str, stream: str, *lines: str) -> None:
    (corpus / name / stream).write_text("".join(f"{name}-{line}\n" for line in lines))


def test_sets_of_other_names(corpus: Path) -> None:
    (corpus / "train").rename(corpus / "all of it")
    (corpus / "dev").rename(corpus / "devel")
    options = ("--train", "all of it", "--dev", "devel")
    out = main(corpus, *options, "--sets", "devel", "test")
    assert {path.name for path in out.glob("[!.]*")} == {"train", "dev", "devel", "test"}
    assert DataDir(out / "train").utts == ("train-a", "train-b")
    assert DataDir(out / "devel").table("text") == DataDir(out / "dev").table("text")
    out = main(corpus, *options)  # `dev` of --sets is the set of --dev
    assert {path.name for path in out.glob("[!.]*")} == {"train", "dev", "test"}
    assert DataDir(out / "dev").utts == ("dev-a", "dev-b")
    shutil.copytree(corpus / "test", corpus / "dev")
    with pytest.raises(ConfigError, match="the corpus has a set dev, but data/dev is that of --dev devel"):
        main(corpus, *options)


@pytest.mark.parametrize("name", ["../test", "", "."])
def test_name_of_a_set_is_no_path(corpus: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a set"):
        main(corpus, "--sets", "dev", name)


def test_name_of_a_set_is_not_that_of_a_made_folder(corpus: Path, tmp_path: Path) -> None:
    (corpus / "test").rename(corpus / "text_only")
    assert DataDir(main(corpus, "--sets", "text_only") / "text_only").has_audio
    (tmp_path / "more.txt").write_text("eins\n")
    with pytest.raises(ConfigError, match="'text_only': cannot be the name of a set here"):
        main(corpus, "--sets", "text_only", "--text", str(tmp_path / "more.txt"))


def test_sets_of_labelled_text_beside_speech(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(corpus / "dev")
    shutil.rmtree(corpus / "test")
    (corpus / "dev.jsonl").write_text('{"id": 1, "text": "ONE", "intent": "count"}\n')
    (corpus / "test.tsv").write_text("id\tnormalized_text\tsentiment\n1\tONE\tNeutral\n2\tTWO\t<mixed>\n")
    (corpus / "eval").mkdir()
    for name, line in (("seq.in", "ONE"), ("seq.out", "B-n"), ("label", "count")):
        (corpus / "eval" / name).write_text(line + "\n")
    before = snapshot(corpus)
    out = main(corpus, "--sets", "dev", "test", "eval")
    assert snapshot(corpus) == before
    assert DataDir(out / "train").has_audio
    assert DataDir(out / "dev").table("intent") == {"dev-1": "count"}, "1 is in two sets"
    assert DataDir(out / "test").table("sentiment") == {"test-1": "Neutral"}
    assert DataDir(out / "eval").streams == {"text", "intent", "semantics", "entities"}
    assert "test.tsv: 1 rows left out, without a sentiment that counts: 2" in capsys.readouterr().out
    for name in ("dev", "test", "eval"):
        assert not check_data_dir(out / name).problems
    out = main(corpus, "--sets", "eval")
    assert list(DataDir(out / "dev").table("text")) == ["1"], "no other set has it"


def test_data_directory_goes_before_files_of_that_name(corpus: Path) -> None:
    (corpus / "test.jsonl").write_text('{"text": "ONE"}\n')
    assert DataDir(main(corpus) / "test").has_audio
    shutil.rmtree(corpus / "test")
    (corpus / "test.tsv").write_text("id\tnormalized_text\nx\tTWO\n")
    assert list(DataDir(main(corpus) / "test").table("text").values()) == ["ONE"]


def test_bad_rows_of_labelled_text_stop_or_are_left_out(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(corpus / "test")
    (corpus / "test.jsonl").write_text('{"text": "ONE"}\n{"text": 1}\n')
    with pytest.raises(
        DataError, match=r"test\.jsonl:2: .*expected a string, or leave such rows out by --fix true"
    ):
        main(corpus)
    assert not (corpus.parent / "data").exists()
    out = main(corpus, "--fix", "true")
    assert list(DataDir(out / "test").table("text").values()) == ["ONE"]
    assert "left out: " in capsys.readouterr().out
    (corpus / "test.jsonl").write_text('{"text": 1}\n')
    with pytest.raises(DataError, match=r"test\.jsonl: holds no sentence that can be used"):
        main(corpus, "--fix", "true")


def test_speech_with_labels_and_no_transcripts(corpus: Path) -> None:
    (corpus / "train" / "text").unlink()
    label(corpus, "train", "semantics", 'a {"intent": "x", "slots": {"y": "z"}}', 'b {"intent": "x"}')
    data = DataDir(main(corpus) / "train")
    assert data.has("semantics") and not data.has("text")


def test_bad_label_of_a_data_directory_stops_or_is_left_out(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label(corpus, "train", "semantics", "a {}", 'b {"slots": [{"type": "y"}]}')
    label(corpus, "train", "entities", "a nothing", "b []")
    label(corpus, "dev", "semantics", "a {}", "b {}")
    with pytest.raises(DataError) as caught:
        main(corpus)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3, lines
    assert "corpus/train/semantics:2: train-b: " in lines[0] and "`filler`" in lines[0]
    assert "corpus/train/entities:1: train-a: no JSON" in lines[1]
    label(corpus, "train", "entities", "a []", "b []")
    out = main(corpus, "--fix", "true")
    assert DataDir(out / "train").utts == ("train-a",)
    assert "corpus/train/semantics:2: train-b: " in capsys.readouterr().out


def test_several_texts(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("eins\nzwei\n")
    rows = '{"id": "a-00000001", "text": "drei", "intent": "x"}\n'
    (tmp_path / "b.jsonl").write_text(rows)
    data = DataDir(main(corpus, "--text", str(tmp_path / "a.txt"), str(tmp_path / "b.jsonl")) / "text_only")
    assert sorted(data.table("text").values()) == ["drei", "eins", "zwei"]
    assert data.streams == {"text"}
    assert re.search(r"without intent, which .*a\.txt does not have", capsys.readouterr().out)
    (tmp_path / "c.jsonl").write_text(rows)
    data = DataDir(main(corpus, "--text", str(tmp_path / "b.jsonl"), str(tmp_path / "c.jsonl")) / "text_only")
    assert list(data.table("intent").values()) == ["x", "x"]


def test_paired_speech(corpus: Path) -> None:
    (corpus / "train" / "text").unlink()
    out = main(corpus, "--paired", str(corpus / "dev"), "--paired_dev", str(corpus / "test"))
    assert not DataDir(out / "train").has("text")
    assert DataDir(out / "paired").utts == ("dev-a", "dev-b")
    assert DataDir(out / "paired_dev").utts == ("test-a", "test-b")


@pytest.mark.parametrize("name", ["asr_yesno", "asr_speechocean"])
def test_real_corpora(test_data: Path, tmp_path: Path, name: str) -> None:
    prepare.main(["--corpus", str(test_data / "data" / name), "--out", str(tmp_path / "data")])
    for part in ("train", "dev", "test"):
        data = DataDir(tmp_path / "data" / part)
        assert data.has("utt2num_samples") and data.has("text")
        assert len(data.load_wave(data.utts[0], 16000)) > 8000


@pytest.mark.parametrize(
    ("name", "options", "sizes", "labels"),
    [
        ("text_slurp", ["--train", "train_nlueval", "--dev", "devel", "--sets", "devel", "test"], (8853, 2033, 2974), {"text", "intent", "semantics", "entities"}),
        ("text_snips", [], (13084, 700, 700), {"text", "intent", "semantics", "entities"}),
        ("text_ner_earnings21", ["--train", "fine-tune"], (5200, 700, 900), {"text", "entities", "utt2spk"}),
        ("text_sentiment_reviews", [], (3978, 792, 597), {"text", "sentiment"}),
    ],
)  # fmt: skip
def test_real_labelled_text(test_data: Path, tmp_path: Path, name: str, options: list[str], sizes: tuple[int, ...], labels: set[str]) -> None:  # fmt: skip
    out = tmp_path / "data"
    prepare.main(["--corpus", str(test_data / "data" / name), "--out", str(out), *options])
    for part, size in zip(("train", "dev", "test"), sizes, strict=True):
        checked = check_data_dir(out / part)
        assert not checked.problems
        assert checked.tables.keys() == labels
        assert len(checked.utts) == size
        for utt, value in checked.tables.get("entities", {}).items():
            text = checked.tables["text"][utt]
            assert all(
                entity.start is None or text.startswith(entity.filler, entity.start)
                for entity in read_entities(value)
            )


@pytest.mark.parametrize("name", ["slu_barista", "kws_wakeword"])
def test_real_labelled_speech(test_data: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "data"
    prepare.main(["--corpus", str(test_data / "data" / name), "--out", str(out)])
    for part in ("train", "dev", "test"):
        data = DataDir(out / part)
        assert data.has("utt2num_samples") and len(data.table("intent")) == len(data.utts)


@pytest.mark.parametrize(("name", "labels"), [("text_slurp/train_nlueval.jsonl", {"intent", "semantics", "entities"}), ("slu_barista/text_orders.jsonl", {"intent", "semantics"}), ("text_sentiment_reviews/train.jsonl", {"sentiment"}), ("text_lm/lm-norm-mini.txt.gz", set())])  # fmt: skip
def test_real_texts(test_data: Path, tmp_path: Path, name: str, labels: set[str]) -> None:
    prepare.write_text([test_data / "data" / name], tmp_path / "text_only")
    data = DataDir(tmp_path / "text_only")
    assert data.streams == {"text"} | labels
    assert all(len(data.table(stream)) == len(data.utts) > 600 for stream in data.streams)


def test_labels_that_train_lacks_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name, key in (("train", "slotz"), ("dev", "slots"), ("test", "slots")):
        rows = [{"text": f"{name} {i}", "intent": "a_b", key: []} for i in range(2)]
        (corpus / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    prepare.main(["--corpus", str(corpus), "--out", str(tmp_path / "data")])
    assert (
        "note: train has no semantics, which dev has: nothing of it will be learnt" in capsys.readouterr().out
    )
