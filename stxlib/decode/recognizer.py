"""From waves or text to what is understood: a trained network, its vocabulary, and a decoder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor

from stxlib.atomic import write_text
from stxlib.config import dump_config, load_config
from stxlib.decode.classes import ClassesConfig, ClassRanking
from stxlib.decode.ctc_greedy import CtcGreedy, CtcGreedyConfig
from stxlib.decode.hypothesis import Hypothesis
from stxlib.decode.joint_beam import JointBeam, JointBeamConfig
from stxlib.decode.language_model import load_language_model
from stxlib.errors import ConfigError, DataError
from stxlib.models.causal_lm import CausalLM
from stxlib.models.classifier import Classifier
from stxlib.models.networks import Network, speech_encoder
from stxlib.models.saved import SavedConfig, load_network, read_saved, save_network
from stxlib.models.speech_to_text import SpeechToText
from stxlib.models.text_to_text import TextToText
from stxlib.text.saved import Units, load_units
from stxlib.text.target_vocabulary import Task
from stxlib.text.targets import Decoded

DecoderConfig = JointBeamConfig | CtcGreedyConfig | ClassesConfig
DEFAULT_NAME = "decode.yaml"
LM_NAME = "lm"
"folder of the language model that was kept with a network, inside its own"


@dataclass(frozen=True, kw_only=True)
class DefaultDecoderConfig:
    """The decoder that was kept with the network (decode.yaml in its folder); where none was, ClassesConfig() for a classifier,
    CtcGreedyConfig() where no decoder was trained, else JointBeamConfig().
    """

    kind: Literal["default"] = "default"


@dataclass(frozen=True, kw_only=True)
class _KeptConfig:
    """`decode.yaml` in the folder of a network."""

    decoder: JointBeamConfig | CtcGreedyConfig | ClassesConfig = field(default_factory=JointBeamConfig)
    """how to search"""


def default_decoder(folder: Path) -> DecoderConfig:
    """Read the decoder that was kept with a network; the library's default for its kind where none was."""
    path = folder / DEFAULT_NAME
    if path.is_file():
        decoder = load_config(_KeptConfig, path).decoder
        if isinstance(decoder, JointBeamConfig) and decoder.lm is not None:
            return replace(decoder, lm=folder / decoder.lm)
        return decoder
    saved = read_saved(folder)
    if saved.network.kind == "classifier":
        return ClassesConfig()
    return JointBeamConfig() if saved.tasks else CtcGreedyConfig()


def keep_decoder(folder: Path, config: DecoderConfig) -> None:
    """Make `config` the default decoder of the network in `folder`; its language model is copied, so that the folder alone is enough."""
    if isinstance(config, JointBeamConfig) and config.lm is not None:
        kept = folder / LM_NAME
        if config.lm.resolve() != kept.resolve():
            lm, saved = load_network(config.lm)
            save_network(kept, lm, saved, units_dir=config.lm / "units")
        config = replace(config, lm=Path(LM_NAME))
    write_text(folder / DEFAULT_NAME, dump_config(_KeptConfig(decoder=config)))


def check_fusion(config: JointBeamConfig, tasks: Sequence[str]) -> None:
    """ConfigError for a weight without a language model, for a language model without a weight, and for one of a network that writes no
    words.
    """
    if config.lm is None and config.lm_weight > 0:
        raise ConfigError(
            f"decoder.lm_weight: {config.lm_weight:g}, but there is no language model; give --decoder.lm, the folder of one"
        )
    if config.lm is not None and config.lm_weight == 0:
        raise ConfigError(
            f"decoder.lm {config.lm}: with lm_weight 0 it would change nothing; give --decoder.lm_weight, or leave lm out"
        )
    if config.lm is not None and "asr" not in tasks:
        raise ConfigError(
            f"decoder.lm {config.lm}: it scores words (task asr), and this network writes {' '.join(tasks)}; leave lm out"
        )


