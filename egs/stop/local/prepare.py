#!/usr/bin/env python3
"""Derive the data directories of STOP from the corpus as released, which is only read.

    local/prepare.py --corpus ~/corpora/stop --out data
    local/prepare.py --corpus ~/corpora/stop --out data_six --domains alarm event messaging music navigation timer

Writes `train`, `dev` (the release's eval), `test`, and the distinct sentences of `train` as `text_only`. `data` appears whole or not at all.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "utils"))
import in_environment  # noqa: F401, before what it makes sure of

from stxlib.config import parse_config
from stxlib.data.corpus_set import distinct_text, find_corpus, write_sets
from stxlib.data.made_folder import check_replaceable
from stxlib.data.stop_corpus import DOMAINS, FILES, read_stop
from stxlib.errors import ConfigError, run


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    corpus: Path
    "folder of the release, with manifests/, or the one it was unpacked to; never written to"
    out: Path
    "folder of the derived data directories; replaced if a recipe made it"
    domains: tuple[str, ...] = ()
    "domains to read, such as the six of the low-resource task; all of them, if none is named"
    fix: bool = False
    "leave out rows whose audio is missing or broken, and list them, in place of stopping"

    def __post_init__(self) -> None:
        if strange := [domain for domain in self.domains if domain not in DOMAINS]:
            raise ConfigError(f"--domains {strange[0]}: STOP has {' '.join(DOMAINS)}; correct the option")


def main(argv: Sequence[str] | None = None) -> None:
    """Raises ConfigError and DataError, and leaves nothing behind then."""
    description = (__doc__ or "").splitlines()[0]
    config = parse_config(PrepareConfig, argv, prog="local/prepare.py", description=description).config
    mark = f"manifests/{FILES['train']}"
    root = find_corpus(config.corpus, config.out, [(".", mark), ("stop", mark)])
    check_replaceable(config.out)
    sets = {name: read_stop(root, name, config.domains) for name in FILES}
    sets["text_only"] = distinct_text(sets["train"])
    for summary in write_sets(sets, config.out, fix=config.fix):
        print(summary)


if __name__ == "__main__":
    sys.exit(run(main))
