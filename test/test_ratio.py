"""The only average."""

from __future__ import annotations

import math
import warnings

import torch

from stxlib.ratio import Ratio, add_ratios


def test_a_ratio_with_a_graph_is_read_without_a_warning() -> None:
    loss = Ratio(torch.tensor(3.0, requires_grad=True) * 2, torch.tensor(4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loss.value == 1.5
        assert loss.detach() == Ratio(6.0, 4.0)
    assert math.isnan(Ratio(torch.tensor(1.0), 0).value)


def test_sums_and_counts_add_up() -> None:
    assert (Ratio(1.0, 3) + Ratio(4.0, 1)).value == 1.25
    assert add_ratios({"a": Ratio(1.0, 1)}, {"a": Ratio(2.0, 1), "b": Ratio(5.0, 0)}) == {
        "a": Ratio(3.0, 2),
        "b": Ratio(5.0, 0),
    }
