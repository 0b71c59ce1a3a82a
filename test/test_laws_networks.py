"""The laws of networks, over every encoder, decoder and objective.

Padding: garbage in the padding changes nothing, and what lies past a length is zero. Batching: a batch = its utterances one by one.
Splitting: 1 batch of 8 = 4 of 2, loss and gradients. Determinism: twice the same on a CPU, bit for bit. Learning: an objective overfits
eight utterances. A new network is a line in one of the dictionaries, and a number in `test_how_many_were_seen`.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

import pytest
import torch
from torch import Tensor, nn

import stxlib.models
import stxlib.nn
import stxlib.objectives
from stxlib.data.batch import BatchWithUnheard, Sequences, SpeechBatch, TextBatch, pad
from stxlib.models.backbone import Backbone, BackboneConfig
from stxlib.models.classifier import Classifier, ClassifierConfig
from stxlib.models.speech_encoder import SpeechEncoder, SpeechEncoderConfig
from stxlib.models.speech_to_text import SpeechToText, SpeechToTextConfig
from stxlib.models.text_to_text import TextToText, TextToTextConfig
from stxlib.nn.attention_pooling import AttentionPooling
from stxlib.nn.conformer import Conformer, ConformerConfig
from stxlib.nn.subsampling import Subsampling
from stxlib.nn.token_embedding import TokenEmbeddingConfig
from stxlib.nn.transformer_decoder import DecoderConfig, TransformerDecoder
from stxlib.objectives.classification import ClassificationLossConfig, ClassificationObjective
from stxlib.objectives.latent_synthesis import LatentSynthesisLossConfig, LatentSynthesisObjective
from stxlib.objectives.speech_to_text import SpeechToTextLossConfig, SpeechToTextObjective
from stxlib.objectives.text_to_text import TextToTextLossConfig, TextToTextObjective
from stxlib.ops.segments import Segments
from stxlib.ratio import Ratio

BINS, DIM, VOCAB, UNITS = 12, 16, 13, 9
BLOCKS = ConformerConfig(num_layers=2, dim=DIM, num_heads=2, ff_dim=24, kernel_size=5)
DECODER = DecoderConfig(num_layers=2, dim=DIM, num_heads=2, ff_dim=24)
ENCODER = SpeechEncoderConfig(num_mels=BINS, conv_channels=4, conformer=BLOCKS)
BACKBONE = BackboneConfig(conformer=BLOCKS, decoder=DECODER)

Batch = SpeechBatch | TextBatch | BatchWithUnheard
Encode = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class Encoder:
    """A network from (x, x_lens) to (y, y_lens), with an input for it."""

    def __init__(self, module: nn.Module, encode: Encode, x: Tensor, x_lens: list[int]) -> None:
        self.module, self.encode, self.x, self.x_lens = module.eval(), encode, x, torch.tensor(x_lens)


def speech_encoder() -> Encoder:
    module = SpeechEncoder(ENCODER)
    seeds = torch.arange(4) + 3
    return Encoder(
        module, lambda x, n: module(x, n, seeds[: len(x)]), torch.randn(4, 9000), [9000, 4321, 700, 100]
    )


def conformer() -> Encoder:
    module = Conformer(BLOCKS)
    return Encoder(module, lambda x, n: (module(x, n), n), torch.randn(4, 40, DIM), [40, 23, 1, 0])


def subsampling() -> Encoder:
    module = Subsampling(BINS, 4, DIM)

    def encode(x: Tensor, x_lens: Tensor) -> tuple[Tensor, Tensor]:
        y, y_lens = module(x, x_lens)
        return y.masked_fill((torch.arange(y.shape[1]) >= y_lens[:, None])[..., None], 0.0), y_lens

    return Encoder(module, encode, torch.randn(4, 40, BINS), [40, 23, 4, 3])


def backbone() -> Encoder:
    module = Backbone(BACKBONE, 10, VOCAB)
    return Encoder(module, module.encode, torch.randn(4, 40, 10), [40, 23, 1, 0])


def ctc_of_backbone() -> Encoder:
    module = Backbone(BACKBONE, 10, VOCAB)

    def encode(x: Tensor, x_lens: Tensor) -> tuple[Tensor, Tensor]:
        encoded, lens = module.encode(x, x_lens)
        valid = (torch.arange(encoded.shape[1]) < lens[:, None])[..., None]
        return module.ctc_logits(encoded) * valid, lens

    return Encoder(module, encode, torch.randn(4, 40, 10), [40, 23, 1, 0])


def speech_to_text() -> Encoder:
    module = SpeechToText(SpeechToTextConfig(encoder=ENCODER, backbone=BACKBONE), VOCAB, UNITS)
    return Encoder(module, module.encode, torch.randn(4, 9000), [9000, 4321, 700, 100])


def text_to_text() -> Encoder:
    config = TextToTextConfig(embedding=TokenEmbeddingConfig(dim=10), backbone=BACKBONE)
    module = TextToText(config, VOCAB)
    return Encoder(
        module, lambda x, n: module.encode(as_tokens(x), n), torch.rand(4, 9) * VOCAB, [9, 5, 1, 0]
    )


def classifier() -> Encoder:
    module = Classifier(ClassifierConfig(encoder=ENCODER, conformer=BLOCKS), VOCAB, {"intent": 5})
    return Encoder(module, module.encode, torch.randn(4, 9000), [9000, 4321, 700, 100])


def attention_pooling() -> Encoder:
    module = AttentionPooling(DIM)

    def encode(x: Tensor, x_lens: Tensor) -> tuple[Tensor, Tensor]:
        return module(x, x_lens)[:, None], (x_lens > 0).long()

    return Encoder(module, encode, torch.randn(4, 9, DIM), [9, 5, 1, 0])


def as_tokens(x: Tensor) -> Tensor:
    return x.nan_to_num(VOCAB - 1).clamp(0, VOCAB - 1).long()


ENCODERS = {
    "speech_encoder": speech_encoder,
    "conformer": conformer,
    "subsampling": subsampling,
    "backbone": backbone,
    "ctc_of_backbone": ctc_of_backbone,
    "speech_to_text": speech_to_text,
    "text_to_text": text_to_text,
    "classifier": classifier,
    "attention_pooling": attention_pooling,
}


@pytest.fixture(params=ENCODERS)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    torch.manual_seed(0)
    return ENCODERS[request.param]()


def fill_padding(x: Tensor, x_lens: Tensor, value: float) -> Tensor:
    padding = torch.arange(x.shape[1]) >= x_lens[:, None]
    return x.masked_fill(padding.view(*padding.shape, *[1] * (x.dim() - 2)), value)


@torch.no_grad()
def test_padding_of_encoders(encoder: Encoder) -> None:
    garbage = 1e4 if isinstance(encoder.module, Conformer | Subsampling) else float("nan")
    found, lens = encoder.encode(fill_padding(encoder.x, encoder.x_lens, garbage), encoder.x_lens)
    clean, clean_lens = encoder.encode(fill_padding(encoder.x, encoder.x_lens, 0.0), encoder.x_lens)
    assert torch.equal(lens, clean_lens)
    torch.testing.assert_close(found, clean, rtol=0, atol=1e-5)
    assert float(found.abs().max()) > 0.01
    for row, length in enumerate(lens.tolist()):
        assert bool((found[row, length:] == 0).all())


@torch.no_grad()
def test_batching_of_encoders(encoder: Encoder) -> None:
    found, lens = encoder.encode(encoder.x, encoder.x_lens)
    for row, x_len in enumerate(encoder.x_lens.tolist()):
        if isinstance(encoder.module, SpeechEncoder):
            seeds = torch.arange(4)[row : row + 1] + 3
            alone, alone_lens = encoder.module(encoder.x[row : row + 1, :x_len], torch.tensor([x_len]), seeds)
        else:
            alone, alone_lens = encoder.encode(
                encoder.x[row : row + 1, : max(x_len, 1)], torch.tensor([x_len])
            )
        assert alone_lens[0] == lens[row]
        torch.testing.assert_close(alone[0, : lens[row]], found[row, : lens[row]], rtol=0, atol=2e-5)


def test_gradients_of_encoders_ignore_padding(encoder: Encoder) -> None:
    def gradients(x: Tensor) -> list[Tensor]:
        encoder.module.zero_grad()
        found, _ = encoder.encode(x, encoder.x_lens)
        found.square().sum().backward()
        return [parameter.grad for parameter in encoder.module.parameters() if parameter.grad is not None]

    clean, garbage = (gradients(fill_padding(encoder.x, encoder.x_lens, value)) for value in (0.0, 1e3))
    assert clean
    for one, other in zip(clean, garbage, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * float(one.abs().max()) + 1e-6)


DECODERS = {
    "transformer_decoder": lambda: TransformerDecoder(DECODER, DIM, VOCAB),
    "backbone": lambda: Backbone(BACKBONE, DIM, VOCAB),
}


@pytest.fixture(params=DECODERS)
def decoder(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return DECODERS[request.param]().eval()


def decode(
    decoder: nn.Module, encoded: Tensor, encoded_lens: Tensor, tokens: Tensor, token_lens: Tensor
) -> Tensor:
    """Logits, zero past the lengths."""
    if isinstance(decoder, Backbone):
        return decoder.decoder_logits(encoded, encoded_lens, tokens, token_lens)
    logits: Tensor = decoder(encoded, encoded_lens, tokens)
    return logits * (torch.arange(tokens.shape[1]) < token_lens[:, None])[..., None]


@torch.no_grad()
def test_padding_and_batching_of_decoders(decoder: nn.Module) -> None:
    encoded, encoded_lens = torch.randn(3, 12, DIM), torch.tensor([12, 5, 1])
    tokens, token_lens = torch.randint(VOCAB, (3, 6)), torch.tensor([2, 6, 1])
    found = decode(decoder, encoded, encoded_lens, tokens, token_lens)
    garbage = decode(
        decoder,
        fill_padding(encoded, encoded_lens, 1e4),
        encoded_lens,
        fill_padding(tokens, token_lens, VOCAB - 1),
        token_lens,
    )
    torch.testing.assert_close(garbage, found, rtol=0, atol=1e-5)
    for row in range(3):
        frames, num_tokens = int(encoded_lens[row]), int(token_lens[row])
        assert bool((found[row, num_tokens:] == 0).all())
        alone = decode(
            decoder,
            encoded[row : row + 1, :frames],
            encoded_lens[row : row + 1],
            tokens[row : row + 1, :num_tokens],
            token_lens[row : row + 1],
        )
        torch.testing.assert_close(alone[0], found[row, :num_tokens], rtol=0, atol=1e-5)


@torch.no_grad()
def test_steps_of_decoders_are_the_whole_forward(decoder: nn.Module) -> None:
    encoded, encoded_lens = torch.randn(3, 12, DIM), torch.tensor([12, 5, 1])
    tokens, token_lens = torch.randint(VOCAB, (3, 6)), torch.tensor([6, 6, 6])
    whole = decode(decoder, encoded, encoded_lens, tokens, token_lens).log_softmax(2)
    assert isinstance(decoder, Backbone | TransformerDecoder)
    state = decoder.start(encoded, encoded_lens).select(torch.arange(3).repeat_interleave(2))
    for position in range(6):
        log_probs, state = decoder.step(state, tokens[:, position].repeat_interleave(2))
        torch.testing.assert_close(log_probs[::2], whole[:, position], rtol=0, atol=1e-5)
        torch.testing.assert_close(log_probs[1::2], whole[:, position], rtol=0, atol=1e-5)
        state = state.select(torch.tensor([1, 0, 2, 2, 5, 4]))


def speech_to_text_objective(dropout: float) -> SpeechToTextObjective:
    blocks, decoder = replace(BLOCKS, dropout=dropout), replace(DECODER, dropout=dropout)
    config = SpeechToTextConfig(
        encoder=replace(ENCODER, conformer=blocks), backbone=BackboneConfig(conformer=blocks, decoder=decoder)
    )
    return SpeechToTextObjective(SpeechToText(config, VOCAB, UNITS), SpeechToTextLossConfig())


def multi_task_objective(dropout: float) -> SpeechToTextObjective:
    network = speech_to_text_objective(dropout).network
    config = SpeechToTextLossConfig(tasks=("asr", "slu", "sentiment"))
    return SpeechToTextObjective(network, config, {"asr": 4, "slu": 5, "sentiment": 6})


def text_to_text_objective(dropout: float) -> TextToTextObjective:
    blocks, decoder = replace(BLOCKS, dropout=dropout), replace(DECODER, dropout=dropout)
    config = TextToTextConfig(
        embedding=TokenEmbeddingConfig(dim=DIM), backbone=BackboneConfig(conformer=blocks, decoder=decoder)
    )
    loss = TextToTextLossConfig(tasks=("slu", "sentiment"))
    return TextToTextObjective(TextToText(config, VOCAB), loss, {"slu": 5, "sentiment": 6})


def classification_objective(dropout: float, encoder: object = ENCODER) -> ClassificationObjective:
    blocks = replace(BLOCKS, dropout=dropout)
    encoder = replace(ENCODER, conformer=blocks) if encoder is ENCODER else encoder
    config = ClassifierConfig(encoder=encoder, conformer=blocks, hidden_dim=12, dropout=dropout)  # type: ignore[arg-type]
    network = Classifier(config, VOCAB, {"sentiment": VOCAB, "intent": VOCAB})
    return ClassificationObjective(network, ClassificationLossConfig(tasks=("sentiment", "intent")))


def text_classification_objective(dropout: float) -> ClassificationObjective:
    return classification_objective(dropout, TokenEmbeddingConfig(dim=DIM))


class Rows(nn.Module):
    """A synthesizer: three frames for each unit, noise by the seed of the utterance."""

    def __init__(self) -> None:
        super().__init__()
        self.num_units, self.dim, self.frames_per_unit = UNITS, DIM, 3.0
        self.register_buffer("rows", torch.randn(UNITS, DIM))
        self.register_buffer("latent_mean", torch.full((DIM,), 0.1))
        self.register_buffer("latent_std", torch.ones(DIM))

    def sample(self, units: Tensor, unit_lens: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor]:
        samples = []
        for ids, length, seed in zip(units, unit_lens.tolist(), seeds.tolist(), strict=True):
            rows = self.rows[ids[:length]].repeat_interleave(3, 0)
            samples.append(
                rows + 0.01 * torch.randn(rows.shape, generator=torch.Generator().manual_seed(seed))
            )
        return nn.utils.rnn.pad_sequence(samples, batch_first=True), 3 * unit_lens

    def durations(self, units: Tensor, unit_lens: Tensor, seeds: Tensor) -> Segments:
        raise NotImplementedError


def latent_synthesis_objective(dropout: float) -> LatentSynthesisObjective:
    config = LatentSynthesisLossConfig(tasks=("asr", "slu"), text_weight=0.5)
    network = speech_to_text_objective(dropout).network
    return LatentSynthesisObjective(network, Rows(), config, {"asr": 4, "slu": 5})


OBJECTIVES = {
    "speech_to_text": speech_to_text_objective,
    "several tasks": multi_task_objective,
    "latent_synthesis": latent_synthesis_objective,
    "text_to_text": text_to_text_objective,
    "classification": classification_objective,
    "classification of text": text_classification_objective,
}
READ_BOTH = ("latent_synthesis",)
READ_TEXT = ("text_to_text", "classification of text")


@pytest.fixture(params=OBJECTIVES)
def make_objective(request: pytest.FixtureRequest) -> Callable[[float], nn.Module]:
    return OBJECTIVES[request.param]


@pytest.fixture
def eight(request: pytest.FixtureRequest, make_objective: Callable[[float], nn.Module]) -> Batch:
    """Eight utterances of the kind that the objective reads."""
    batch, reads = eight_utterances(), request.node.callspec.params["make_objective"]
    if reads not in READ_TEXT + READ_BOTH:
        return batch
    generator = torch.Generator().manual_seed(2)
    lens = [5, 4, 4, 1, 3, 2, 5, 7]
    source = Sequences.of([torch.randint(4, VOCAB, (n,), generator=generator).tolist() for n in lens])
    text = TextBatch(batch.utts, batch.seeds, source, batch.labels)
    if reads in READ_TEXT:
        return text
    spelt = replace(text, source=units_of(text.labels))
    return BatchWithUnheard(batch, spelt, 1.0, spelt)


def units_of(labels: dict[str, Sequences]) -> Sequences:
    """Units that spell what is to be written: one for each token, so that it can be learnt, and two more."""
    ids = labels["asr"].ids
    spelt = torch.stack([ids % (UNITS - 2) + 2, ids // (UNITS - 2) + 2], 2).flatten(1)
    return Sequences(spelt, 2 * labels["asr"].lens)


def eight_utterances() -> SpeechBatch:
    """Noise whose first bins tell the utterances apart, with labels that have nothing to do with it."""
    generator = torch.Generator().manual_seed(1)
    samples = [9000, 8000, 8500, 5000, 7000, 6000, 8800, 7600]
    tones = [torch.sin(torch.arange(n) * (0.05 + 0.25 * i)) for i, n in enumerate(samples)]
    waves, wave_lens = pad(
        [0.1 * tone + 0.01 * torch.randn(len(tone), generator=generator) for tone in tones]
    )

    def draw(low: int, high: int, lens: list[int]) -> Sequences:
        return Sequences.of([torch.randint(low, high, (n,), generator=generator).tolist() for n in lens])

    labels = {
        "asr": draw(4, VOCAB, [1 + i % 4 for i in range(8)]),
        "units": draw(2, UNITS, [i % 3 for i in range(8)]),
        "slu": draw(4, VOCAB, [1 + i * 5 % 7 for i in range(8)]),
        "sentiment": draw(4, VOCAB, [1] * 8),
        "intent": draw(4, VOCAB, [1] * 8),
    }
    utts = tuple(f"utt{i}" for i in range(8))
    return SpeechBatch(utts, torch.arange(8) + 7, waves, wave_lens, 16000, labels)


def rows(batch: Batch, chosen: slice) -> Batch:
    """Some utterances, with no more padding than they need."""

    def cut(x: Tensor, x_lens: Tensor) -> Tensor:
        return x[chosen, : int(x_lens[chosen].max())]

    def part(sequences: Sequences) -> Sequences:
        return Sequences(cut(sequences.ids, sequences.lens), sequences.lens[chosen])

    if isinstance(batch, BatchWithUnheard):
        speech, text, unheard = (rows(part, chosen) for part in (batch.speech, batch.text, batch.unheard))
        return BatchWithUnheard(speech, text, 1.0, unheard)
    labels = {name: part(sequences) for name, sequences in batch.labels.items()}
    if isinstance(batch, TextBatch):
        return TextBatch(batch.utts[chosen], batch.seeds[chosen], part(batch.source), labels)
    return replace(
        batch,
        utts=batch.utts[chosen],
        seeds=batch.seeds[chosen],
        waves=cut(batch.waves, batch.wave_lens),
        wave_lens=batch.wave_lens[chosen],
        labels=labels,
    )


@pytest.mark.parametrize("size", [1, 2, 3])
def test_splitting_of_objectives(
    make_objective: Callable[[float], nn.Module], eight: Batch, size: int
) -> None:
    torch.manual_seed(0)
    objective, batch = make_objective(0.0).train(), eight

    def gradients(parts: list[Batch]) -> tuple[dict[str, float], list[Tensor]]:
        objective.zero_grad()
        sums: dict[str, float] = {}
        count = 0.0
        for part in parts:
            found = objective(part)
            found["loss"].sum.backward()
            count += float(found["loss"].count)
            for name, ratio in found.items():
                sums[name] = sums.get(name, 0.0) + float(ratio.sum.detach())
        return sums, [p.grad / count for p in objective.parameters() if p.requires_grad]

    whole_sums, whole = gradients([batch])
    split_sums, split = gradients([rows(batch, slice(start, start + size)) for start in range(0, 8, size)])
    assert split_sums == pytest.approx(whole_sums, rel=1e-5)
    for one, other in zip(whole, split, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * max(1.0, float(one.abs().max())))


def spoilt(batch: Batch) -> Batch:
    """The same with garbage in the padding."""
    if isinstance(batch, BatchWithUnheard):
        speech, text, unheard = (spoilt(part) for part in (batch.speech, batch.text, batch.unheard))
        return replace(batch, speech=speech, text=text, unheard=unheard)

    def spoil(sequences: Sequences, value: int) -> Sequences:
        return Sequences(fill_padding(sequences.ids, sequences.lens, value), sequences.lens)

    labels = {
        name: spoil(sequences, (UNITS if name == "units" else VOCAB) - 1)
        for name, sequences in batch.labels.items()
    }
    if isinstance(batch, TextBatch):
        return replace(batch, source=spoil(batch.source, UNITS - 1), labels=labels)
    waves = fill_padding(batch.waves, batch.wave_lens, float("nan"))
    return replace(batch, waves=waves, labels=labels)


def test_padding_of_objectives(make_objective: Callable[[float], nn.Module], eight: Batch) -> None:
    torch.manual_seed(0)
    objective, batch = make_objective(0.0).train(), eight
    clean, found = objective(batch), objective(spoilt(batch))
    for name, ratio in clean.items():
        assert float(found[name].sum.detach()) == pytest.approx(float(ratio.sum.detach()), rel=1e-5), name
        assert float(found[name].count) == float(ratio.count)


def test_objectives_are_deterministic(make_objective: Callable[[float], nn.Module], eight: Batch) -> None:
    def trained() -> dict[str, Tensor]:
        torch.manual_seed(0)
        objective, batch = make_objective(0.1).train(), eight
        optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-3)
        for step in range(3):
            torch.manual_seed(step)
            optimizer.zero_grad()
            objective(batch)["loss"].sum.backward()
            optimizer.step()
        return objective.state_dict()

    first, second = trained(), trained()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_objectives_reach_every_parameter(make_objective: Callable[[float], nn.Module], eight: Batch) -> None:
    torch.manual_seed(0)
    objective = make_objective(0.1).train()
    objective(eight)["loss"].sum.backward()
    idle = [
        name
        for name, parameter in objective.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert idle == []


def test_objectives_overfit_eight_utterances(
    make_objective: Callable[[float], nn.Module], eight: Batch
) -> None:
    torch.manual_seed(0)
    objective = make_objective(0.0)
    encoder = getattr(objective.network, "encoder", None)
    speech = eight.speech if isinstance(eight, BatchWithUnheard) else eight
    if isinstance(speech, SpeechBatch) and isinstance(encoder, SpeechEncoder):
        encoder.estimate_normalization([(speech.waves, speech.wave_lens)])
    optimizer = torch.optim.AdamW(objective.parameters(), lr=5e-3, weight_decay=0.0)
    objective.eval()  # no SpecAugment: it is to learn by heart

    def is_learnt(found: dict[str, Ratio]) -> bool:
        accuracies = [
            float(ratio.detach().value)
            for name, ratio in found.items()
            if name.endswith("_accuracy")
            and not name.startswith("unheard")  # which of the eight it is, nobody can tell
        ]
        ctc = float(found["ctc"].detach().value) if "ctc" in found else 0.0
        return bool(accuracies) and min(accuracies) == 1 and ctc < 0.1

    for _ in range(200):
        optimizer.zero_grad()
        found = objective(eight)
        if is_learnt(found) and objective.inspect(speech).hypotheses == objective.inspect(speech).references:
            break
        found["loss"].sum.backward()
        nn.utils.clip_grad_norm_(objective.parameters(), 5.0)
        optimizer.step()
    assert is_learnt(objective(eight))
    inspection = objective.inspect(speech)
    assert inspection.hypotheses == inspection.references
    images = [image for image in inspection.images.values() if image.numel()]
    assert images and all(0 <= float(image.min()) <= float(image.max()) <= 1 for image in images)


def modules_of(package: object) -> list[str]:
    names = [info.name for info in pkgutil.iter_modules(package.__path__)]  # type: ignore[attr-defined]
    return [f"{package.__name__}.{name}" for name in names]  # type: ignore[attr-defined]


def test_how_many_were_seen() -> None:
    assert (len(ENCODERS), len(DECODERS), len(OBJECTIVES)) == (9, 2, 6)
    objectives = {
        name
        for module in modules_of(stxlib.objectives)
        for name, found in inspect.getmembers(import_module(module), inspect.isclass)
        if issubclass(found, nn.Module) and found.__module__ == module
    }
    # Those of a language model and of a diffusion have laws of their own: nothing tells the first token, or the noise, so they do not learn
    # all by heart.
    assert objectives == {
        "SpeechToTextObjective",
        "TextToTextObjective",
        "ClassificationObjective",
        "LanguageModelObjective",
        "LatentDiffusionObjective",
        "LatentSynthesisObjective",
    }
    models = {
        name
        for module in modules_of(stxlib.models)
        for name, found in inspect.getmembers(import_module(module), inspect.isclass)
        if issubclass(found, nn.Module) and found.__module__ == module
    }
    assert models == {
        "PublicEncoder",
        "WaveTransformer",
        "WhisperWindows",
        "Backbone",
        "CausalLM",
        "Classifier",
        "DiffusionSynthesizer",
        "EmpiricalDurations",
        "FixedProjection",
        "Mishearing",
        "ResidualNoise",
        "SpeechEncoder",
        "SpeechToText",
        "TextToText",
        "_Head",
    }
    # Blocks with time inside are tested alone or in what they are parts of.
    blocks = {name.removeprefix("stxlib.nn.") for name in modules_of(stxlib.nn)}
    assert blocks == {
        "attention",
        "attention_pooling",
        "causal_transformer",
        "conformer",
        "depthwise_conv",
        "dropout",
        "duration_predictor",
        "fitted_buffers",
        "rotary",
        "spec_augment",
        "subsampling",
        "token_embedding",
        "transformer_decoder",
        "wavenet",
    }
