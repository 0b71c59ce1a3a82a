"""What holds for every recipe: its options, its stages, its configs, its size, and that it runs."""

from __future__ import annotations

import itertools
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from run_recipe import run_recipe

from stxlib.bin.decode import DecodeConfig
from stxlib.bin.project import ProjectConfig
from stxlib.bin.tokenize import TokenizeConfig
from stxlib.bin.train import TrainConfig
from stxlib.config import flatten, parse_config

ROOT = Path(__file__).parents[2]
RECIPES = sorted(path.parent for path in (ROOT / "egs").glob("*/run.sh"))
YAMLS = sorted((ROOT / "egs").glob("*/conf/**/*.yaml"))
STAGES = ["data", "units", "pretrain", "synthesis", "train", "decode", "score"]
# What a recipe cannot do without on its command line, for runs that only print.
NEEDED = {
    "custom": ["--corpus", "/some/corpus", "--text", "/some/text"],
    "librispeech": ["--corpus", "/some/corpus", "--text", "/some/text"],
    "mini": [],
}
# First part of a YAML's name: the config of the command that reads it, and the options that it requires besides.
COMMANDS: dict[str, tuple[type, list[str]]] = {
    "units": (TokenizeConfig, ["--train", "text", "--out", "out"]),
    "pretrain": (TrainConfig, ["--train", "a", "--dev", "b", "--units", "c", "--out", "d"]),
    "train": (TrainConfig, ["--train", "a", "--dev", "b", "--units", "c", "--out", "d"]),
    "decode": (DecodeConfig, ["--model", "a", "--data", "b", "--out", "c"]),
    "synthesis": (ProjectConfig, ["--model", "a", "--train", "b", "--out", "c"]),
}
COMMANDS["synthesis.diffusion"] = COMMANDS["train"]
by_name = pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
# Those for whatever labels there are; the others are for what their corpus has, and say so by the default of --task.
of_any_labels = pytest.mark.parametrize(
    "recipe", [path for path in RECIPES if path.name in ("custom", "mini")], ids=lambda path: path.name
)


def needed(recipe: Path) -> list[str]:
    return NEEDED.get(recipe.name, ["--corpus", "/some/corpus"])


def has_speech(system: str) -> bool:
    return system != "nlu"


def configs_of(recipe: Path, system: str) -> set[str]:
    return {path.name.split(".")[0] for path in (recipe / "conf" / system).glob("*.yaml")}


def systems_of(recipe: Path) -> list[str]:
    found = re.search(r"^system=\w+ +# .*\[([\w|]+)\]", (recipe / "run.sh").read_text(), re.MULTILINE)
    assert found is not None
    return found[1].split("|")


def snapshot(folder: Path) -> set[tuple[str, int]]:
    return {
        (str(path), path.stat().st_mtime_ns) for path in folder.rglob("*") if "__pycache__" not in path.parts
    }


def test_all_recipes_are_seen() -> None:
    assert [recipe.name for recipe in RECIPES] == [
        "custom",
        "fsc",
        "librispeech",
        "mini",
        "slue",
        "slue_voxceleb",
        "slue_voxpopuli",
        "slurp",
        "stop",
    ]


@by_name
def test_help_and_stages_are_fast_and_need_no_python(recipe: Path) -> None:
    for options in (["--help"], ["--list_stages"]):
        start = time.monotonic()
        done = run_recipe(recipe, *options, PYTHON="/nonexistent", PATH="/usr/bin:/bin")
        assert time.monotonic() - start < 1.0
        assert done.returncode == 0, done.stderr
        listed = re.findall(r"^  (\d) (\w+) +\S", done.stdout, re.MULTILINE)
        assert listed == [(str(n), name) for n, name in enumerate(STAGES, start=1)]


