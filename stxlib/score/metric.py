"""What a metric is: counts of each utterance, and figures as a function of summed counts.

Everything after it (intervals, groups, the paired test, tables) works on `Scored` alone, so a new metric is a
new file with one function `Inputs -> Scored` and one line in `stxlib.score.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stxlib.score.labels import Format

Array = NDArray[np.float64]
Counts = Mapping[str, Array]
"""name of a count -> its values, of any shape: one utterance, a whole set, or (draws,) sums of resampled sets.

A name with a colon (`correct:PERSON`) is that of one label. Systems have different ones, as they make up labels that
others do not: `figures` finds its labels among the names that it is given, and score.json leaves them out of `counts`.
"""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What is scored against what."""

    ref: Path
    "data directory of the references, one of its tables, or a file of another format"
    hyp: Path
    "directory that holds the predictions as tables, one table, or a file of another format"
    train_text: Path | None = None
    "`text` of the training set; reference words that do not occur in it are counted apart"
    allow_missing: bool = False
    "score an utterance without a prediction as the metric's official script does (most: as an empty one), and say so"
    format: Format = "auto"
    "of both sides; auto looks at each"
    load_gold: bool = False
    "SLURP files are keyed by `slurp_id`, and not by recordings"


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a metric found.

    A set is scored by adding up `counts` over its utterances and handing the sums to `figures`: intervals,
    groups and the paired test do the same with other utterances. So a figure must be a function of sums (an
    error rate, an F1 over pooled counts, a mean), and `figures` must work elementwise on arrays of any shape.
    """

    metric: str
    headline: str
    "the figure that is shown first and compared between systems"
    lower_is_better: bool
    "of every figure of this metric"
    utts: tuple[str, ...]
    counts: Counts
    "name -> (len(utts),)"
    figures: Callable[[Counts], dict[str, Array]]
    "counts of any shape -> figures of that shape, in percent; nan where nothing was counted"
    missing: tuple[str, ...] = ()
    "utterances without a prediction, scored as empty because `allow_missing` was set"
    drops_missing: bool = False
    "they were left out, and not scored as empty"
    sentences: tuple[str, ...] | None = None
    "the sentence that each utterance is a recording of: intervals draw sentences, as their recordings are alike"
    main_figures: tuple[str, ...] = ()
    "those to print, where there are many; empty: all"
    notes: tuple[str, ...] = ()
    "sentences for the reader of the score"
    files: Mapping[str, str] = field(default_factory=dict)
    "file name -> contents, written beside score.json"
    details: Mapping[str, Any] = field(default_factory=dict)
    "more for score.json; plain JSON values"

    def totals(self) -> dict[str, float]:
        """Counts added up over all utterances, without those of single labels."""
        return {name: float(values.sum()) for name, values in self.counts.items() if ":" not in name}


def percent(part: Array, whole: Array) -> Array:
    """100 * part / whole elementwise; nan where `whole` is 0."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(100.0 * part, whole, out=np.full(whole.shape, np.nan), where=whole != 0)
