"""Make a network from other weights of a run: the average of its best, or of those after chosen steps.

    python -m stxlib.bin.average --run exp/asr/seed1/train --num_best 5 --out exp/asr/seed1/average5

`stxlib.bin.train` has averaged `trainer.average_best` of them already; this is to try another number.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stxlib.config import parse_config
from stxlib.errors import ConfigError, run


@dataclass(frozen=True, kw_only=True)
class AverageConfig:
    run: Path
    "folder of a training run"
    out: Path
    "folder of the new network; it can be decoded as a run can"
    num_best: int = 3
    "how many of the run's best weights to average"
    steps: tuple[int, ...] = ()
    "average the weights after these steps instead; they have to be among those kept in <run>/best"

    def __post_init__(self) -> None:
        if self.num_best < 1:
            raise ConfigError(f"num_best: {self.num_best}; expected 1 or more")
        if self.out.resolve() == self.run.resolve():
            raise ConfigError(f"out: {self.out} is the run itself; choose another folder")


def main(argv: Sequence[str] | None = None) -> None:
    """Average weights and save the network."""
    config = parse_config(
        AverageConfig, argv, prog="stxlib.bin.average", description="Average weights."
    ).config
    # Slow to import, and not needed for --help.
    from stxlib.models.saved import load_network, save_network
    from stxlib.train.best import final_state

    network, saved = load_network(config.run)
    state, told = final_state(config.run, average_best=config.num_best, prefix="network.", steps=config.steps)
    network.load_state_dict(state)
    save_network(config.out, network, saved, units_dir=config.run / "units")
    print(f"saved {config.out}: {told}")


if __name__ == "__main__":
    sys.exit(run(main))
