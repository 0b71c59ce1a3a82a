"""Text to targets: the backbone, with a token embedding in place of latents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor, nn

from stxlib.models.backbone import Backbone, BackboneConfig
from stxlib.nn.token_embedding import TokenEmbedding, TokenEmbeddingConfig


@dataclass(frozen=True, kw_only=True)
class TextToTextConfig:
    kind: Literal["text_to_text"] = "text_to_text"
    """tokens of a text to tokens of a target"""
    embedding: TokenEmbeddingConfig = field(default_factory=TokenEmbeddingConfig)
    """from tokens to vectors"""
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    """from the vectors to the tokens of the target"""


class TextToText(nn.Module):
    """A token embedding and a backbone, both of `vocab_size` tokens. The backbone's CTC output is not used: a target may be longer than its text."""

    def __init__(self, config: TextToTextConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.vocab_size = vocab_size
        self.embedding = TokenEmbedding(config.embedding, vocab_size)
        self.backbone = Backbone(config.backbone, config.embedding.dim, vocab_size)

    def encode(self, tokens: Tensor, token_lens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens: (B, U). Returns the backbone's encoded frames (B, U, D), and their lengths."""
        return self.backbone.encode(*self.embedding(tokens, token_lens))
