"""Every objective by its `kind`, with the network and the labels that it takes. A new one is a new file, and a branch here."""

from __future__ import annotations

from dataclasses import dataclass

from stxlib.errors import ConfigError
from stxlib.models.causal_lm import CausalLM
from stxlib.models.classifier import Classifier
from stxlib.models.diffusion import DiffusionSynthesizer
from stxlib.models.networks import Network, NetworkSizes
from stxlib.models.speech_to_text import SpeechToText
from stxlib.models.synthesizer import Synthesizer
from stxlib.models.text_to_text import TextToText
from stxlib.objectives.backbone_loss import BackboneLossConfig
from stxlib.objectives.classification import ClassificationLossConfig, ClassificationObjective
from stxlib.objectives.label_encoder import UNITS, ClassLabels, TokenLabels, vocab_size
from stxlib.objectives.language_model import LanguageModelLossConfig, LanguageModelObjective
from stxlib.objectives.latent_diffusion import LatentDiffusionLossConfig, LatentDiffusionObjective
from stxlib.objectives.latent_synthesis import LatentSynthesisLossConfig, LatentSynthesisObjective
from stxlib.objectives.speech_to_text import SpeechToTextLossConfig, SpeechToTextObjective
from stxlib.objectives.text_to_text import TextToTextLossConfig, TextToTextObjective
from stxlib.text.saved import Units
from stxlib.text.target_vocabulary import Task

ObjectiveConfig = (
    SpeechToTextLossConfig
    | LatentSynthesisLossConfig
    | TextToTextLossConfig
    | ClassificationLossConfig
    | LanguageModelLossConfig
    | LatentDiffusionLossConfig
)
Objective = (
    SpeechToTextObjective
    | LatentSynthesisObjective
    | TextToTextObjective
    | ClassificationObjective
    | LanguageModelObjective
    | LatentDiffusionObjective
)


@dataclass(frozen=True)
class Learning:
    """What is minimized, and the labels for it."""

    objective: Objective
    labels: TokenLabels | ClassLabels
    tasks: tuple[Task, ...]
    """what the decoder or the heads learn to write"""
    ctc: tuple[str, ...] = ()
    """names of the labels that CTC writes: each needs a frame"""
    ctc_task: str = ""
    """task that the CTC output on tokens learns"""
    words_first: bool = False
    """whether the decoder reads the words before it writes another task"""


def written_tasks(config: ObjectiveConfig) -> tuple[Task, ...]:
    """The tasks of the decoder or the heads, and that of the CTC output, where they are trained."""
    if not isinstance(config, BackboneLossConfig):
        return config.tasks
    return tuple(dict.fromkeys((*config.decoder_tasks, *((config.ctc_task,) if config.ctc_weight else ()))))


def check_tasks(config: ObjectiveConfig, units: Units, where: str) -> None:
    """ConfigError where the vocabulary `units` (read from `where`) was not made for a task of the objective."""
    for task in written_tasks(config):
        if task != "asr" and task not in units.targets.tasks:
            raise ConfigError(
                f"objective.tasks: {task}: the vocabulary {where} was made for {' '.join(units.targets.tasks)}; "
                f"add {task} to targets.tasks of units.yaml and run stage 2 (units) again"
            )


def sizes_of(config: ObjectiveConfig, units: Units) -> NetworkSizes:
    """Sizes of a network for an objective."""
    num_classes: tuple[int, ...] = ()
    if isinstance(config, ClassificationLossConfig):
        num_classes = tuple(len(units.targets.classes(task)) for task in config.tasks)
    return NetworkSizes(
        vocab_size=vocab_size(units, written_tasks(config)),
        num_units=units.units.vocab_size,
        num_classes=num_classes,
    )


def build_objective(
    config: ObjectiveConfig,
    network: Network,
    units: Units,
    synthesizer: Synthesizer | None = None,
    speech: SpeechToText | None = None,
) -> Learning:
    """synthesizer: what turns text into latents, for an objective that learns from these; speech: the speech model, for one that learns to make
    its latents. ConfigError for a network that the objective cannot train.
    """
    labels: TokenLabels | ClassLabels
    if isinstance(config, ClassificationLossConfig):
        if isinstance(network, Classifier):
            labels = ClassLabels(units, config.tasks)
            return Learning(ClassificationObjective(network, config), labels, config.tasks)
    elif isinstance(config, TextToTextLossConfig):
        if isinstance(network, TextToText):
            objective = TextToTextObjective(
                network, config, units.start_tokens(config.tasks, network.vocab_size)
            )
            return Learning(objective, TokenLabels(units, config.tasks, with_units=False), config.tasks)
    elif isinstance(config, LanguageModelLossConfig):
        if isinstance(network, CausalLM):
            # The text itself is what is learnt: there are no labels.
            no_labels = TokenLabels(units, (), with_units=False)
            return Learning(LanguageModelObjective(network, config), no_labels, config.tasks)
    elif isinstance(config, LatentDiffusionLossConfig):
        if isinstance(network, DiffusionSynthesizer):
            if speech is None:
                raise ConfigError(
                    "--speech_model: not given; objective latent_diffusion learns the latents of what stage 3 (pretrain) made"
                )
            labels = TokenLabels(units, (), with_units=True)
            return Learning(LatentDiffusionObjective(network, speech, config), labels, (), (UNITS,))
    elif isinstance(network, SpeechToText):
        starts = units.start_tokens(config.tasks, network.vocab_size)
        speech_objective: SpeechToTextObjective | LatentSynthesisObjective
        if isinstance(config, SpeechToTextLossConfig):
            speech_objective = SpeechToTextObjective(network, config, starts)
        elif synthesizer is not None:
            speech_objective = LatentSynthesisObjective(network, synthesizer, config, starts)
        else:
            raise ConfigError(
                "--synthesizer: not given; objective latent_synthesis needs what stage 4 (synthesis) made"
            )
        return Learning(
            speech_objective,
            TokenLabels(units, written_tasks(config), with_units=UNITS in config.ctc_labels),
            config.decoder_tasks,
            config.ctc_labels,
            config.ctc_task if config.ctc_weight else "",
            config.words_first,
        )
    raise ConfigError(
        f"objective.kind {config.kind} cannot train network.kind {network.config.kind}; give the YAML both: "
        "speech_to_text or latent_synthesis and speech_to_text, text_to_text and text_to_text, classification and classifier, "
        "language_model and causal_lm, or latent_diffusion and diffusion"
    )
