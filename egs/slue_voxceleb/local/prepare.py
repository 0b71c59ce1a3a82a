#!/usr/bin/env python3
"""Derive the data directories of SLUE-VoxCeleb from the corpus as released, which is only read.

    local/prepare.py --corpus ~/corpora/slue-voxceleb --out data
    local/prepare.py --corpus ~/corpora/slue-voxceleb --out data --test_table ~/corpora/slue-voxceleb_test.tsv

Writes `train` (the release's fine-tune), `dev`, `test`, and the distinct sentences of `train` as `text_only`. `data` appears whole or not at all.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "utils"))
import in_environment  # noqa: F401, before what it makes sure of

from stxlib.config import parse_config
from stxlib.data.corpus_set import check_given, distinct_text, find_corpus, write_sets
from stxlib.data.made_folder import check_replaceable
from stxlib.data.slue_corpus import marks
from stxlib.data.slue_voxceleb import NAME, read_voxceleb
from stxlib.errors import run


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    corpus: Path
    "folder slue-voxceleb of the release (v0.2), or the one that it was unpacked to; never written to"
    out: Path
    "folder of the derived data directories; replaced if a recipe made it"
    test_table: Path | None = None
    "table of the test set with its labels, where it is not slue-voxceleb_test.tsv in the corpus"
    fix: bool = False
    "leave out rows whose audio is missing, broken or shorter than they tell, and list them, in place of stopping"


def main(argv: Sequence[str] | None = None) -> None:
    """Raises ConfigError and DataError, and leaves nothing behind then."""
    description = (__doc__ or "").splitlines()[0]
    config = parse_config(PrepareConfig, argv, prog="local/prepare.py", description=description).config
    check_given(test_table=config.test_table)
    root = find_corpus(config.corpus, config.out, marks(NAME))
    check_replaceable(config.out)
    sets = {
        "train": read_voxceleb(root, "train", fix=config.fix),
        "dev": read_voxceleb(root, "dev", fix=config.fix),
        "test": read_voxceleb(root, "test", config.test_table, fix=config.fix),
    }
    sets["text_only"] = distinct_text(sets["train"])
    for summary in write_sets(sets, config.out, fix=config.fix):
        print(summary)


if __name__ == "__main__":
    sys.exit(run(main))
