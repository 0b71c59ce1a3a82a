"""CTC forced alignment of a batch: which label, or blank, each frame carries on the most probable path."""

from __future__ import annotations

import torch
from torch import Tensor

from stxlib.errors import DataError
from stxlib.ops.features import ctc_viterbi


def min_ctc_frames(targets: Tensor, target_lens: Tensor) -> Tensor:
    """Fewest frames that a CTC path of (B, U) targets takes: one per label, and a blank between two equal neighbours. (B,)"""
    position = torch.arange(targets.shape[1], device=targets.device)[1:]
    repeats = (targets[:, 1:] == targets[:, :-1]) & (position < target_lens[:, None])
    return target_lens + repeats.sum(1)


def forced_align(
    log_probs: Tensor, lens: Tensor, targets: Tensor, target_lens: Tensor
) -> tuple[Tensor, Tensor]:
    """The most probable CTC path of each utterance that spells its targets; blank is 0.

    log_probs: (B, T, V), normalized; lens: (B,); targets: (B, U) without blanks; target_lens: (B,).
    Returns paths (B, T) int64, 0 past lens, and scores (B,), the log-probability of each path. Computed on the CPU.
    DataError where an utterance has fewer frames than its targets need.
    """
    needed = min_ctc_frames(targets, target_lens)
    if bool((needed > lens).any()):
        row = int((needed > lens).nonzero()[0])
        raise DataError(
            f"alignment: utterance {row} of the batch has {int(lens[row])} frames, and its labels need {int(needed[row])};"
            " leave it out"
        )
    paths = torch.zeros(log_probs.shape[:2], dtype=torch.int64)
    scores = torch.zeros(len(log_probs))
    rows = zip(
        log_probs.detach().float().cpu(), lens.tolist(), targets.cpu(), target_lens.tolist(), strict=True
    )
    for row, (frames, num_frames, labels, num_labels) in enumerate(rows):
        if num_labels == 0:
            scores[row] = frames[:num_frames, 0].sum()
            continue
        path, frame_scores = ctc_viterbi(frames[:num_frames], labels[:num_labels])
        paths[row, :num_frames] = path
        scores[row] = frame_scores.sum()
    return paths.to(log_probs.device), scores.to(log_probs.device)