@by_name
def test_help_explains_every_option(recipe: Path) -> None:
    shown = re.findall(r"^  --(\w+)(?: DIR| PATH)? +\S.*", run_recipe(recipe, "--help").stdout, re.MULTILINE)
    block = (recipe / "run.sh").read_text().split(". ../../utils/stages.sh")[0]
    variables = re.findall(r"^(\w+)=", block, re.MULTILINE)
    assert shown == [*variables, "stage", "stop_stage", "resume", "dry_run", "list_stages", "help"]
    assert {"system", "variant", "seed", "gpus", "procs", "data", "exp"} <= set(variables)


@by_name
def test_dry_run_names_configs_that_exist_and_writes_nothing(recipe: Path) -> None:
    before = snapshot(recipe)
    for system in systems_of(recipe):
        done = run_recipe(
            recipe,
            "--dry_run",
            "--system",
            system,
            "--decoders",
            "joint greedy" if has_speech(system) else "joint",
            *needed(recipe),
        )
        assert done.returncode == 0, done.stderr
        assert len(re.findall(r"^== .* stage \d", done.stdout, re.MULTILINE)) == 7
        configs = re.findall(r"--config (\S+)", done.stdout)
        assert len(configs) >= (5 if has_speech(system) else 3)
        for config in configs:
            assert (recipe / config).is_file(), config
        modules = re.findall(r"-m stxlib\.bin\.(\w+)", done.stdout)
        assert {"tokenize", "train", "decode", "score", "report"} <= set(modules)
        for module in modules:
            assert (ROOT / "stxlib" / "bin" / f"{module}.py").is_file()
    assert snapshot(recipe) == before


@of_any_labels
@pytest.mark.parametrize(
    ("options", "tasks"),
    [
        (["--task", "multi"], "asr slu ner sentiment"),
        (["--task", "slu"], "slu"),
        (["--system", "nlu"], "slu ner sentiment"),
        (["--system", "nlu", "--task", "sentiment"], "sentiment"),
        (["--variant", "pooled", "--task", "intent"], "intent"),
    ],
)
def test_a_task_has_a_vocabulary_a_run_and_metrics_of_its_own(
    recipe: Path, options: list[str], tasks: str, tmp_path: Path
) -> None:
    done = run_recipe(recipe, "--dry_run", "--data", str(tmp_path / "data"), *options, *needed(recipe))
    assert done.returncode == 0, done.stderr
    name = ".".join(word for word in ("asr", *options) if not word.startswith("--"))
    name = name.removeprefix("asr.") if "nlu" in name else name
    train = next(line for line in done.stdout.splitlines() if f"/{name}/seed1/train --" in f"{line} --")
    assert f"--objective.tasks {tasks} " in train and f"--units {tmp_path}" not in train
    assert f"exp/units.{name}" in train
    assert f"--targets.tasks {tasks} --labels" in done.stdout
    # What the speech model has learnt fits: its vocabulary grows.
    assert ("--base" in done.stdout) == (recipe.name == "mini" or "nlu" not in name)
    metrics = {
        "asr": "wer cer",
        "slu": "ic slurp exact",
        "ner": "slue_ner",
        "sentiment": "slue_sa",
        "intent": "ic",
    }
    assert f"--metric {' '.join(metrics[task] for task in tasks.split())} --skip_absent" in done.stdout
    if "pooled" in name:
        assert "train.pooled.yaml" in train and "decode.pooled.yaml" in done.stdout


@of_any_labels
def test_multi_is_what_the_training_set_is_labelled_with(recipe: Path, tmp_path: Path) -> None:
    train = tmp_path / "data" / "train"
    train.mkdir(parents=True)
    for stream in ("text", "intent", "sentiment"):
        (train / stream).touch()
    options = ["--dry_run", "--task", "multi", "--data", str(tmp_path / "data"), *needed(recipe)]
    assert "--objective.tasks asr intent sentiment " in run_recipe(recipe, *options).stdout
    plain = run_recipe(
        recipe, "--dry_run", "--task", "asr", "--data", str(tmp_path / "data"), *needed(recipe)
    )
    assert "exp/asr/seed1/train" in plain.stdout and "exp/units.asr" not in plain.stdout
    wrong = run_recipe(recipe, "--dry_run", "--system", "nlu", "--task", "asr", *needed(recipe))
    assert wrong.returncode == 2 and "nlu reads text, and has nothing to recognize" in wrong.stderr


