"""The best CTC alignment of each utterance, frame by frame, and the labels that it spells."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from stxlib.ops.ctc_prefix import BLANK, NEVER
from stxlib.ops.masks import length_mask


def best_paths(
    log_probs: Tensor, lens: Tensor, never: Sequence[int] = ()
) -> list[tuple[tuple[int, ...], float]]:
    """Labels of the best alignment, without repeats and blanks, and its log probability, for each utterance.

    log_probs: (B, T, V), blank is 0; lens: (B,); never: labels that are not chosen. Padding is not looked at.
    """
    allowed = log_probs.clone()
    allowed[:, :, list(never)] = NEVER
    scores, labels = allowed.max(-1)  # (B, T)
    valid = length_mask(lens.to(labels.device), labels.shape[1])
    is_label = valid & (labels != BLANK)
    is_label[:, 1:] &= labels[:, 1:] != labels[:, :-1]
    totals = scores.masked_fill(~valid, 0.0).sum(1).tolist()
    return [
        (tuple(row[kept].tolist()), total)
        for row, kept, total in zip(labels.cpu(), is_label.cpu(), totals, strict=True)
    ]
