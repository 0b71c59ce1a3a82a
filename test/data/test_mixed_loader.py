"""Batches of speech and text together, and of latents that text was turned into before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stxlib.data.augment import AugmentConfig
from stxlib.data.data_dir import DataDir
from stxlib.data.latent_loader import LatentBatches
from stxlib.data.latent_store import LatentStore, shard_path, write_index, write_shard
from stxlib.data.mixed_loader import BatchesWithUnheard, MixedBatchConfig, MixedBatches
from stxlib.data.speech_loader import SpeechBatchConfig, SpeechBatches
from stxlib.data.text_loader import Sentence, TextBatchConfig, TextBatches
from stxlib.errors import ConfigError, DataError

SPEECH = SpeechBatchConfig(batch_seconds=2, num_workers=0)


@pytest.fixture
def speech(make_data_dir: Callable[..., DataDir]) -> SpeechBatches:
    return SpeechBatches(
        make_data_dir(seconds=(0.5,) * 9),
        lambda utt: {"asr": [5]},
        ctc=(),
        config=SPEECH,
        augment=AugmentConfig(),
        sample_rate=16000,
        seed=1,
        num_shards=2,
        frames_per_second=25,
    )


def text(seed: int = 1) -> TextBatches:
    sentences = [Sentence(f"text{i}", [3] * (4 + i % 5), {"asr": [6]}) for i in range(30)]
    return TextBatches(sentences, "text", config=TextBatchConfig(batch_tokens=40), seed=seed, num_shards=2)


def test_a_batch_is_that_of_both_at_the_step(speech: SpeechBatches) -> None:
    mixed = MixedBatches(speech, text(), 0.1)
    assert mixed.num_batches == speech.num_batches
    found = list(mixed.iterate(3, 8, (0, 1)))
    assert [batch.speech.utts for batch in found] == [one.utts for one in speech.iterate(3, 8, (0, 1))]
    assert [batch.text.utts for batch in found] == [one.utts for one in text().iterate(3, 8, (0, 1))]
    for batch in found:
        assert batch.utts == batch.speech.utts + batch.text.utts
        assert batch.size == pytest.approx(batch.speech.size + 0.1 * float(batch.text.source.lens.sum()))
    resumed = next(mixed.iterate(5, 6, (1,)))
    assert resumed.utts == found[5].utts and torch.equal(resumed.text.seeds, found[5].text.seeds)


def test_text_that_is_not_heard_comes_besides(speech: SpeechBatches) -> None:
    mixed = MixedBatches(speech, text(), 0.1)
    both = BatchesWithUnheard(mixed, mixed.text.in_batches_of(80))  # type: ignore[attr-defined]
    found, heard = list(both.iterate(3, 8, (0, 1))), list(mixed.iterate(3, 8, (0, 1)))
    assert [(batch.utts, batch.size) for batch in found] == [(batch.utts, batch.size) for batch in heard]
    expected = list(text().in_batches_of(80).iterate(3, 8, (0, 1)))
    assert [batch.unheard.utts for batch in found] == [batch.utts for batch in expected]
    assert all(torch.equal(a.unheard.seeds, b.seeds) for a, b in zip(found, expected, strict=True))
    worst = both.worst_batch()
    assert worst.utts == mixed.worst_batch().utts and worst.unheard.source.ids.numel() > 20


def test_text_that_is_not_heard_is_the_same_drawn_on_its_own() -> None:
    heard = text()
    unheard = heard.in_batches_of(80)
    assert unheard.labels is heard.labels and heard.config.batch_tokens == 40
    first, others = next(heard.iterate(0, 1)), next(unheard.iterate(0, 1))
    assert len(others.utts) > len(first.utts) and others.source.ids.numel() <= 80
    of_an_epoch = [utt for batch in unheard.iterate(0, unheard.num_batches, (0, 1)) for utt in batch.utts]
    assert sorted(of_an_epoch) == sorted(heard.utts)
    same_size = heard.in_batches_of(40)
    assert [b.utts for b in same_size.iterate(0, 4)] != [b.utts for b in heard.iterate(0, 4)]
    with pytest.raises(ConfigError, match="raise unheard_ratio"):
        heard.in_batches_of(8, remedy="raise unheard_ratio")


def test_too_little_text_for_all_parts_names_what_decides() -> None:
    sentences = [Sentence("a", [3] * 9, {"asr": [6]})]
    config = TextBatchConfig(batch_tokens=9)
    with pytest.raises(ConfigError, match=r"up to 9 tokens: .*18 are needed; raise text_ratio, or use fewer"):
        TextBatches(sentences, "text", config=config, seed=1, num_shards=2, remedy="raise text_ratio")


def test_seeds_of_a_sentence_change_with_the_step() -> None:
    seeds: dict[str, set[int]] = {}
    for batch in text().iterate(0, 40):
        for utt, seed in zip(batch.utts, batch.seeds.tolist(), strict=True):
            seeds.setdefault(utt, set()).add(seed)
    assert all(len(drawn) > 1 for drawn in seeds.values())


def test_text_ratio_says_how_much_text_is_in_a_batch() -> None:
    config = MixedBatchConfig(speech=SpeechBatchConfig(batch_seconds=20), text_ratio=3)
    assert config.text_units(0.08) == 750
    assert replace(config, unheard_ratio=8).unheard_units(0.08) == 2000
    for wrong in (
        {"text_ratio": 0.0},
        {"text_ratio": float("inf")},
        {"unheard_ratio": -1.0},
        {"max_units": 0},
    ):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            MixedBatchConfig(**wrong)  # type: ignore[arg-type]


def test_what_is_left_out_is_told_of_all_parts_and_once(speech: SpeechBatches) -> None:
    def few(where: str) -> TextBatches:
        rows = [Sentence("a", [], {"asr": [4]}), *(Sentence(f"b{i}", [5], {"asr": [4]}) for i in range(4))]
        return TextBatches(rows, where, config=TextBatchConfig(), seed=1, num_shards=2)

    mixed = MixedBatches(speech, few("text"), 0.1)
    same = BatchesWithUnheard(mixed, mixed.text.in_batches_of(50))  # type: ignore[attr-defined]
    others = BatchesWithUnheard(mixed, few("unheard"))
    for batches in (mixed, same, others):
        assert batches.excluded == {"no_text": ("a",)}
        assert "speech 0.00 h" in batches.summary() and "text 4 tokens" in batches.summary()
    line = "text: 1 of 5 sentences left out: no_text (a)"
    assert mixed.excluded_lines() == same.excluded_lines() == [line]
    assert others.excluded_lines() == [line, line.replace("text:", "unheard:")]
    assert "unheard 4 tokens" in same.summary()


def store(folder: Path) -> LatentStore:
    """Two versions of six sentences; every number of a sample is its place."""
    folder.mkdir()
    samples = [(f"text{place // 2}", place % 2, place) for place in range(12)]
    latents = [torch.full((3 + place, 4), float(place)) for place in range(12)]
    write_shard(shard_path(folder, 0), latents, "made of")
    write_index(folder, samples, [[len(one) for one in latents]])
    return LatentStore(folder)


def test_stored_latents_come_with_their_labels_in_all_versions(tmp_path: Path) -> None:
    def labels(utt: str) -> dict[str, list[int]]:
        return {"asr": [] if utt == "text4" else [int(utt[4:]) + 10]}

    batches = LatentBatches(
        store(tmp_path / "latents"), labels, batch_frames=30, num_buckets=2, seed=1, num_shards=1
    )
    assert batches.excluded == {"no_label": ("text4",)} and "text4" not in batches.utts
    seen: dict[str, set[float]] = {}
    for batch in batches.iterate(0, 30):
        assert batch.latents.shape[0] * batch.latents.shape[1] <= 30
        for row, utt in enumerate(batch.utts):
            length = int(batch.latent_lens[row])
            place = float(batch.latents[row, 0, 0])
            assert place // 2 == int(utt[4:]) and length == 3 + place
            assert bool(
                (batch.latents[row, :length] == place).all() & (batch.latents[row, length:] == 0).all()
            )
            assert batch.labels["asr"].tolist()[row] == [int(utt[4:]) + 10]
            seen.setdefault(utt, set()).add(place)
    assert {utt: len(places) for utt, places in seen.items()} == dict.fromkeys(batches.utts, 2)
    first, again = (next(batches.iterate(7, 8)) for _ in range(2))
    assert first.utts == again.utts and torch.equal(first.latents, again.latents)


def test_a_store_without_a_labelled_sentence_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sentence has all labels"):
        LatentBatches(
            store(tmp_path / "latents"),
            lambda utt: {"slu": []},
            batch_frames=30,
            num_buckets=2,
            seed=1,
            num_shards=1,
        )
