"""A small data directory with real audio files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stxlib.data.data_dir import DataDir
from stxlib.data.tables import write_table

MakeDataDir = Callable[..., DataDir]


@pytest.fixture
def make_data_dir(tmp_path: Path) -> MakeDataDir:
    """make_data_dir(name, seconds of each utterance, ...) -> DataDir with wav.scp, text, utt2spk and utt2dur."""

    def make(
        name: str = "train",
        seconds: tuple[float, ...] = (0.5, 0.8, 0.3),
        *,
        sample_rate: int = 16000,
        suffix: str = "wav",
        durations: bool = True,
    ) -> DataDir:
        folder = tmp_path / "corpus" / name
        (folder / "wav").mkdir(parents=True)
        random = np.random.default_rng(len(seconds))
        utts = [f"ütt-{index:03d}" for index in range(len(seconds))]
        for utt, length in zip(utts, seconds, strict=True):
            wave = 0.1 * random.standard_normal(round(length * sample_rate))
            soundfile.write(folder / "wav" / f"{utt}.{suffix}", wave, sample_rate)
        write_table(folder / "wav.scp", {utt: f"wav/{utt}.{suffix}" for utt in utts})
        write_table(folder / "text", {utt: f"слово {index}" for index, utt in enumerate(utts)})
        write_table(folder / "utt2spk", {utt: f"spk{index % 2}" for index, utt in enumerate(utts)})
        if durations:
            write_table(
                folder / "utt2dur", {utt: f"{length:.4f}" for utt, length in zip(utts, seconds, strict=True)}
            )
        return DataDir(folder)

    return make
