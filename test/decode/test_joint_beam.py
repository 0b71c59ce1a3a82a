"""The joint beam search against a readable scalar search, exhaustive search, and itself one utterance at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from stxlib.decode.beam_search import Weighted, beam_search
from stxlib.decode.hypothesis import Hypothesis
from stxlib.decode.joint_beam import AttentionScorer, JointBeam, JointBeamConfig
from stxlib.errors import ConfigError
from stxlib.models.backbone import Backbone, BackboneConfig
from stxlib.models.causal_lm import CausalLM, CausalLMConfig
from stxlib.nn.conformer import ConformerConfig
from stxlib.nn.transformer_decoder import DecoderConfig
from stxlib.ops.ctc_prefix import CtcPrefixes, prefix_score
from stxlib.text.tokenizer import BLANK, EOS, SOS


def make_backbone(vocab_size: int, seed: int = 0, end_bias: float = 0.0) -> Backbone:
    """Make a small backbone whose outputs are far from uniform."""
    torch.manual_seed(seed)
    config = BackboneConfig(
        conformer=ConformerConfig(dim=16, num_heads=2, ff_dim=16, kernel_size=3, num_layers=1),
        decoder=DecoderConfig(dim=16, num_heads=2, ff_dim=16, num_layers=2),
    )
    backbone = Backbone(config, 8, vocab_size).eval()
    with torch.no_grad():
        backbone.ctc.weight.mul_(4)
        backbone.decoder.out.weight.mul_(4)
        backbone.decoder.out.bias[EOS] += end_bias
    return backbone


def make_lm(vocab_size: int, seed: int = 0) -> CausalLM:
    """Make a small language model that likes some tokens much better than others."""
    torch.manual_seed(seed + 100)
    lm = CausalLM(CausalLMConfig(dim=16, num_heads=2, ff_dim=16), vocab_size).eval()
    with torch.no_grad():
        lm.embedding.weight.mul_(50)
    return lm


def make_latents(lens: Sequence[int], seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    latents = 2 * torch.randn(len(lens), max(lens, default=0), 8, generator=generator)
    return latents, torch.tensor(lens, dtype=torch.int64)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


class Reference:
    """Scores and searches for one utterance, in plain Python, without caches or batches."""

    def __init__(
        self, backbone: Backbone, latents: Tensor, config: JointBeamConfig, lm: CausalLM | None = None
    ) -> None:
        self.backbone, self.config, self.lm = backbone, config, lm
        self.encoded, self.lens = backbone.encode(latents[None], torch.tensor([len(latents)]))
        self.ctc_log_probs = backbone.ctc_logits(self.encoded)[0].double().log_softmax(-1)
        self.max_tokens = max(1, int(len(latents) * config.max_token_ratio))
        self.vocabulary = [
            token for token in range(self.ctc_log_probs.shape[1]) if token not in (BLANK, SOS, EOS)
        ]
        self.known: dict[tuple[int, ...], list[tuple[float, float]]] = {}

    def next_log_probs(self, prefix: tuple[int, ...]) -> list[tuple[float, float]]:
        """Of the attention decoder and of the language model (0 without one; -inf for a token that it does not have)."""
        if prefix not in self.known:
            tokens_in = torch.tensor([[SOS, *prefix]])
            tokens_in_lens = torch.tensor([len(prefix) + 1])
            logits = self.backbone.decoder_logits(self.encoded, self.lens, tokens_in, tokens_in_lens)
            attention = logits[0, -1].double().log_softmax(-1).tolist()
            lm = [0.0] * len(attention)
            if self.lm is not None:
                lm = [-math.inf] * len(attention)
                if max(prefix, default=0) < self.lm.vocab_size:
                    known = self.lm(tokens_in, tokens_in_lens)[0, -1].double().log_softmax(-1).tolist()
                    lm[: len(known)] = known
            self.known[prefix] = list(zip(attention, lm, strict=True))
        return self.known[prefix]

    def scored(self, attention: float, lm: float) -> float:
        lm_score = self.config.lm_weight * lm if self.lm is not None else 0.0
        return (1 - self.config.ctc_weight) * attention + lm_score

    def combine(self, attention: float, lm: float, ctc: float, num_tokens: int) -> float:
        weight = self.config.ctc_weight
        joint = self.scored(attention, lm) + (weight * ctc if weight else 0)
        return joint + self.config.length_bonus * num_tokens

    def ended(self, prefix: tuple[int, ...], attention: float, lm: float) -> Hypothesis:
        attention += self.next_log_probs(prefix)[EOS][0]
        lm += self.next_log_probs(prefix)[EOS][1]
        ctc = prefix_score(self.ctc_log_probs, prefix)[1]
        parts = {"attention": attention} | ({"ctc": ctc} if self.config.ctc_weight else {})
        parts |= {"lm": lm} if self.lm is not None else {}
        return Hypothesis(prefix, self.combine(attention, lm, ctc, len(prefix)), parts)

    def beam(self) -> list[Hypothesis]:
        """Search as ours does, without detecting the end."""
        finished: list[Hypothesis] = []
        running: list[tuple[float, tuple[int, ...], float, float]] = [(0.0, (), 0.0, 0.0)]
        for num_tokens in range(self.max_tokens + 1):
            finished += [self.ended(prefix, attention, lm) for _, prefix, attention, lm in running]
            extended = []
            for _, prefix, attention, lm in running:
                log_probs = self.next_log_probs(prefix)
                best = sorted(self.vocabulary, key=lambda token: -self.scored(*log_probs[token]))
                for token in best[: self.config.pre_beam_size]:
                    sums = (attention + log_probs[token][0], lm + log_probs[token][1])
                    ctc = prefix_score(self.ctc_log_probs, (*prefix, token))[0]
                    extended.append((self.combine(*sums, ctc, num_tokens + 1), (*prefix, token), *sums))
            running = sorted(extended, reverse=True)[: self.config.beam_size]
        return self.best(finished)

    def exhaustive(self) -> list[Hypothesis]:
        """Every sequence of up to max_tokens tokens."""
        finished = []
        for num_tokens in range(self.max_tokens + 1):
            for prefix in itertools.product(self.vocabulary, repeat=num_tokens):
                steps = [self.next_log_probs(prefix[:u])[token] for u, token in enumerate(prefix)]
                attention, lm = (sum(step[which] for step in steps) for which in (0, 1))
                finished.append(self.ended(prefix, attention, lm))
        return self.best(finished)

    def best(self, finished: list[Hypothesis]) -> list[Hypothesis]:
        possible = [hypothesis for hypothesis in finished if hypothesis.score > -math.inf]
        return sorted(possible, key=lambda hypothesis: -hypothesis.score)[: self.config.num_best]


def assert_same(ours: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [hypothesis.tokens for hypothesis in ours] == [hypothesis.tokens for hypothesis in expected]
    for one, other in zip(ours, expected, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-4)
        assert one.parts == pytest.approx(other.parts, abs=1e-4)


CONFIGS = [
    JointBeamConfig(beam_size=3, pre_beam_size=4),
    JointBeamConfig(beam_size=3, pre_beam_size=4, num_best=1),
    JointBeamConfig(beam_size=2, pre_beam_size=2, ctc_weight=0.0, num_best=3, max_token_ratio=0.7),
    JointBeamConfig(beam_size=4, pre_beam_size=99, ctc_weight=0.7, num_best=6),
    JointBeamConfig(beam_size=3, pre_beam_size=4, length_bonus=1.5, num_best=2),
    JointBeamConfig(beam_size=3, pre_beam_size=4, length_bonus=-0.5),
    JointBeamConfig(beam_size=1, pre_beam_size=1, num_best=1),
    JointBeamConfig(beam_size=3, pre_beam_size=5, max_token_ratio=0.4),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_equals_the_scalar_search_and_one_by_one(config: JointBeamConfig) -> None:
    lens = [7, 1, 5, 0, 9, 6]
    backbone = make_backbone(9, seed=3, end_bias=1.0)
    latents, latent_lens = make_latents(lens)
    for b, length in enumerate(lens):
        latents[b, length:] = 1e3  # padding is not looked at
    decoder = JointBeam(backbone, config)
    batch = decoder(latents, latent_lens)
    for b, length in enumerate(lens):
        if length:
            assert_same(batch[b], Reference(backbone, latents[b, :length], config).beam())
            (alone,) = decoder(latents[b : b + 1, :length], latent_lens[b : b + 1])
            assert_same(batch[b], alone)
    assert batch[3] == [Hypothesis((), 0.0, {})]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("ctc_weight", "length_bonus"), [(0.3, 0.0), (0.0, 0.0), (0.6, 0.7), (0.5, -1.0)])
def test_with_a_beam_of_every_prefix_it_equals_exhaustive_search(
    seed: int, ctc_weight: float, length_bonus: float
) -> None:
    config = JointBeamConfig(
        beam_size=81, pre_beam_size=9, ctc_weight=ctc_weight, length_bonus=length_bonus, num_best=4
    )
    backbone = make_backbone(6, seed=seed)
    latents, latent_lens = make_latents([4, 3], seed=seed)
    for b, hypotheses in enumerate(JointBeam(backbone, config)(latents, latent_lens)):
        assert_same(hypotheses, Reference(backbone, latents[b, : latent_lens[b]], config).exhaustive())


@pytest.mark.parametrize("seed", range(4))
def test_what_ctc_does_not_write_has_a_bonus_of_its_own(seed: int) -> None:
    backbone = make_backbone(6, seed=seed, end_bias=1.0)
    latents, latent_lens = make_latents([3, 2], seed=seed)
    encoded, encoded_lens = backbone.encode(latents, latent_lens)

    def searched(label_bonus: float, length_bonus: float) -> list[list[Hypothesis]]:
        config = JointBeamConfig(beam_size=6, length_bonus=length_bonus, label_bonus=label_bonus)
        return JointBeam(backbone, config).search(encoded, encoded_lens, with_ctc=False)

    plain, longer = searched(0.0, 0.0), searched(0.6, 0.0)
    for hypotheses, bonus in ((plain, 0.0), (longer, 0.6)):
        for hypothesis in itertools.chain(*hypotheses):
            expected = hypothesis.parts["attention"] + bonus * len(hypothesis.tokens)
            assert hypothesis.score == pytest.approx(expected, abs=1e-4)
    lengths = [[len(best[0].tokens) for best in found] for found in (plain, longer)]
    assert all(one <= other for one, other in zip(*lengths, strict=True)) and lengths[0] != lengths[1]
    assert searched(0.6, 5.0) == longer


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("ctc_weight", "lm_weight", "length_bonus"), [(0.3, 0.4, 0.0), (0.0, 1.0, 0.5), (0.5, 0.2, -0.5)]
)
def test_with_a_language_model_it_equals_exhaustive_search(
    seed: int, ctc_weight: float, lm_weight: float, length_bonus: float
) -> None:
    config = JointBeamConfig(
        beam_size=81,
        pre_beam_size=9,
        ctc_weight=ctc_weight,
        lm_weight=lm_weight,
        length_bonus=length_bonus,
        num_best=4,
    )
    backbone, lm = make_backbone(6, seed=seed), make_lm(6, seed)
    latents, latent_lens = make_latents([4, 3], seed=seed)
    for b, hypotheses in enumerate(JointBeam(backbone, config, lm)(latents, latent_lens)):
        expected = Reference(backbone, latents[b, : latent_lens[b]], config, lm).exhaustive()
        assert_same(hypotheses, expected)
        plain = Reference(backbone, latents[b, : latent_lens[b]], replace(config, lm_weight=0.0))
        assert expected[0].score != pytest.approx(plain.exhaustive()[0].score, abs=0.01)


@pytest.mark.parametrize("lm_size", [9, 7])
@pytest.mark.parametrize(
    "config",
    [
        JointBeamConfig(beam_size=3, pre_beam_size=4, lm_weight=0.5),
        JointBeamConfig(beam_size=2, pre_beam_size=2, ctc_weight=0.0, lm_weight=2.0, num_best=3),
        JointBeamConfig(beam_size=4, pre_beam_size=99, lm_weight=0.3, length_bonus=1.0),
    ],
)
def test_with_a_language_model_it_equals_the_scalar_search_and_one_by_one(
    config: JointBeamConfig, lm_size: int
) -> None:
    lens = [7, 1, 5, 0, 9, 6]
    backbone, lm = make_backbone(9, seed=3, end_bias=1.0), make_lm(lm_size)
    latents, latent_lens = make_latents(lens)
    decoder = JointBeam(backbone, config, lm)
    batch = decoder(latents, latent_lens)
    for b, length in enumerate(lens):
        if length:
            assert_same(batch[b], Reference(backbone, latents[b, :length], config, lm).beam())
            (alone,) = decoder(latents[b : b + 1, :length], latent_lens[b : b + 1])
            assert_same(batch[b], alone)
            # Symbols of other tasks come last in a vocabulary; a language model of words rules them out.
            assert all(token < lm_size for hypothesis in batch[b] for token in hypothesis.tokens)
    assert batch[3] == [Hypothesis((), 0.0, {})]


def test_of_another_task_than_words_the_language_model_is_not_asked() -> None:
    backbone, lm = make_backbone(9, seed=3), make_lm(9)
    config = JointBeamConfig(beam_size=3, lm_weight=0.5)
    encoded, lens = backbone.encode(*make_latents([7, 5]))
    for start in (SOS, 8):  # the token that the decoder begins with is nothing to the language model
        plain = JointBeam(backbone, replace(config, lm_weight=0.0)).search(encoded, lens, start=start)
        decoder = JointBeam(backbone, config, lm)
        for ours, expected in zip(
            decoder.search(encoded, lens, start=start, with_lm=False), plain, strict=True
        ):
            assert_same(ours, expected)
        for best, *_ in decoder.search(encoded, lens, start=start):
            tokens_in = torch.tensor([[SOS, *best.tokens]])
            log_probs = lm(tokens_in, torch.tensor([tokens_in.shape[1]])).log_softmax(2)[0]
            expected_lm = sum(float(log_probs[u, token]) for u, token in enumerate((*best.tokens, EOS)))
            assert best.parts["lm"] == pytest.approx(expected_lm, abs=1e-4)


def test_random_settings_equal_the_scalar_search() -> None:
    generator = torch.Generator().manual_seed(5)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=generator))

    for seed in range(12):
        config = JointBeamConfig(
            beam_size=draw(1, 5),
            pre_beam_size=draw(1, 8),
            ctc_weight=draw(0, 9) / 10,
            length_bonus=draw(-2, 4) / 4,
            num_best=draw(1, 5),
        )
        backbone = make_backbone(draw(5, 9), seed=seed, end_bias=draw(-2, 3))
        latents, latent_lens = make_latents([draw(1, 6), draw(1, 6)], seed=seed)
        for b, hypotheses in enumerate(JointBeam(backbone, config)(latents, latent_lens)):
            assert_same(hypotheses, Reference(backbone, latents[b, : latent_lens[b]], config).beam())


def test_score_is_the_sum_of_its_parts_and_the_list_is_sorted_without_repeats() -> None:
    config = JointBeamConfig(beam_size=4, length_bonus=0.2, num_best=8)
    latents, latent_lens = make_latents([8, 6])
    for hypotheses in JointBeam(make_backbone(9), config)(latents, latent_lens):
        assert len(hypotheses) == 8 == len({hypothesis.tokens for hypothesis in hypotheses})
        assert sorted((hypothesis.score for hypothesis in hypotheses), reverse=True) == [
            hypothesis.score for hypothesis in hypotheses
        ]
        for hypothesis in hypotheses:
            joint = 0.7 * hypothesis.parts["attention"] + 0.3 * hypothesis.parts["ctc"]
            assert hypothesis.score == pytest.approx(joint + 0.2 * len(hypothesis.tokens), abs=1e-4)
            assert not {BLANK, SOS, EOS} & set(hypothesis.tokens)


class Counting(AttentionScorer):
    num_steps = 0

    def step(self, last_tokens: Tensor) -> Tensor:
        self.num_steps += 1
        return super().step(last_tokens)


def test_a_search_ends_when_nothing_can_change() -> None:
    latents, latent_lens = make_latents([40])
    backbone = make_backbone(9, end_bias=30.0)  # sure that it is over at once
    scorer = Counting(backbone, *backbone.encode(latents, latent_lens))
    ((best,),) = beam_search(
        [Weighted("attention", 1.0, scorer)], None, 0.0, latent_lens,
        beam_size=3, pre_beam_size=5, num_best=1, length_bonus=0.0,
    )  # fmt: skip
    assert best.tokens == () and scorer.num_steps == 1


class Favourite:
    """A language model that knows one token."""

    def __init__(self, vocab_size: int, token: int) -> None:
        self.log_probs = torch.full((vocab_size,), -9.0)
        self.log_probs[token] = self.log_probs[EOS] = -0.7

    def step(self, last_tokens: Tensor) -> Tensor:
        return self.log_probs.expand(len(last_tokens), -1)

    def select(self, rows: Tensor) -> None:
        pass


def test_another_scorer_is_one_more_entry_of_the_list() -> None:
    backbone = make_backbone(9, end_bias=-2.0)
    latents, latent_lens = make_latents([6, 6])
    encoded, encoded_lens = backbone.encode(latents, latent_lens)
    log_probs = backbone.ctc_logits(encoded).log_softmax(-1)
    results = beam_search(
        [
            Weighted("attention", 0.5, AttentionScorer(backbone, encoded, encoded_lens)),
            Weighted("lm", 5.0, Favourite(9, 7)),
        ],
        CtcPrefixes.start(log_probs, encoded_lens), 0.5, encoded_lens,
        beam_size=4, pre_beam_size=6, num_best=3, length_bonus=0.0,
    )  # fmt: skip
    for hypotheses in results:
        assert set(hypotheses[0].tokens) <= {7}
        for hypothesis in hypotheses:
            parts = hypothesis.parts
            assert hypothesis.score == pytest.approx(
                0.5 * parts["attention"] + 5 * parts["lm"] + 0.5 * parts["ctc"], abs=1e-4
            )


def test_labels_that_ctc_rules_out_are_never_written() -> None:
    backbone = make_backbone(9)
    with torch.no_grad():
        backbone.ctc.bias[5:] = -torch.inf
    latents, latent_lens = make_latents([6, 4])
    for hypotheses in JointBeam(backbone, JointBeamConfig(num_best=20))(latents, latent_lens):
        assert all(math.isfinite(hypothesis.score) for hypothesis in hypotheses)
        assert all(set(hypothesis.tokens) <= {1, 4} for hypothesis in hypotheses)


def test_when_nothing_is_possible_there_is_still_a_hypothesis() -> None:
    backbone = make_backbone(9)
    with torch.no_grad():
        backbone.ctc.bias[BLANK] = -torch.inf
        backbone.ctc.bias[1] = -torch.inf
        backbone.ctc.bias[4:] = -torch.inf  # CTC knows nothing but <sos> and <eos>
    latents, latent_lens = make_latents([3])
    ((hypothesis,),) = JointBeam(backbone, JointBeamConfig())(latents, latent_lens)
    assert hypothesis.score == -math.inf


@pytest.mark.parametrize("lens", [[], [0], [0, 0]])
def test_nothing_to_decode(lens: list[int]) -> None:
    latents, latent_lens = torch.zeros(len(lens), 2, 8), torch.tensor(lens, dtype=torch.int64)
    results = JointBeam(make_backbone(9), JointBeamConfig())(latents, latent_lens)
    assert results == [[Hypothesis((), 0.0, {})] for _ in lens]


@pytest.mark.parametrize(
    "values",
    [
        {"ctc_weight": 1.0},
        {"ctc_weight": -0.1},
        {"beam_size": 0},
        {"max_token_ratio": 0.0},
        {"max_token_ratio": math.inf},
        {"length_bonus": math.inf},
        {"label_bonus": math.nan},
        {"lm_weight": -0.1},
        {"lm_weight": math.inf},
        {"num_best": 0},
    ],
)
def test_settings_that_make_no_sense_are_named(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        JointBeamConfig(**values)  # type: ignore[arg-type]
