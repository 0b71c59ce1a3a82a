"""From waves to text: a trained network, its tokens, and a decoder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from stxlib.config import dump_config, load_config
from stxlib.decode.ctc_greedy import CtcGreedy, CtcGreedyConfig
from stxlib.decode.hypothesis import Hypothesis
from stxlib.decode.joint_beam import JointBeam, JointBeamConfig
from stxlib.errors import DataError
from stxlib.models.saved import load_network
from stxlib.models.speech_to_text import SpeechToText
from stxlib.text.saved import load_units
from stxlib.text.tokenizer import SubwordTokenizer

DecoderConfig = JointBeamConfig | CtcGreedyConfig
DEFAULT_NAME = "decode.yaml"


@dataclass(frozen=True, kw_only=True)
class DefaultDecoderConfig:
    """The decoder that was kept with the network (decode.yaml in its folder); JointBeamConfig() where none was."""

    kind: Literal["default"] = "default"


@dataclass(frozen=True, kw_only=True)
class _KeptConfig:
    """`decode.yaml` in the folder of a network."""

    decoder: JointBeamConfig | CtcGreedyConfig = field(default_factory=JointBeamConfig)
    """how to search"""


def default_decoder(folder: Path) -> DecoderConfig:
    """Read the decoder that was kept with a network; the library's default where none was."""
    path = folder / DEFAULT_NAME
    return load_config(_KeptConfig, path).decoder if path.is_file() else JointBeamConfig()


def keep_decoder(folder: Path, config: DecoderConfig) -> None:
    """Make `config` the default decoder of the network in `folder`."""
    path = folder / DEFAULT_NAME
    draft = path.with_name(path.name + ".new")
    draft.write_text(dump_config(_KeptConfig(decoder=config)), "utf-8")
    draft.replace(path)


def make_decoder(network: SpeechToText, config: DecoderConfig) -> JointBeam | CtcGreedy:
    """Build the decoder of a config."""
    if isinstance(config, JointBeamConfig):
        return JointBeam(network.backbone, config)
    return CtcGreedy(network.backbone, config)


@dataclass(frozen=True)
class Recognition:
    """What was heard in a batch, and how long it took."""

    hypotheses: list[list[Hypothesis]]
    "for each utterance, best first; never empty"
    model_seconds: float
    "wall time of the encoder and the backbone's encoder"
    decoder_seconds: float
    "wall time of the search, with the CTC output and the attention decoder"


class Recognizer:
    """A network with its tokens and a decoder, on one device."""

    def __init__(self, network: SpeechToText, tokenizer: SubwordTokenizer, config: DecoderConfig) -> None:
        """network: in eval mode, on the device where it is to run."""
        self.network = network.eval()
        self.tokenizer = tokenizer
        self.config = config
        self.device = next(network.parameters()).device
        self._decoder = make_decoder(network, config)

    @classmethod
    def load(
        cls, folder: Path | str, config: DecoderConfig | None = None, device: torch.device | str = "cpu"
    ) -> Recognizer:
        """Load the network that a training run saved in `folder`; config None: its default decoder.

        Raises DataError for a folder that is no complete network.
        """
        folder = Path(folder)
        network = load_network(folder, device)
        return cls(network, load_units(folder / "units").tokens, config or default_decoder(folder))

    @property
    def sample_rate(self) -> int:
        """Samples a second of the waves it takes."""
        return self.network.sample_rate

    def __call__(self, waves: Tensor, wave_lens: Tensor) -> list[list[Hypothesis]]:
        """waves: (B, N) float32 in [-1, 1]; wave_lens: (B,) samples. Returns the hypotheses of each utterance, best first."""
        return self.recognize(waves, wave_lens).hypotheses

    @torch.inference_mode()
    def recognize(self, waves: Tensor, wave_lens: Tensor, utts: Sequence[str] = ()) -> Recognition:
        """As calling it, with times. utts: names for messages.

        Raises DataError where the network's output is not finite.
        """
        start = self._now()
        encoded, encoded_lens = self.network.encode(waves.to(self.device), wave_lens.to(self.device))
        finite = encoded.isfinite().flatten(1).all(1)
        if not finite.all():
            bad = (~finite).nonzero()[:, 0].tolist()
            names = ", ".join(str(utts[index] if utts else index) for index in bad)
            raise DataError(f"utterances {names}: the network's output is not finite; train it again")
        middle = self._now()
        hypotheses = self._decoder.search(encoded, encoded_lens)
        return Recognition(hypotheses, middle - start, self._now() - middle)

    def text(self, hypothesis: Hypothesis) -> str:
        """Return the words of a hypothesis."""
        return self.tokenizer.decode(hypothesis.tokens)

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()
