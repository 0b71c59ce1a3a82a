"""From waves to text: a trained network, its tokens, and a decoder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from stxlib.atomic import write_text
from stxlib.config import dump_config, load_config
from stxlib.decode.ctc_greedy import CtcGreedy, CtcGreedyConfig
from stxlib.decode.hypothesis import Hypothesis
from stxlib.decode.joint_beam import JointBeam, JointBeamConfig
from stxlib.errors import ConfigError, DataError
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
    write_text(folder / DEFAULT_NAME, dump_config(_KeptConfig(decoder=config)))


def choose_device(name: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """Read an option `device`; auto is the GPU if there is one. Raises ConfigError for a GPU that is not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device cuda: torch sees no GPU; give --device cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


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

    def recognize(self, waves: Tensor, wave_lens: Tensor, utts: Sequence[str] = ()) -> Recognition:
        """As calling it, with times. Where memory does not suffice for the batch its halves are recognized, with a message.

        utts: names for messages. Raises DataError where the network's output is not finite, and where memory does not
        suffice for one utterance.
        """
        utts = utts or [str(index) for index in range(len(waves))]
        try:
            return self._recognize_at_once(waves, wave_lens, utts)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
        if len(utts) == 1:
            seconds = float(wave_lens[0]) / self.sample_rate
            raise DataError(
                f"utterance {utts[0]!r} ({seconds:.1f} s): memory does not suffice for it alone; "
                "cut it (segments), or lower decoder.beam_size"
            )
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        middle = (len(utts) + 1) // 2
        print(f"not enough memory for {len(utts)} utterances at once: going on with {middle}", flush=True)
        first, second = (
            self.recognize(waves[part, : int(wave_lens[part].max())], wave_lens[part], utts[part])
            for part in (slice(middle), slice(middle, None))
        )
        return Recognition(
            first.hypotheses + second.hypotheses,
            first.model_seconds + second.model_seconds,
            first.decoder_seconds + second.decoder_seconds,
        )

    def text(self, hypothesis: Hypothesis) -> str:
        """Return the words of a hypothesis."""
        return self.tokenizer.decode(hypothesis.tokens)

    @torch.inference_mode()
    def _recognize_at_once(self, waves: Tensor, wave_lens: Tensor, utts: Sequence[str]) -> Recognition:
        start = self._now()
        encoded, encoded_lens = self.network.encode(waves.to(self.device), wave_lens.to(self.device))
        finite = encoded.isfinite().flatten(1).all(1)
        if not finite.all():
            bad = ", ".join(utts[index] for index in (~finite).nonzero()[:, 0].tolist())
            raise DataError(f"utterances {bad}: the network's output is not finite; train it again")
        middle = self._now()
        hypotheses = self._decoder.search(encoded, encoded_lens)
        return Recognition(hypotheses, middle - start, self._now() - middle)

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether memory did not suffice, on a GPU or on the CPU (where torch says so with a plain RuntimeError)."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