def choose_device(name: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """Read an option `device`; auto is the GPU if there is one. Raises ConfigError for a GPU that is not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device cuda: torch sees no GPU; give --device cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@dataclass(frozen=True)
class Recognition:
    """What was understood in a batch, and how long it took."""

    hypotheses: dict[Task, list[list[Hypothesis]]]
    "task -> for each utterance, best first; never empty"
    model_seconds: float
    "wall time of the encoder and the backbone's encoder"
    decoder_seconds: float
    "wall time of the search, with the CTC output and the attention decoder"


class Recognizer:
    """A network with its vocabulary and a decoder, on one device."""

    def __init__(
        self,
        network: Network,
        saved: SavedConfig,
        units: Units,
        config: DecoderConfig,
        lm: CausalLM | None = None,
    ) -> None:
        """network: in eval mode, on the device where it is to run; saved: what it has learnt to write; lm: that of the decoder, of the same
        tokens, or None where it has none.

        Raises ConfigError for a decoder that cannot read this network.
        """
        if not isinstance(network, SpeechToText | TextToText | Classifier):
            raise ConfigError(
                f"a network of kind {network.config.kind} recognizes nothing; give the folder of a recognizer (stage 3 or 5)"
            )
        self.network = network.eval()
        self.units = units
        self.config = config
        self.device = next(network.parameters()).device
        self.ctc_task = saved.ctc_task
        self.tasks = cast(tuple[Task, ...], saved.tasks)
        """what is decoded of an utterance"""
        self._decoder: JointBeam | CtcGreedy | ClassRanking
        if isinstance(network, Classifier) != isinstance(config, ClassesConfig):
            needed = "classes" if isinstance(network, Classifier) else "joint_beam or ctc_greedy"
            raise ConfigError(
                f"decoder.kind {config.kind}: cannot read a network of kind {network.config.kind}; give {needed}"
            )
        if isinstance(network, Classifier):
            self._decoder = ClassRanking(network, cast(ClassesConfig, config))
        elif isinstance(config, CtcGreedyConfig):
            if not self.ctc_task or not isinstance(network, SpeechToText):
                raise ConfigError(
                    "decoder.kind ctc_greedy: this network has no trained CTC output; give joint_beam"
                )
            self.tasks = (cast(Task, self.ctc_task),)
            self._decoder = CtcGreedy(network.backbone, config)
        elif not self.tasks:
            raise ConfigError(
                f"decoder.kind {config.kind}: the attention decoder of this network was not trained; give ctc_greedy"
            )
        else:
            beam_config = cast(JointBeamConfig, config)
            check_fusion(beam_config, self.tasks)
            self._decoder = JointBeam(network.backbone, beam_config, lm)
        self._words_first = saved.words_first
        self._starts = {}
        if not isinstance(network, Classifier):
            self._starts = units.start_tokens(self.tasks, network.vocab_size)

    @classmethod
    def load(
        cls, folder: Path | str, config: DecoderConfig | None = None, device: torch.device | str = "cpu"
    ) -> Recognizer:
        """Load the network that a training run saved in `folder`; config None: its default decoder.

        Raises DataError for a folder that is no complete network.
        """
        folder = Path(folder)
        network, saved = load_network(folder, device)
        units, config = load_units(folder / "units"), config or default_decoder(folder)
        lm = None
        if isinstance(config, JointBeamConfig) and config.lm is not None:
            lm = load_language_model(config.lm, units, device)
        return cls(network, saved, units, config, lm)

    @property
    def reads_text(self) -> bool:
        """Whether it takes tokens of text, and not waves."""
        return speech_encoder(self.network) is None

    @property
    def sample_rate(self) -> int:
        """Samples a second of the waves it takes. Raises DataError for a network that reads text."""
        if self.reads_text:
            raise DataError("this network reads text, not waves; give one that was trained on speech")
        return cast(SpeechToText | Classifier, self.network).sample_rate

    def recognize(self, x: Tensor, x_lens: Tensor, utts: Sequence[str] = ()) -> Recognition:
        """x: waves (B, N) float32 in [-1, 1], or tokens (B, U); x_lens: (B,).

        Where memory does not suffice for the batch its halves are recognized, with a message. utts: names for messages.
        Raises DataError where the network's output is not finite, and where memory does not suffice for one utterance.
        """
        utts = utts or [str(index) for index in range(len(x))]
        try:
            return self._recognize_at_once(x, x_lens, utts)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
        if len(utts) == 1:
            length = (
                f"{int(x_lens[0])} tokens"
                if self.reads_text
                else f"{float(x_lens[0]) / self.sample_rate:.1f} s"
            )
            raise DataError(
                f"utterance {utts[0]!r} ({length}): memory does not suffice for it alone; "
                "cut it (segments), or lower decoder.beam_size"
            )
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        middle = (len(utts) + 1) // 2
        print(f"not enough memory for {len(utts)} utterances at once: going on with {middle}", flush=True)
        first, second = (
            self.recognize(x[part, : int(x_lens[part].max())], x_lens[part], utts[part])
            for part in (slice(middle), slice(middle, None))
        )
        return Recognition(
            {task: first.hypotheses[task] + second.hypotheses[task] for task in self.tasks},
            first.model_seconds + second.model_seconds,
            first.decoder_seconds + second.decoder_seconds,
        )

    def target(self, task: Task, hypothesis: Hypothesis) -> str:
        """The words and symbols of a hypothesis."""
        if isinstance(self.network, Classifier):
            return self.units.targets.classes(task)[hypothesis.tokens[0]] if hypothesis.tokens else ""
        return self.units.tokens.decode(hypothesis.tokens)

    def understand(self, task: Task, hypothesis: Hypothesis) -> Decoded:
        """What a hypothesis says: a value for each label stream, and how often it had to be repaired."""
        target = self.target(task, hypothesis)
        if isinstance(self.network, Classifier):
            return Decoded({task: target}, {})
        return self.units.targets.decode(task, target)

    def nothing(self, task: Task) -> dict[str, str]:
        """What is said of an utterance that cannot be read."""
        return (
            {task: ""}
            if isinstance(self.network, Classifier)
            else self.units.targets.decode(task, "").streams
        )

    @torch.inference_mode()
    def _recognize_at_once(self, x: Tensor, x_lens: Tensor, utts: Sequence[str]) -> Recognition:
        start = self._now()
        encoded, encoded_lens = self.network.encode(x.to(self.device), x_lens.to(self.device))
        finite = encoded.isfinite().flatten(1).all(1)
        if not finite.all():
            bad = ", ".join(utts[index] for index in (~finite).nonzero()[:, 0].tolist())
            raise DataError(f"utterances {bad}: the network's output is not finite; train it again")
        middle = self._now()
        hypotheses: dict[Task, list[list[Hypothesis]]] = {}
        for task in sorted(self.tasks, key=lambda task: task != "asr"):
            contexts = None
            # Where CTC writes another task alone, there are no words.
            if self._words_first and task != "asr" and "asr" in hypotheses:
                contexts = [(self._starts["asr"], *best[0].tokens) for best in hypotheses["asr"]]
            hypotheses[task] = self._search(task, encoded, encoded_lens, contexts)
        hypotheses = {task: hypotheses[task] for task in self.tasks}
        return Recognition(hypotheses, middle - start, self._now() - middle)

    def _search(
        self, task: Task, encoded: Tensor, encoded_lens: Tensor, contexts: Sequence[Sequence[int]] | None
    ) -> list[list[Hypothesis]]:
        if isinstance(self._decoder, ClassRanking):
            return self._decoder.search(task, encoded, encoded_lens)
        if isinstance(self._decoder, CtcGreedy):
            return self._decoder.search(encoded, encoded_lens)
        start, with_ctc = self._starts[task], task == self.ctc_task
        return self._decoder.search(
            encoded, encoded_lens, start=start, with_ctc=with_ctc, with_lm=task == "asr", contexts=contexts
        )

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether memory did not suffice, on a GPU or on the CPU (where torch says so with a plain RuntimeError)."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
