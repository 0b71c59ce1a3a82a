"""What a finished step was made from: its command, its config's values, and hashes of its inputs.

A step is one command of a recipe. Its inputs are the paths among the command's words, other than the value of `--out`. A stamp is
plain JSON, so it can be read and compared by eye.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

# Options that change how fast a step is, or where it runs, but not what it makes.
SPEED_OPTIONS = frozenset({"--jobs", "--num_jobs", "--device", "--num_workers"})
UNSTAMPED = SPEED_OPTIONS | {"--config"}  # of a config the values count, not its name
AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".sph", ".ark")
ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")  # of many gigabytes, which nothing reads
NOT_TABLES = (*AUDIO_SUFFIXES, *ARCHIVE_SUFFIXES, ".log", ".stamp.json")
# Of SLURP, the deepest tables are in slurp/dataset/slurp. Further down are folders of speakers, by the thousand.
CORPUS_DEPTH = 3
# Of all that was trained, what a report is made of: scores, how long decoding took, and what was thought of synthesizers.
OF_EXP = ("score*.json", "decode_*/summary.json", "judged.json")
SCRIPT_SUFFIXES = frozenset({".py", ".sh", ".yaml", ".json", ".txt"})
LAUNCHER = "/utils/launch.py"  # of several processes; how many does not count


def describe(command: Sequence[str], last: dict[str, Any] | None = None) -> dict[str, Any]:
    """The stamp of `command` (its words) as things are now: {"command", "config_file", "config", "inputs"}.

    last: an earlier stamp; the hash of a file whose size and time are still those in it is taken from it.
    """
    options = parse(command)
    config = options.get("--config")
    inputs: dict[str, Any] = {}
    known = (last or {}).get("inputs", {})
    for name, words in parse_words(command).items():
        if name in ("--config", "--out"):
            continue
        for word in words:
            for path in files_of(Path(word), is_exp=name == "--exp", is_corpus=name == "--corpus"):
                inputs[str(path)] = fingerprint(path, known.get(str(path)))
    return {
        "command": {name: value for name, value in options.items() if name not in UNSTAMPED},
        "config_file": config or "",
        "config": flatten(read_config(Path(config))) if config else {},
        "inputs": inputs,
    }


def parse(command: Sequence[str]) -> dict[str, str]:
    """Options and their values, as typed; "run" is the module or script. The interpreter and the launcher before it do not count."""
    return {name: " ".join(words) for name, words in parse_words(command).items()}


def parse_words(command: Sequence[str]) -> dict[str, list[str]]:
    """The same, word by word: a path may hold blanks."""
    start = next(
        (
            i
            for i, word in enumerate(command)
            if word.startswith("stxlib.") or (word.endswith((".py", ".sh")) and not word.endswith(LAUNCHER))
        ),
        0,
    )
    options: dict[str, list[str]] = {"run": [command[start]]}
    name = "run"
    for word in command[start + 1 :]:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            options[name] = [value] if equals else []
        else:
            options[name].append(word)
    return options


def read_config(path: Path) -> Any:
    """The values of a YAML file; its text where it is no YAML (the command itself says what is wrong with it)."""
    try:
        text = path.read_text(encoding="utf-8")
        return yaml.safe_load(text)
    except FileNotFoundError:
        return "no such file"
    except (yaml.YAMLError, UnicodeDecodeError):
        return path.read_bytes().hex()


def flatten(value: Any, prefix: str = "") -> dict[str, str]:
    """{"a": {"b": 1}} -> {"a.b": "1"}."""
    if isinstance(value, dict) and value:
        flat: dict[str, str] = {}
        for key, inner in value.items():
            flat.update(flatten(inner, f"{prefix}.{key}" if prefix else str(key)))
        return flat
    return {prefix: json.dumps(value, ensure_ascii=False, default=str)}


def files_of(path: Path, is_exp: bool = False, is_corpus: bool = False) -> list[Path]:
    """The files that stand for `path`, sorted: of a saved network its weights, of data directories their tables, not the audio."""
    if path.is_file():
        if path.suffix != ".py":
            return [path]
        # A script, and all that lies beside and below it.
        beside = (p for p in path.parent.rglob("*") if p.suffix in SCRIPT_SUFFIXES and p.is_file())
        return sorted(p for p in beside if not p.name.startswith("."))
    if not path.is_dir():
        return []
    if is_exp:
        return sorted(found for name in OF_EXP for found in path.rglob(name))
    if is_corpus:
        return tables(path, depth=CORPUS_DEPTH)
    if (path / "network.yaml").is_file():
        weights = [path / "network.yaml", path / "model.safetensors"]
        return [p for p in weights if p.exists()] + tables(path / "units")
    if (path / "index.jsonl").is_file():  # latents of text: whose, of which seeds, and how long they are
        return [path / "index.jsonl"]
    if (
        path / "summary.json"
    ).is_file():  # a decode folder: what was recognized, not how long it took nor its scores
        return sorted(p for p in path.iterdir() if p.is_file() and not p.suffix and p.name != "times")
    return tables(path)


def tables(path: Path, depth: int = 2) -> list[Path]:
    """The files of a folder and of its folders, less audio, archives, logs and hidden ones. depth: folders that a path leads through."""
    if not path.is_dir():
        return []
    found = []
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            found += tables(Path(entry.path), depth - 1) if depth > 1 else []
        elif entry.is_file() and not entry.name.lower().endswith(NOT_TABLES):
            found.append(Path(entry.path))
    return found


def outputs_of(command: Sequence[str], since_ns: int | None) -> list[str]:
    """What has to be there for the step to count as done: the files that stand for `--out`.

    since_ns: also the files directly in `--out`, and in `--exp`, that were written since then (time.time_ns), less logs and stamps.
    """
    options = parse(command)
    found = set(files_of(Path(options["--out"]))) if "--out" in options else set()
    if since_ns is not None:
        for folder in (Path(options[name]) for name in ("--out", "--exp") if name in options):
            found |= {
                path
                for path in (folder.iterdir() if folder.is_dir() else ())
                if path.is_file()
                and not path.name.startswith(".")
                and not path.name.endswith((".log", ".stamp.json"))
                and path.stat().st_mtime_ns >= since_ns - 100_000_000  # the clock of file systems is coarse
            }
    return sorted(map(str, found))


def fingerprint(path: Path, known: dict[str, Any] | None) -> dict[str, Any]:
    """Size, time and hash of a file; the hash is read off `known` if size and time are as they were."""
    stat = path.stat()
    here: dict[str, Any] = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    if known and all(known.get(key) == here[key] for key in here):
        return known
    with path.open("rb") as file:
        return {**here, "hash": hashlib.file_digest(file, "blake2b").hexdigest()[:32]}


def differences(old: dict[str, Any], new: dict[str, Any], new_files_count: bool) -> list[str]:
    """What changed, one line a key.

    new_files_count: whether a file that was not there before is a change. Not for a data directory: to it, later stages add tables of
    their own.
    """
    lines = []
    for section, where in (("command", ""), ("config", f" ({new['config_file']})")):
        for key in sorted(old[section].keys() | new[section].keys()):
            before, after = old[section].get(key, "(not set)"), new[section].get(key, "(not set)")
            if before != after:
                lines.append(f"{key}: {before} -> {after}{where}")
    seen: dict[tuple[str, str], list[str]] = {}
    for path in sorted(old["inputs"].keys() | new["inputs"].keys()):
        before, after = old["inputs"].get(path), new["inputs"].get(path)
        folder, name = os.path.split(path)
        if after is None:
            seen.setdefault((folder, "gone"), []).append(name)
        elif before is None:
            if new_files_count:
                seen.setdefault((folder, "new"), []).append(name)
        elif before["hash"] != after["hash"]:
            seen.setdefault((folder, "changed"), []).append(name)
    lines += [
        f"{os.path.join(folder, '')}: {what}: {' '.join(names)}" for (folder, what), names in seen.items()
    ]
    return lines


def after_run(before: dict[str, Any], after: dict[str, Any], named: frozenset[str]) -> dict[str, Any]:
    """The stamp to keep of a step that ran: inputs as they were before it, less what it wrote into its inputs itself.

    `tokenize` writes the stream `units` into the data directories that it reads. named: files that are words of the command; those
    a step never writes, so a change of theirs during the run is someone's edit and has to be noticed the next time.
    """
    inputs = {path: before["inputs"][path] for path in before["inputs"] if path in named}
    return {**before, "inputs": {**after["inputs"], **inputs}}
