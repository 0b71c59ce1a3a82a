"""Every metric by its name. A new one is a new file, a line here, and its name in `Metric`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from stxlib.score.metric import Inputs, Scored
from stxlib.score.wer import score_cer, score_wer

Metric = Literal["wer", "cer"]

METRICS: dict[str, Callable[[Inputs], Scored]] = {"wer": score_wer, "cer": score_cer}
