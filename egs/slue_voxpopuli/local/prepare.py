#!/usr/bin/env python3
"""Derive the data directories of SLUE-VoxPopuli from the corpus as released, which is only read.

    local/prepare.py --corpus ~/corpora/slue-voxpopuli --out data
    local/prepare.py --corpus ~/corpora/slue-voxpopuli --out data --nel_dev vp_nel_validation.jsonl --nel_test vp_nel_test.jsonl

Writes `train` (the release's fine-tune), `dev`, `test`, the distinct sentences of `train` as `text_only`, and where the records of SLUE-NEL
are given `dev_nel` and `test_nel`. `data` appears whole or not at all.
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
from stxlib.data.slue_voxpopuli import NAME, EntityTypes, read_voxpopuli, read_voxpopuli_nel
from stxlib.errors import run


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    corpus: Path
    "folder slue-voxpopuli of the release (v0.2), or the one that it was unpacked to; never written to"
    out: Path
    "folder of the derived data directories; replaced if a recipe made it"
    test_table: Path | None = None
    "table of the test set with its labels, where it is not slue-voxpopuli_test.tsv in the corpus"
    entities: EntityTypes = "raw"
    "raw: the 18 types of the release, which scoring combines; combined: SLUE's 7, others left out"
    nel_dev: Path | None = None
    "records of SLUE-NEL's validation set, JSON lines (see README.md); derived as `dev_nel`"
    nel_test: Path | None = None
    "records of SLUE-NEL's test set; derived as `test_nel`"
    fix: bool = False
    "leave out rows whose audio is missing or broken, or with entities outside of their text, and list them, in place of stopping"


def main(argv: Sequence[str] | None = None) -> None:
    """Raises ConfigError and DataError, and leaves nothing behind then."""
    description = (__doc__ or "").splitlines()[0]
    config = parse_config(PrepareConfig, argv, prog="local/prepare.py", description=description).config
    check_given(test_table=config.test_table, nel_dev=config.nel_dev, nel_test=config.nel_test)
    root = find_corpus(config.corpus, config.out, marks(NAME))
    check_replaceable(config.out)
    types = config.entities
    sets = {
        "train": read_voxpopuli(root, "train", types=types, fix=config.fix),
        "dev": read_voxpopuli(root, "dev", types=types, fix=config.fix),
        "test": read_voxpopuli(root, "test", config.test_table, types, fix=config.fix),
    }
    sets["text_only"] = distinct_text(sets["train"])
    if config.nel_dev is not None:
        sets["dev_nel"] = read_voxpopuli_nel(config.nel_dev, root, "dev", types, fix=config.fix)
    if config.nel_test is not None:
        sets["test_nel"] = read_voxpopuli_nel(config.nel_test, root, "test", types, fix=config.fix)
    for summary in write_sets(sets, config.out, fix=config.fix):
        print(summary)


if __name__ == "__main__":
    sys.exit(run(main))