@of_any_labels
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--variant", "multi"], "--variant multi: this is a task; give --task multi"),
        (["--variant", "narrow"], "there is no conf/asr/<stage>.narrow.yaml"),
        (["--variant", "pooled"], "give --task intent or --task sentiment"),
        (
            ["--system", "nlu", "--decoders", "greedy"],
            "--decoders greedy: there is no conf/nlu/decode.greedy.yaml",
        ),
        (["--system", "nlu"], "train is not labelled, and nlu has nothing to learn"),
        (
            ["--variant", "pooled", "--task", "intent", "--decoders", "greedy"],
            "a pooled classifier has one way",
        ),
    ],
)
def test_what_a_recipe_cannot_do_is_told_at_once(
    recipe: Path, options: list[str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "data" / "train" / "text").touch()
    done = run_recipe(
        recipe,
        "--dry_run",
        "--stage",
        "5",
        "--data",
        str(tmp_path / "data"),
        *options,
        *needed(recipe),
    )
    assert done.returncode == 2 and message in done.stderr


@by_name
def test_a_recipe_is_short_and_plain(recipe: Path) -> None:
    text = (recipe / "run.sh").read_text()
    assert len(text.splitlines()) < 120
    assert not re.search(r"\bawk\b|\bsed\b|\bperl\b", text)
    assert not [path for path in recipe.rglob("*") if path.is_symlink()]


def test_all_configs_are_seen() -> None:
    assert len(YAMLS) >= 12
    for recipe in RECIPES:
        for system in systems_of(recipe):
            # What lasyn and tts have no file for is that of asr.
            kinds = {
                "asr": {"pretrain", "train", "decode"},
                "nlu": {"train", "decode"},
                "lasyn": {"synthesis", "train"},
                "tts": set(),
            }
            assert configs_of(recipe, system) >= kinds[system]


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: str(path.relative_to(ROOT / "egs")))
def test_every_config_parses_and_holds_only_what_differs(path: Path) -> None:
    config, required = COMMANDS.get(path.stem, COMMANDS[path.name.split(".")[0]])
    parsed = parse_config(config, ["--config", str(path), *required], prog="test")
    default = flatten(parse_config(config, required, prog="test").config)
    values = flatten(parsed.config)
    mine = [key for key, source in parsed.sources.items() if source.startswith(str(path))]
    same = [
        key for key in mine if not key.endswith("kind") and key in default and default[key] == values[key]
    ]
    assert not same, f"{path}: {', '.join(same)}: equal to the default; leave it out"
    assert path.read_text().startswith("# "), f"{path}: say in its first line what it is for"


def test_every_config_of_a_corpus_opens_with_figures_to_beat_and_whether_it_was_run() -> None:
    paths = [path for path in YAMLS if path.relative_to(ROOT / "egs").parts[0] not in ("custom", "mini")]
    assert len(paths) >= 66
    for path in paths:
        opening = " ".join(
            itertools.takewhile(lambda line: line.startswith("#"), path.read_text().splitlines())
        ).replace("# ", "")
        assert re.search(r"[Nn]ot run here|[Mm]easured here", opening), path
        if path.name != "units.yaml":
            assert re.search(r"Published[^:]*: .*\d|[Nn]o published figure", opening), path


def leaves(value: Any) -> int:
    return sum(map(leaves, value.values())) if isinstance(value, dict) else 1


@by_name
def test_a_misspelt_key_is_an_error_with_file_and_line(recipe: Path, tmp_path: Path) -> None:
    path = recipe / "conf" / "asr" / "pretrain.yaml"
    assert leaves(yaml.safe_load(path.read_text())) > 1
    wrong = tmp_path / "pretrain.yaml"
    wrong.write_text(path.read_text().replace("max_steps", "max_stepz"))
    config, required = COMMANDS["pretrain"]
    with pytest.raises(Exception, match=r"pretrain\.yaml:\d+.*max_stepz.*max_steps"):
        parse_config(config, ["--config", str(wrong), *required], prog="test")


