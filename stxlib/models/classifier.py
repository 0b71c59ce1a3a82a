"""A pooled classifier of utterances: encoder, blocks, self-attention pooling, and a head for each task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import Tensor, nn

from stxlib.errors import ConfigError
from stxlib.models.public_encoder import PublicEncoderConfig
from stxlib.models.speech_encoder import SpeechEncoderConfig
from stxlib.models.wave_encoder import WaveEncoder, build_wave_encoder
from stxlib.nn.attention_pooling import AttentionPooling
from stxlib.nn.conformer import Conformer, ConformerConfig
from stxlib.nn.token_embedding import TokenEmbedding, TokenEmbeddingConfig
from stxlib.ops.masks import length_mask


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    kind: Literal["classifier"] = "classifier"
    """one class for each utterance and task, from speech or from text"""
    encoder: SpeechEncoderConfig | PublicEncoderConfig | TokenEmbeddingConfig = field(
        default_factory=SpeechEncoderConfig
    )
    """from waves or tokens to vectors"""
    conformer: ConformerConfig = field(default_factory=ConformerConfig)
    """the blocks above them"""
    hidden_dim: int = 144
    """width of the hidden layer of each head"""
    dropout: float = 0.2
    """dropout before and after the hidden layer (0 or more, below 1)"""

    def __post_init__(self) -> None:
        if self.hidden_dim < 1 or not 0 <= self.dropout < 1:
            raise ConfigError(
                f"hidden_dim {self.hidden_dim}, dropout {self.dropout}; use 1 or more, and 0 or more and less than 1"
            )


class Classifier(nn.Module):
    """Encoder; LayerNorm, linear and Conformer blocks, as in the backbone, whose weights therefore fit
    (init.rename: backbone.norm=norm, backbone.linear=linear, backbone.conformer=conformer); and a head of a task:
    self-attention pooling, dropout, linear, GELU, dropout, linear (as Shon et al. 2022 have it for SLUE, arXiv 2111.10367).
    """

    def __init__(self, config: ClassifierConfig, vocab_size: int, num_classes: Mapping[str, int]) -> None:
        """vocab_size: of the tokens, where the encoder reads text; num_classes: task -> classes."""
        super().__init__()
        self.encoder = (
            TokenEmbedding(config.encoder, vocab_size)
            if isinstance(config.encoder, TokenEmbeddingConfig)
            else build_wave_encoder(config.encoder)
        )
        self.config = replace(config, encoder=self.encoder.config)
        dim = config.conformer.dim
        self.norm = nn.LayerNorm(self.encoder.dim)
        self.linear = nn.Linear(self.encoder.dim, dim)
        self.conformer = Conformer(config.conformer)
        self.heads = nn.ModuleDict(
            {task: _Head(dim, config.hidden_dim, config.dropout, n) for task, n in num_classes.items()}
        )

    @property
    def sample_rate(self) -> int:
        """Samples a second of the waves it takes; it must be one that takes waves."""
        assert isinstance(self.encoder, WaveEncoder)
        return self.encoder.config.sample_rate

    def encode(self, x: Tensor, x_lens: Tensor, seeds: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x: waves (B, N), or tokens (B, U); seeds: (B,) of SpecAugment, of waves only. Returns frames (B, T, D) and their lengths."""
        if isinstance(self.encoder, WaveEncoder):
            latents, lens = self.encoder(x, x_lens, seeds)
        else:
            latents, lens = self.encoder(x, x_lens)
        padding = ~length_mask(lens, latents.shape[1])[:, :, None]
        return self.conformer(self.linear(self.norm(latents.masked_fill(padding, 0.0))), lens), lens

    def logits(self, task: str, frames: Tensor, frame_lens: Tensor) -> Tensor:
        """frames: (B, T, D), as `encode` returns them. Returns (B, classes of the task)."""
        logits: Tensor = self.heads[task](frames, frame_lens)
        return logits


class _Head(nn.Module):
    def __init__(self, dim: int, hidden_dim: int, dropout: float, num_classes: int) -> None:
        super().__init__()
        self.pooling = AttentionPooling(dim)
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(dim, hidden_dim),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_dim, num_classes),
        )

    def forward(self, x: Tensor, x_lens: Tensor) -> Tensor:
        logits: Tensor = self.layers(self.pooling(x, x_lens))
        return logits
