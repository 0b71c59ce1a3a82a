#!/usr/bin/env python3
"""Derive the data directories of both corpora of SLUE from the releases, which are only read.

    local/prepare.py --corpus ~/corpora --out data      (which holds slue-voxceleb and slue-voxpopuli)

Writes `train_voxceleb` and `train_voxpopuli`, and so for `dev` and `test`, as the recipes slue_voxceleb and slue_voxpopuli have them; `train`
and `dev` of both corpora, with the streams that both have (words and audio); and the distinct sentences of `train` as `text_only`.
`data` appears whole or not at all.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "utils"))
import in_environment  # noqa: F401, before what it makes sure of

from stxlib.config import parse_config
from stxlib.data import slue_voxceleb, slue_voxpopuli
from stxlib.data.corpus_set import CorpusSet, check_given, distinct_text, find_corpus, merge, write_sets
from stxlib.data.made_folder import check_replaceable
from stxlib.data.slue_corpus import SetName, marks
from stxlib.data.slue_voxceleb import read_voxceleb
from stxlib.data.slue_voxpopuli import EntityTypes, read_voxpopuli
from stxlib.errors import run


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    corpus: Path
    "folder that holds slue-voxceleb and slue-voxpopuli of the release (v0.2); never written to"
    out: Path
    "folder of the derived data directories; replaced if a recipe made it"
    voxceleb_test_table: Path | None = None
    "table of SLUE-VoxCeleb's test set with its labels, where it is not slue-voxceleb_test.tsv in the corpus"
    voxpopuli_test_table: Path | None = None
    "table of SLUE-VoxPopuli's test set with its labels, where it is not slue-voxpopuli_test.tsv in the corpus"
    entities: EntityTypes = "raw"
    "raw: the 18 types of the release, which scoring combines; combined: SLUE's 7, others left out"
    fix: bool = False
    "leave out rows whose audio is missing or broken, or that tell no part of it or of their text, and list them, in place of stopping"


def main(argv: Sequence[str] | None = None) -> None:
    """Raises ConfigError and DataError, and leaves nothing behind then."""
    description = (__doc__ or "").splitlines()[0]
    config = parse_config(PrepareConfig, argv, prog="local/prepare.py", description=description).config
    check_given(
        voxceleb_test_table=config.voxceleb_test_table, voxpopuli_test_table=config.voxpopuli_test_table
    )
    voxceleb = find_corpus(config.corpus, config.out, marks(slue_voxceleb.NAME)[1:])
    voxpopuli = find_corpus(config.corpus, config.out, marks(slue_voxpopuli.NAME)[1:])
    check_replaceable(config.out)
    tables = {"test": (config.voxceleb_test_table, config.voxpopuli_test_table)}
    names: tuple[SetName, ...] = ("train", "dev", "test")
    sets: dict[str, CorpusSet] = {}
    for name in names:
        of_voxceleb, of_voxpopuli = tables.get(name, (None, None))
        sets[f"{name}_voxceleb"] = read_voxceleb(voxceleb, name, of_voxceleb, fix=config.fix)
        sets[f"{name}_voxpopuli"] = read_voxpopuli(
            voxpopuli, name, of_voxpopuli, config.entities, fix=config.fix
        )
    for name in names[:2]:
        sets[name] = merge([sets[f"{name}_voxceleb"], sets[f"{name}_voxpopuli"]])
    sets["text_only"] = distinct_text(sets["train"])
    for summary in write_sets(sets, config.out, fix=config.fix):
        print(summary)


if __name__ == "__main__":
    sys.exit(run(main))
