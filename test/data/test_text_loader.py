from __future__ import annotations

import pytest

from stxlib.data.batch import TextBatch
from stxlib.data.text_loader import Sentence, TextBatchConfig, TextBatches, TextDevBatches
from stxlib.errors import ConfigError, DataError

SENTENCES = [
    Sentence(f"utt{i:02}", [5 + i % 3] * (1 + i * 7 % 13), {"slu": [4, i + 4], "asr": [9] * (1 + i * 5 % 17)})
    for i in range(40)
]
CONFIG = TextBatchConfig(batch_tokens=40)


def test_a_batch_holds_the_right_things() -> None:
    by_utt = {sentence.utt: sentence for sentence in SENTENCES}
    batches = TextBatches(SENTENCES, "train", config=CONFIG, seed=1, num_shards=1)
    seen: list[str] = []
    for batch in batches.iterate(0, batches.num_batches):
        assert max(
            ids.ids.numel() for ids in (batch.source, *batch.labels.values())
        ) <= 40 and batch.size == float(batch.source.lens.sum())
        seen += batch.utts
        for row, utt in enumerate(batch.utts):
            assert batch.source.tolist()[row] == by_utt[utt].source
            assert {name: ids.tolist()[row] for name, ids in batch.labels.items()} == by_utt[utt].labels
    assert sorted(seen) == sorted(by_utt)
    assert batches.num_tokens == sum(len(sentence.source) for sentence in SENTENCES)


def test_batches_are_a_function_of_seed_and_step() -> None:
    def utts(seed: int, start: int) -> list[tuple[str, ...]]:
        batches = TextBatches(SENTENCES, "train", config=CONFIG, seed=seed, num_shards=2)
        return [batch.utts for batch in batches.iterate(start, 30, (0, 1))]

    assert utts(1, 0)[20:] == utts(1, 10)
    assert utts(1, 0) != utts(2, 0)


def test_dev_batches_are_each_sentence_once_over_all_ranks() -> None:
    dev = TextDevBatches(SENTENCES, "dev", config=TextBatchConfig(batch_tokens=40, max_tokens=2))
    alone = [batch.utts for batch in dev.iterate()]
    assert sorted(utt for utts in alone for utt in utts) == sorted(sentence.utt for sentence in SENTENCES)
    shared = [batch.utts for rank in range(3) for batch in dev.iterate(rank, 3)]
    assert sorted(shared) == sorted(alone) and len(alone) == dev.num_batches


def test_what_cannot_be_learnt_is_left_out_by_reason() -> None:
    odd = [
        Sentence("a", [5] * 9, {"slu": [4]}),
        Sentence("b", [], {"slu": [4]}),
        Sentence("c", [5], {"slu": []}),
        Sentence("d", [5, 6], {"slu": [4]}),
    ]
    batches = TextBatches(odd, "data/train", config=TextBatchConfig(max_tokens=8), seed=1, num_shards=1)
    assert batches.excluded == {"too_long": ("a",), "no_text": ("b",), "no_label": ("c",)}
    assert batches.utts == ["d"]
    assert batches.excluded_lines()[0] == "data/train: 1 of 4 sentences left out: too_long (a)"
    with pytest.raises(DataError, match=r"data/train: no sentence is left \(no_text 1\)"):
        TextBatches(odd[1:2], "data/train", config=CONFIG, seed=1, num_shards=1)


def test_the_worst_batch_is_as_large_as_any() -> None:
    batches = TextBatches(SENTENCES, "train", config=CONFIG, seed=1, num_shards=2)

    def size(batch: TextBatch) -> int:
        return max(sequences.ids.numel() for sequences in (batch.source, *batch.labels.values()))

    worst = max(size(batches.worst_batch(shard)) for shard in (0, 1))
    assert all(size(batch) <= worst for batch in batches.iterate(0, 3 * batches.num_batches, (0, 1)))


def test_too_many_parts_and_bad_sizes_are_errors() -> None:
    with pytest.raises(
        ConfigError, match=r"up to 40 tokens: .*so that 153 are needed; raise batch_tokens, lower max_tokens"
    ):
        TextBatches(SENTENCES, "train", config=CONFIG, seed=1, num_shards=9)
    with pytest.raises(ConfigError, match="batch_tokens: 0"):
        TextBatchConfig(batch_tokens=0)
