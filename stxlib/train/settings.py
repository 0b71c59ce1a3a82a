"""A run that goes on compares its settings with those that it began with, key by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from stxlib.errors import ConfigError

Setting = bool | int | float | str | None | list[bool | int | float | str | None]

# Keys that may change in the middle of a run: they say what is written, kept or reported, or how the same batch
# is split, and change no update of the weights.
HARMLESS = (
    "*trainer.accumulation",
    "*trainer.average_best",
    "*trainer.detect_anomaly",
    "*trainer.eval_every",
    "*trainer.find_unused",
    "*trainer.keep_best",
    "*trainer.log_every",
    "*trainer.max_bad_steps",
    "*trainer.patience",
    "*trainer.resume",
    "*trainer.save_every",
    "*.num_workers",
)
MAY_GROW = ("*trainer.max_steps",)


def changed(
    saved: Mapping[str, Setting], now: Mapping[str, Setting], harmless: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Lines `key: old -> new` of settings that differ: those that forbid going on, and harmless ones.

    harmless: patterns (`*` stands for anything) of more keys that may change.
    """
    fatal: list[str] = []
    allowed: list[str] = []
    for key in [*saved, *(key for key in now if key not in saved)]:
        if key in saved and key in now and saved[key] == now[key]:
            continue
        line = f"{key}: {_shown(key, saved)} -> {_shown(key, now)}"
        (allowed if _may_change(key, saved.get(key), now.get(key), harmless) else fatal).append(line)
    return fatal, allowed


def check_unchanged(
    where: str, saved: Mapping[str, Setting], now: Mapping[str, Setting], harmless: Sequence[str] = ()
) -> list[str]:
    """Lines about harmless changes. Raises ConfigError that lists all others."""
    fatal, allowed = changed(saved, now, harmless)
    if fatal:
        lines = "\n  ".join(fatal)
        raise ConfigError(
            f"{where}: the checkpoint was made with other settings:\n  {lines}\n"
            "set them back to go on, choose another folder, or start afresh with resume false"
        )
    return allowed


def _may_change(key: str, old: Setting, new: Setting, harmless: Sequence[str]) -> bool:
    if any(fnmatchcase(key, pattern) for pattern in (*HARMLESS, *harmless)):
        return True
    if any(fnmatchcase(key, pattern) for pattern in MAY_GROW):
        return isinstance(old, int) and isinstance(new, int) and new > old
    return False


def _shown(key: str, settings: Mapping[str, Setting]) -> str:
    return str(settings[key]) if key in settings else "(absent)"
