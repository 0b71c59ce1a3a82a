"""The backbone: from latents to tokens. It cannot tell from where its latents come."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from stxlib.nn.conformer import Conformer, ConformerConfig
from stxlib.nn.transformer_decoder import DecoderConfig, DecoderState, TransformerDecoder
from stxlib.ops.masks import length_mask


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    conformer: ConformerConfig = field(default_factory=ConformerConfig)
    """the blocks above the latents"""
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    """the attention decoder"""


class Backbone(nn.Module):
    """LayerNorm (latents of any origin get one scale), linear, Conformer blocks; a CTC output and an attention decoder on them."""

    def __init__(self, config: BackboneConfig, dim: int, vocab_size: int) -> None:
        """dim: width of the latents; vocab_size: tokens, <blank>, <unk>, <sos> and <eos> among them."""
        super().__init__()
        self.vocab_size = vocab_size
        self.norm = nn.LayerNorm(dim)
        self.linear = nn.Linear(dim, config.conformer.dim)
        self.conformer = Conformer(config.conformer)
        self.ctc = nn.Linear(config.conformer.dim, vocab_size)
        self.decoder = TransformerDecoder(config.decoder, config.conformer.dim, vocab_size)

    def encode(self, latents: Tensor, latent_lens: Tensor) -> tuple[Tensor, Tensor]:
        """latents: (B, T', dim) -> encoded (B, T', D), zero past encoded_lens = latent_lens."""
        padding = ~length_mask(latent_lens, latents.shape[1])[:, :, None]
        x = self.linear(self.norm(latents.masked_fill(padding, 0.0)))
        return self.conformer(x, latent_lens), latent_lens

    def ctc_logits(self, encoded: Tensor) -> Tensor:
        """(B, T', D) -> (B, T', V); blank is 0."""
        logits: Tensor = self.ctc(encoded)
        return logits

    def decoder_logits(
        self, encoded: Tensor, encoded_lens: Tensor, tokens_in: Tensor, token_in_lens: Tensor
    ) -> Tensor:
        """tokens_in: (B, U) beginning with <sos>; token_in_lens: (B,). Returns logits of the next token (B, U, V), zero past the lengths."""
        padding = ~length_mask(token_in_lens, tokens_in.shape[1])
        logits = self.decoder(encoded, encoded_lens, tokens_in.masked_fill(padding, 0))
        return logits.masked_fill(padding[:, :, None], 0.0)

    def packed_logits(
        self, encoded: Tensor, encoded_lens: Tensor, tokens: Tensor, positions: Tensor, seen: Tensor
    ) -> Tensor:
        """Logits (B, U, V) of tokens (B, U) that are several sequences: positions (B, U), and seen (B, U, U) says which (last) each sees."""
        logits: Tensor = self.decoder(encoded, encoded_lens, tokens, positions, seen)
        return logits

    def start(self, encoded: Tensor, encoded_lens: Tensor, num_padded: Tensor | None = None) -> DecoderState:
        """The decoder before any token: one row per utterance; `state.select(arange(B).repeat_interleave(K))` makes K of each.

        num_padded: (B,), so many of the first tokens of each row will be padding, where some begin later than others.
        """
        return self.decoder.start(encoded, encoded_lens, num_padded)

    def step(self, state: DecoderState, last_tokens: Tensor) -> tuple[Tensor, DecoderState]:
        """last_tokens: (B * K,), <sos> at first. Returns log-probabilities of the next token (B * K, V) float32, and the state after it."""
        return self.decoder.step(state, last_tokens)
