"""CTC prefix scores: how probable it is that the label sequence begins with a given prefix.

With `x_t(c)` the log probability of label c at frame t (t = 1..T), and a prefix g that ends in the label `last(g)`:

    r^n_t(g)   log probability that frames 1..t are an alignment of g that ends in the last label of g
    r^b_t(g)   the same, ending in blank;  r^n_0 = -inf,  r^b_0(g) = 0 if g is empty else -inf
    phi_t(g,c) = r^b_t(g)                          if c = last(g)   (a blank has to stand between equal labels)
               = log(exp r^n_t(g) + exp r^b_t(g))  otherwise

    psi(gc)    = logsumexp_{t=1..T} phi_{t-1}(g,c) + x_t(c)          log P(the labels begin with gc)
    p(g)       = log(exp r^n_T(g) + exp r^b_T(g))                    log P(the labels are g)
    r^n_t(gc)  = log(exp r^n_{t-1}(gc) + exp phi_{t-1}(g,c)) + x_t(c)
    r^b_t(gc)  = log(exp r^b_{t-1}(gc) + exp r^n_{t-1}(gc)) + x_t(blank)

Source: Watanabe et al., Hybrid CTC/Attention Architecture for End-to-End Speech Recognition, 2017, algorithm 2; Graves 2008, section 7.
`prefix_score` is the readable specification, one prefix at a time. `CtcPrefixes` scores many prefixes of many utterances at once:
psi of a candidate needs only the state of the prefix that it extends, so the recursion over frames runs for the survivors of a beam alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

BLANK = 0
NEVER = float("-inf")


def _log_add(a: float, b: float) -> float:
    return max(a, b) + math.log1p(math.exp(-abs(a - b))) if max(a, b) > NEVER else NEVER


def prefix_score(log_probs: Tensor, prefix: Sequence[int]) -> tuple[float, float]:
    """Log probability that an utterance's labels begin with `prefix`, and that they are exactly `prefix`.

    log_probs: (T, V) log probabilities of the frames of one utterance, no padding; label 0 is blank.
    prefix: labels without blank; may be empty (then the first value is 0: everything begins with nothing).
    Impossible (more labels than frames, ...) is -inf. Computed in double precision.
    """
    assert BLANK not in prefix, f"a prefix holds no blank, got {list(prefix)}"
    x = log_probs.tolist()
    num_frames = len(x)
    ends_in_label = [NEVER] * (num_frames + 1)  # r^n
    ends_in_blank = [0.0] + [NEVER] * num_frames  # r^b
    for t in range(num_frames):
        ends_in_blank[t + 1] = ends_in_blank[t] + x[t][BLANK]
    psi, last = 0.0, BLANK
    for label in prefix:
        psi = NEVER
        old_label, old_blank = ends_in_label, ends_in_blank
        ends_in_label, ends_in_blank = [NEVER] * (num_frames + 1), [NEVER] * (num_frames + 1)
        for t in range(num_frames):
            phi = old_blank[t] if label == last else _log_add(old_label[t], old_blank[t])
            psi = _log_add(psi, phi + x[t][label])
            ends_in_label[t + 1] = _log_add(ends_in_label[t], phi) + x[t][label]
            ends_in_blank[t + 1] = _log_add(ends_in_blank[t], ends_in_label[t]) + x[t][BLANK]
        last = label
    return psi, _log_add(ends_in_label[-1], ends_in_blank[-1])


@dataclass(frozen=True)
class CtcPrefixes:
    """R prefixes ("rows") of B utterances with their CTC forward variables; never changed, only followed by new ones.

    A frame past the end of its utterance is a certain blank, which leaves psi and p as they are: shorter utterances
    need no other treatment, and what the padding holds is not looked at.
    """

    log_probs: (
        Tensor  # (B, V, T) float32 or float64: the frames of one label lie side by side, as they are read
    )
    forward: Tensor  # (T + 1, 2, R): r^n and r^b after 0..T frames
    last: Tensor  # (R,) int64: last label of each prefix; blank = the empty prefix
    utts: Tensor  # (R,) int64 in 0..B-1: utterance that each row belongs to

    @classmethod
    @torch.no_grad()
    def start(cls, log_probs: Tensor, lens: Tensor) -> CtcPrefixes:
        """Make one empty prefix for every utterance: row b is utterance b.

        log_probs: (B, T, V) log probabilities, -inf allowed, label 0 is blank; half precision is widened to float32.
        lens: (B,) int, 0..T.
        """
        num_utts, num_frames, _ = log_probs.shape
        device = log_probs.device
        if log_probs.dtype != torch.float64:
            log_probs = log_probs.float()
        past = torch.arange(num_frames, device=device) >= lens.to(device)[:, None]  # (B, T)
        log_probs = log_probs.transpose(1, 2).masked_fill(past[:, None], NEVER).contiguous()  # (B, V, T)
        log_probs[:, BLANK].masked_fill_(past, 0.0)
        forward = log_probs.new_full((num_frames + 1, 2, num_utts), NEVER)
        forward[0, 1] = 0.0
        forward[1:, 1] = log_probs[:, BLANK].T.cumsum(0)
        rows = torch.arange(num_utts, device=device)
        return cls(log_probs, forward, torch.full_like(rows, BLANK), rows)

    @torch.no_grad()
    def scores(self, labels: Tensor) -> Tensor:
        """Score each prefix followed by each of its candidate labels: psi.

        labels: (R, C) int64. Returns (R, C) log probabilities, not relative to the prefix; -inf for blank.
        """
        x = self._frames(self.utts[:, None], labels)  # (R, C, T)
        if not x.shape[2]:
            return x.new_full(labels.shape, NEVER)
        ends_in_label, ends_in_blank = self.forward[:-1].permute(1, 2, 0).contiguous()  # (R, T) each
        ends = torch.logaddexp(ends_in_label, ends_in_blank)
        is_repeat = (labels == self.last[:, None])[:, :, None]
        x += torch.where(is_repeat, ends_in_blank[:, None], ends[:, None])
        return _log_sum_exp(x).masked_fill_(labels == BLANK, NEVER)

    def end_scores(self) -> Tensor:
        """Return (R,) log probabilities that the whole label sequence of the utterance is the prefix."""
        return torch.logaddexp(self.forward[-1, 0], self.forward[-1, 1])

    @torch.no_grad()
    def extend(self, rows: Tensor, labels: Tensor) -> CtcPrefixes:
        """Follow the prefixes `rows[i]` by `labels[i]`, which gives new rows i.

        rows: (R',) int64, may repeat and may leave rows out. labels: (R',) int64 without blank.
        """
        utts = self.utts[rows]
        old = self.forward[:, :, rows]  # (T + 1, 2, R')
        emissions = self._frames(utts, torch.stack((labels, torch.full_like(labels, BLANK))))  # (2, R', T)
        emissions = emissions.permute(2, 0, 1).contiguous()  # (T, 2, R')
        # Both recursions at once: (r^n, r^b) joined by (phi, r^n).
        joining = torch.empty_like(emissions)
        ends = torch.logaddexp(old[:-1, 0], old[:-1, 1])
        joining[:, 0] = torch.where(labels == self.last[rows], old[:-1, 1], ends)
        new = torch.full_like(old, NEVER)
        # All views are made before the loop: there they would be most of its time.
        states, others, steps = new.unbind(0), joining.unbind(0), emissions.unbind(0)
        ends_in_label, joining_blank = new[:, 0].unbind(0), joining[:, 1].unbind(0)
        for t in range(len(steps)):
            joining_blank[t].copy_(ends_in_label[t])
            torch.logaddexp(states[t], others[t], out=states[t + 1])
            states[t + 1].add_(steps[t])
        return CtcPrefixes(self.log_probs, new, labels, utts)

    def _frames(self, utts: Tensor, labels: Tensor) -> Tensor:
        """Look up x of utterances and labels, two shapes that broadcast: (..., T). A copy."""
        num_utts, num_labels, num_frames = self.log_probs.shape
        index = utts * num_labels + labels
        table = self.log_probs.view(num_utts * num_labels, num_frames)
        return table.index_select(0, index.flatten()).view(*index.shape, num_frames)


def _log_sum_exp(x: Tensor) -> Tensor:
    """Return the same as `x.logsumexp(-1)`, and change x.

    Terms below exp(-80) of the largest are raised to it, which is far below the precision of the sum: what an `exp` makes
    of numbers a little smaller, denormals, takes a CPU twenty times as long.
    """
    peak = x.amax(-1, keepdim=True)
    terms = x.sub_(peak.clamp(min=torch.finfo(x.dtype).min)).clamp_(min=-80.0).exp_()
    total = terms.sum(-1).log_().add_(peak[..., 0])  # -inf stays -inf
    return total
