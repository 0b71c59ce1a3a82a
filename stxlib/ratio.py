"""The only average: a sum and a count, divided when printed, so that any split of the data gives the same value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Ratio:
    """A sum over `count` things. Adding two ratios adds sums and counts: exact over micro-batches and ranks.

    sum: scalar tensor (with a graph, where it is a loss) or float.
    count: scalar tensor or float, never negative.
    """

    sum: Tensor | float
    count: Tensor | float

    def __add__(self, other: Ratio) -> Ratio:
        return Ratio(self.sum + other.sum, self.count + other.count)

    @property
    def value(self) -> float:
        """sum / count as a float; nan when nothing was counted."""
        plain = self.detach()
        return float(plain.sum) / float(plain.count) if plain.count else float("nan")

    def detach(self) -> Ratio:
        """The same ratio as two floats, without a graph."""
        return Ratio(_number(self.sum), _number(self.count))


def _number(value: Tensor | float) -> float:
    # float() of a tensor with a graph warns.
    return value if isinstance(value, (int, float)) else float(value.detach())


def add_ratios(total: dict[str, Ratio], more: dict[str, Ratio]) -> dict[str, Ratio]:
    """Key by key sum of two dictionaries of ratios; a key may be in one of them only."""
    return {
        key: total[key] + more[key] if key in total and key in more else total.get(key) or more[key]
        for key in total | more
    }
