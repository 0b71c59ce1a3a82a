"""Every metric by its name. A new one is a new file, a line here, and its name in `PairMetric`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from stxlib.score.exact import score_exact
from stxlib.score.ic import score_ic
from stxlib.score.metric import Inputs, Scored
from stxlib.score.slue_nel import score_slue_nel
from stxlib.score.slue_ner import score_slue_ner
from stxlib.score.slue_sa import score_slue_sa
from stxlib.score.slurp import score_slurp
from stxlib.score.stop_em import score_stop_em
from stxlib.score.wer import score_cer, score_wer

PairMetric = Literal["wer", "cer", "ic", "slurp", "slue_ner", "slue_nel", "slue_sa", "stop_em", "exact"]
"of predictions against references"

Metric = Literal[PairMetric, "slue"]
"`slue` is made of the score files of others: `stxlib.score.slue`"

STREAMS: dict[PairMetric, tuple[str, ...]] = {
    "wer": ("text",),
    "cer": ("text",),
    "ic": ("intent", "semantics"),
    "slurp": ("semantics",),
    "slue_ner": ("entities",),
    "slue_nel": ("entity_times",),
    "slue_sa": ("sentiment",),
    "stop_em": ("parse",),
    "exact": ("semantics",),
}
"""the streams that a metric compares: of each side, the first that it has"""

METRICS: dict[PairMetric, Callable[[Inputs], Scored]] = {
    "wer": score_wer,
    "cer": score_cer,
    "ic": score_ic,
    "slurp": score_slurp,
    "slue_ner": score_slue_ner,
    "slue_nel": score_slue_nel,
    "slue_sa": score_slue_sa,
    "stop_em": score_stop_em,
    "exact": score_exact,
}
