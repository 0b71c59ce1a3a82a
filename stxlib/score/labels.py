"""Labels of a set as a metric reads them, whatever file they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Format = Literal["auto", "data_dir", "slurp", "slue"]
Side = Literal["ref", "hyp"]
"of the reader's caller: some formats are read otherwise as references than as predictions"


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What one file or folder says of its utterances.

    Values are written as in a data directory (`stxlib.text.labels` reads them), whatever the file looks like.
    """

    source: Path
    streams: Mapping[str, Mapping[str, str]]
    "stream -> utterance -> value; only streams that were asked for and that the source has"
    places: Mapping[str, Path]
    "stream -> the file that it stands in, for messages"
    ids: frozenset[str] = frozenset()
    "utterances that the source knows, beside those of its streams: some have no value in a stream"
    repeated: tuple[str, ...] = ()
    "utterances that are given more than once; `streams` has the last of each"
    sentences: Mapping[str, str] = field(default_factory=dict)
    "recording -> the sentence that was read, where utterances are recordings of sentences"
    has_other_sets: bool = False
    "the file may well hold predictions for other sets, so that those are no mistake"
    notes: tuple[str, ...] = ()
    "sentences for the reader of the score"
