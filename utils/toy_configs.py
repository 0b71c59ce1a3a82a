#!/usr/bin/env python3
"""Write the configs of a recipe at toy size: to see all seven stages run, in minutes and without a useful result, before the training that takes days.

    ../../utils/toy_configs.py conf conf_toy
    ./run.sh --corpus DIR --conf conf_toy --data data_toy --exp exp_toy

Sizes are those of a network that learns nothing, and training ends after four steps; everything else stays as it is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import in_environment  # noqa: F401, before what it makes sure of
import yaml

from stxlib.errors import ConfigError, run

# Keys that are made small, wherever they stand.
SMALL = {
    "vocab_size": 60,
    "num_layers": 1,
    "dim": 16,
    "ff_dim": 32,
    "batch_seconds": 80,  # two processes, and utterances of 30 s
    "batch_tokens": 200,
    "num_workers": 0,
    "max_steps": 4,
    "eval_every": 2,
    "save_every": 2,
    "warmup_steps": 1,
    "autocast": "none",
    "keep_best": 2,
    "average_best": 2,
    "beam_size": 2,
    "pre_beam_size": 4,
    "ema_decay": 0.5,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Read every YAML, and write it below the other folder."""
    parser = argparse.ArgumentParser(
        prog="utils/toy_configs.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("src", type=Path, help="folder of configs, as conf of a recipe")
    parser.add_argument("dst", type=Path, help="folder that is written to")
    options = parser.parse_args(argv)

    paths = sorted(options.src.rglob("*.yaml"))
    if not paths:
        raise ConfigError(f"{options.src}: holds no .yaml; give the folder conf of a recipe")
    if options.dst.resolve() == options.src.resolve():
        raise ConfigError(f"{options.dst}: is the folder of the configs themselves; give another")
    for path in paths:
        out = options.dst / path.relative_to(options.src)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(f"# {path} at toy size.\n{yaml.safe_dump(toy(path))}", encoding="utf-8")
    print(f"{options.dst}: {len(paths)} configs at toy size")


def toy(path: Path) -> dict[str, Any]:
    """The values of a config, made small."""
    values: dict[str, Any] = shrink(yaml.safe_load(path.read_text(encoding="utf-8")))
    if values.get("network", {}).get("kind") == "diffusion":
        values["network"] |= {"denoiser": {"num_layers": 2, "dim": 16}, "sampling_steps": 2}
    if path.name.startswith("synthesis") and "synthesizer" in values:
        values["passes"] = 1
    elif "trainer" in values:
        values["trainer"] |= {key: SMALL[key] for key in ("max_steps", "eval_every", "save_every")}
    if values.get("decoder", {}).get("kind") == "joint_beam":
        values["decoder"]["max_token_ratio"] = 0.2  # a network that learns nothing does not end by itself
    return values


def shrink(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: SMALL.get(key, shrink(inner)) for key, inner in value.items()}


if __name__ == "__main__":
    sys.exit(run(main))
