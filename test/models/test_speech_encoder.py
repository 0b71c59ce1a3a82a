from __future__ import annotations

import pytest
import torch

from stxlib.errors import ConfigError, DataError
from stxlib.models.speech_encoder import SpeechEncoder, SpeechEncoderConfig
from stxlib.nn.conformer import ConformerConfig

CONFIG = SpeechEncoderConfig(
    num_mels=20,
    conv_channels=4,
    conformer=ConformerConfig(num_layers=1, dim=16, num_heads=2, ff_dim=24, kernel_size=3),
)


def test_normalization_is_of_the_valid_frames() -> None:
    torch.manual_seed(0)
    encoder = SpeechEncoder(CONFIG)
    waves, lens = (
        torch.randn(4, 8000) * torch.tensor([1e-3, 0.1, 0.3, 1.0])[:, None],
        torch.tensor([8000, 5000, 300, 7000]),
    )
    encoder.estimate_normalization([(waves[:2], lens[:2]), (waves[2:], lens[2:])])
    features, feature_lens = encoder.features(waves, lens)
    found = encoder.normalize(features, feature_lens)
    valid = torch.cat([row[:n] for row, n in zip(found, feature_lens.tolist(), strict=True)])
    torch.testing.assert_close(valid.mean(0), torch.zeros(20), rtol=0, atol=1e-4)
    torch.testing.assert_close(valid.std(0, correction=0), torch.ones(20), rtol=0, atol=1e-4)
    assert all(bool((row[n:] == 0).all()) for row, n in zip(found, feature_lens.tolist(), strict=True))


def test_normalization_of_nothing_is_an_error() -> None:
    with pytest.raises(DataError, match="no utterance is as long as one frame"):
        SpeechEncoder(CONFIG).estimate_normalization([(torch.zeros(1, 300), torch.tensor([300]))])


def test_silent_features_do_not_divide_by_zero() -> None:
    encoder = SpeechEncoder(CONFIG)
    encoder.estimate_normalization([(torch.zeros(1, 4000), torch.tensor([4000]))])
    latents, _ = encoder(torch.zeros(1, 4000), torch.tensor([4000]), None)
    assert bool(latents.isfinite().all())


def test_seeds_hide_parts_whatever_the_mode() -> None:
    torch.manual_seed(0)
    encoder = SpeechEncoder(CONFIG).eval()
    waves, lens = torch.randn(2, 16000), torch.tensor([16000, 16000])
    plain, _ = encoder(waves, lens, None)
    hidden, _ = encoder(waves, lens, torch.tensor([1, 2]))
    again, _ = encoder(waves, lens, torch.tensor([1, 2]))
    assert torch.equal(hidden, again) and not torch.equal(hidden, plain)


def test_a_second_has_about_25_latents() -> None:
    encoder = SpeechEncoder(CONFIG)
    for samples in (16000, 16001, 48123, 160000):
        _, lens = encoder(torch.zeros(1, samples), torch.tensor([samples]), None)
        assert int(lens) == (1 + (samples - 400) // 160) // 4
        # The loader leaves utterances out by this estimate, with two frames to spare.
        assert (
            samples / 16000 * encoder.latents_per_second - 2
            <= int(lens)
            <= samples / 16000 * encoder.latents_per_second
        )


@pytest.mark.parametrize(("key", "value"), [("sample_rate", 100), ("num_mels", 0), ("conv_channels", 0)])
def test_sizes_of_which_nothing_can_be_made_are_named(key: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"encoder.{key}: {value}; use"):
        SpeechEncoderConfig(**{key: value})  # type: ignore[arg-type]
