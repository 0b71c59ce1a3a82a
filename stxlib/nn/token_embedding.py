"""Tokens in place of latents: the entrance for text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from stxlib.errors import ConfigError
from stxlib.ops.masks import length_mask


@dataclass(frozen=True, kw_only=True)
class TokenEmbeddingConfig:
    kind: Literal["tokens"] = "tokens"
    """text: a vector for each token"""
    dim: int = 144
    """width of the vectors"""

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise ConfigError(f"embedding.dim: {self.dim}; use 1 or more")


class TokenEmbedding(nn.Module):
    """A vector for each token. Positions are left to the blocks above, which have rotary ones."""

    def __init__(self, config: TokenEmbeddingConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocab_size, config.dim)

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.config.dim

    def forward(self, tokens: Tensor, token_lens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens: (B, U). Returns vectors (B, U, D), zero past token_lens (B,), and token_lens."""
        padding = ~length_mask(token_lens, tokens.shape[1])
        vectors = self.embedding(tokens.masked_fill(padding, 0))
        return vectors.masked_fill(padding[:, :, None], 0.0), token_lens