def test_smoke_covers_every_system() -> None:
    found = re.search(r"^systems := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found is not None and found[1].split() == systems_of(ROOT / "egs" / "mini")


@pytest.mark.slow
@pytest.mark.parametrize("system", systems_of(ROOT / "egs" / "mini"))
def test_smoke(system: str, tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    recipe = ROOT / "egs" / "mini"
    options = [
        "--toy",
        "true",
        "--system",
        system,
        "--data",
        str(tmp_path / "data"),
        "--exp",
        str(tmp_path / "exp"),
    ]
    done = run_recipe(recipe, *options, timeout=600)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert "Successfully finished. [elapsed=" in done.stdout
    exp = tmp_path / "exp_toy"
    table = (exp / "RESULTS.md").read_text()
    assert all(name in table for name in (system, "dev", "test", "test_rare"))
    assert (exp / "report.html").stat().st_size > 10_000
    assert len(list(exp.rglob("score.json"))) == 3
    if system == "nlu":
        scores = json.loads(
            (exp / "nlu" / "seed1" / "train" / "decode_joint_test" / "score.json").read_text()
        )
        assert scores.keys() == {"ic", "slurp", "exact", "slue_ner", "slue_sa"}
    again = run_recipe(recipe, *options, timeout=120)
    assert again.returncode == 0
    steps = len(re.findall(r"^\+ ", again.stdout, re.MULTILINE))
    assert steps >= 10 and again.stdout.count("up to date") == steps, again.stdout


def test_every_row_of_the_table_of_mini_can_be_run(tmp_path: Path) -> None:
    options = ["--seeds", "7", "--dry_run", "--data", str(tmp_path / "data")]
    done = run_recipe(ROOT / "egs" / "mini", *options, script="table.sh")
    assert done.returncode == 0, done.stderr
    steps = [line.split() for line in done.stdout.splitlines() if "stxlib.bin.train" in line]
    configs = {words[words.index("--out") + 1]: words[words.index("--config") + 1] for words in steps}
    for row, config in {
        "asr.long.multi": "asr/train.long.multi",
        "asr.full.multi": "asr/train.full.multi",
        "lasyn.multi": "lasyn/train.multi",
        "lasyn.ctc.multi": "lasyn/train.multi",
        "lasyn.random.multi": "lasyn/train.multi",
        "lasyn.short.multi.text_part": "lasyn/train.short.multi",
        "lasyn.diffusion.multi.text_part": "lasyn/train.diffusion.multi",
        "tts.short.multi.text_part": "asr/train.short.multi",
        "nlu": "nlu/train",
    }.items():
        assert configs[f"exp/{row}/seed7/train"] == f"conf/{config}.yaml", row


def test_a_variant_of_one_task_is_known_with_this_task_only() -> None:
    mini = ROOT / "egs" / "mini"
    assert run_recipe(mini, "--dry_run", "--variant", "long", "--task", "multi").returncode == 0
    done = run_recipe(mini, "--dry_run", "--variant", "long")
    assert done.returncode == 2 and "train.long.multi.yaml (--task multi)" in done.stderr
    done = run_recipe(mini, "--dry_run", "--system", "lasyn", "--variant", "long", "--task", "multi")
    assert done.returncode == 2 and "no conf/lasyn/<stage>.long.yaml" in done.stderr
    # tts has no configs of its own, and a dot in the name of the folder is none in that of a file.
    done = run_recipe(mini, "--dry_run", "--system", "tts", "--variant", "lnog", "--conf", "./conf")
    assert done.returncode == 2 and "no ./conf/asr/<stage>.lnog.yaml" in done.stderr
    assert "conf/asr/train.full.yaml" in done.stderr and "conf/asr/train.ner.yaml" not in done.stderr
    assert "conf/asr/train.multi.yaml" not in done.stderr
