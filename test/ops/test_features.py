"""The front end: equal to Kaldi's, whatever the batch; and the one door to torchaudio."""

from __future__ import annotations

import importlib
import math
import re
from pathlib import Path

import kaldi_native_fbank
import numpy as np
import pytest
import torch

from stxlib.errors import ConfigError
from stxlib.ops import features
from stxlib.ops.features import log_mel, num_frames, resample


def sounds(sample_rate: int) -> list[torch.Tensor]:
    """Noise, a chirp under a slow envelope with an offset, and a short quiet wave.

    The chirp has a little noise: without, its silent bins hold the rounding errors of each implementation.
    """
    generator = torch.Generator().manual_seed(1)
    time = torch.arange(2 * sample_rate) / sample_rate
    chirp = torch.sin(2 * math.pi * (200 + 700 * time) * time) * (
        0.3 + 0.2 * torch.sin(2 * math.pi * 3 * time)
    )
    noise = 0.1 * torch.randn(sample_rate + 77, generator=generator)
    chirp = chirp + 0.05 + 1e-3 * torch.randn(len(chirp), generator=generator)
    return [noise, chirp, 1e-3 * torch.randn(sample_rate // 20, generator=generator)]


def kaldi_log_mel(wave: torch.Tensor, sample_rate: int, num_mels: int) -> torch.Tensor:
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.samp_freq = sample_rate
    options.mel_opts.num_bins = num_mels
    online = kaldi_native_fbank.OnlineFbank(options)
    online.accept_waveform(sample_rate, (wave * 32768).tolist())
    online.input_finished()
    return torch.from_numpy(np.stack([online.get_frame(i) for i in range(online.num_frames_ready)]))


@pytest.mark.parametrize(("sample_rate", "num_mels"), [(16000, 80), (16000, 40), (8000, 40)])
def test_log_mel_is_kaldis(sample_rate: int, num_mels: int) -> None:
    for wave in sounds(sample_rate):
        ours, lens = log_mel(wave[None], torch.tensor([len(wave)]), sample_rate, num_mels)
        theirs = kaldi_log_mel(wave, sample_rate, num_mels)
        assert ours.shape[1] == int(lens) == len(theirs)
        assert (ours[0] - theirs).abs().max() < 0.02


@pytest.mark.parametrize(
    ("samples", "frames"), [(0, 0), (1, 0), (399, 0), (400, 1), (559, 1), (560, 2), (16000, 98)]
)
def test_frames_are_whole(samples: int, frames: int) -> None:
    lens = torch.tensor([samples])
    assert num_frames(lens, 16000).tolist() == [frames]
    found, found_lens = log_mel(torch.ones(1, samples), lens, 16000, 80)
    assert found_lens.tolist() == [frames]
    assert found.shape == (1, max(frames, 1), 80)
    assert bool(found.isfinite().all())


def test_padding_and_neighbours_do_not_matter() -> None:
    waves = sounds(16000)
    lens = torch.tensor([len(wave) for wave in waves])
    padded = torch.full((3, int(lens.max()) + 500), math.nan)
    for row, wave in zip(padded, waves, strict=True):
        row[: len(wave)] = wave
    batch, batch_lens = log_mel(padded, lens, 16000, 80)
    for row, wave in enumerate(waves):
        alone, alone_lens = log_mel(wave[None], lens[row : row + 1], 16000, 80)
        assert alone_lens[0] == batch_lens[row]
        torch.testing.assert_close(
            batch[row, : batch_lens[row]], alone[0, : alone_lens[0]], rtol=0, atol=1e-4
        )
        assert bool((batch[row, batch_lens[row] :] == 0).all())


def test_silence_is_finite() -> None:
    found, _ = log_mel(torch.zeros(1, 4000), torch.tensor([4000]), 16000, 80)
    assert found.unique().tolist() == [pytest.approx(math.log(2**-23), abs=1e-4)]


@pytest.mark.parametrize(("from_rate", "to_rate"), [(8000, 16000), (44100, 16000), (9, 10), (16000, 16000)])
def test_resample_keeps_a_tone(from_rate: int, to_rate: int) -> None:
    seconds, cycles = 4000 / from_rate, 200
    wave = torch.sin(2 * math.pi * cycles * torch.arange(4000) / 4000)
    found = resample(wave, from_rate, to_rate)
    assert len(found) == math.ceil(4000 * to_rate / from_rate)
    expected = torch.sin(2 * math.pi * cycles * torch.arange(len(found)) / (seconds * to_rate))
    inner = slice(len(found) // 10, -len(found) // 10)  # the edges ring
    assert (found - expected)[inner].abs().max() < 5e-3


def test_a_torchaudio_that_does_not_load_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise OSError(f"{name}: undefined symbol\nand more")

    features._torchaudio.cache_clear()
    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(
        ConfigError, match=r"^torchaudio: does not load beside torch .*undefined symbol\); install"
    ):
        resample(torch.zeros(100), 8000, 16000)


def test_one_module_imports_torchaudio() -> None:
    files = sorted(Path(features.__file__).parents[1].rglob("*.py"))
    assert len(files) > 20
    pattern = re.compile(r"""^\s*(import|from) torchaudio|import_module\(["']torchaudio""", re.MULTILINE)
    assert [file.name for file in files if pattern.search(file.read_text(encoding="utf-8"))] == [
        "features.py"
    ]
