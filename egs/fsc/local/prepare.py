#!/usr/bin/env python3
"""Derive the data directories of Fluent Speech Commands from the corpus as released, which is only read.

    local/prepare.py --corpus ~/corpora/fluent_speech_commands_dataset --out data

Writes `train`, `dev`, `test`, and the distinct sentences of `train` as `text_only`. `data` appears whole or not at all.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "utils"))
import in_environment  # noqa: F401, before what it makes sure of

from stxlib.config import parse_config
from stxlib.data.corpus_set import count_text, distinct_text, find_corpus, write_sets
from stxlib.data.fsc_corpus import FILES, NUM_INTENTS, RELEASED, read_fsc
from stxlib.data.made_folder import check_replaceable
from stxlib.errors import run

SOURCE = "arXiv 1904.03670"


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    corpus: Path
    "folder of the release, with data/ and wavs/, or the one it was unpacked to; never written to"
    out: Path
    "folder of the derived data directories; replaced if a recipe made it"
    fix: bool = False
    "leave out rows whose audio is missing or broken, and list them, in place of stopping"


def main(argv: Sequence[str] | None = None) -> None:
    """Raises ConfigError and DataError, and leaves nothing behind then."""
    description = (__doc__ or "").splitlines()[0]
    config = parse_config(PrepareConfig, argv, prog="local/prepare.py", description=description).config
    mark = f"data/{FILES['train']}"
    root = find_corpus(config.corpus, config.out, [(".", mark), ("fluent_speech_commands_dataset", mark)])
    check_replaceable(config.out)
    sets = {name: read_fsc(root, name) for name in FILES}
    warnings = [count_text(name, "utterances", sets[name].num_rows, RELEASED[name], SOURCE) for name in sets]
    intents = len({*sets["train"].tables.get("intent", {}).values()})
    warnings.append(count_text("train", "intents", intents, NUM_INTENTS, SOURCE))
    speakers = {name: {*rows.tables.get("utt2spk", {}).values()} for name, rows in sets.items()}
    if shared := speakers["train"] & (speakers["dev"] | speakers["test"]):
        warnings.append(
            f"warning: {len(shared)} speakers of train are in dev or test as well; none are in the release"
        )
    for warning in filter(None, warnings):
        print(warning, flush=True)
    sets["text_only"] = distinct_text(sets["train"])
    for summary in write_sets(sets, config.out, fix=config.fix):
        print(summary)


if __name__ == "__main__":
    sys.exit(run(main))
