"""The recipe engine (utils/stages.sh, run_step.py, stamp.py) on a small recipe of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

RUN_SH = """#!/usr/bin/env bash
# tiny: a recipe for tests.
cd "$(dirname "$0")" || exit

system=asr       # the system [asr|other]
variant=         # a variant
seed=1           # the seed
sets="dev test"  # some sets
kinds="a"        # kinds [a|b]...
corpus=          # DIR of the corpus
toy=false        # small
gpus=            # GPUs
procs=1          # processes
exp=exp          # results
. ../../utils/stages.sh

if stage 1 data "make data"; then
  run data python local/make.py --out data --words 3 --jobs "$seed"
fi

if stage 3 pretrain "train"; then
  run "pretrain/seed$seed" torchrun local/train.py --config "$(conf pretrain)" --train data --out "exp/pretrain/seed$seed"
fi

if stage 6 decode "decode"; then
  for set in $sets; do
    run "decode_$set" python local/make.py --config "$(conf decode)" --model "exp/pretrain/seed$seed" --out "exp/decode_$set"
  done
fi

if stage 7 score "score"; then
  require corpus
  say "corpus is $corpus"
fi
"""

MAKE = """
import argparse, pathlib, sys
parser = argparse.ArgumentParser()
for name in ("out", "words", "config", "train", "model", "jobs", "corpus"):
    parser.add_argument("--" + name)
args = parser.parse_args()
out = pathlib.Path(args.out)
out.mkdir(parents=True, exist_ok=True)
print("making", out)
with pathlib.Path("calls").open("a") as calls:
    calls.write(out.name + "\\n")
(out / "text").write_text("a 1\\n")
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with the engine and one recipe, egs/tiny."""
    root = tmp_path / "clone"
    (root / "utils").mkdir(parents=True)
    for name in ("stages.sh", "run_step.py", "stamp.py", "launch.py"):
        shutil.copy(ROOT / "utils" / name, root / "utils")
    recipe = root / "egs" / "tiny"
    (recipe / "conf" / "asr").mkdir(parents=True)
    (recipe / "local").mkdir()
    (recipe / "run.sh").write_text(RUN_SH)
    (recipe / "run.sh").chmod(0o755)
    (recipe / "local" / "make.py").write_text(MAKE)
    (recipe / "local" / "train.py").write_text(MAKE)
    (recipe / "conf" / "asr" / "pretrain.yaml").write_text("# comment\ntrainer:\n  max_steps: 5\n")
    (recipe / "conf" / "asr" / "decode.yaml").write_text("beam: 3\n")
    (recipe / "conf" / "asr" / "decode.wide.yaml").write_text("beam: 9\n")
    return root


def recipe_of(root: Path) -> Path:
    return root / "egs" / "tiny"


def environment(**more: str) -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return {**kept, "PYTHON": sys.executable, **more}


def run(root: Path, *options: str, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    command = [str(recipe_of(root) / "run.sh"), *options]
    return subprocess.run(
        command,
        cwd=cwd or recipe_of(root),
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=60,
    )


def calls(root: Path) -> list[str]:
    path = recipe_of(root) / "calls"
    return path.read_text().split() if path.exists() else []


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


# ---- options -------------------------------------------------------------------------------------------------------------


def test_help_lists_every_option_and_stage_fast(clone: Path) -> None:
    start = time.monotonic()
    done = run(clone, "--help", PATH="/usr/bin:/bin", PYTHON="/nonexistent")
    assert time.monotonic() - start < 1.0
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tiny: a recipe for tests.\n")
    for name in (
        "system",
        "variant",
        "seed",
        "sets",
        "corpus DIR",
        "toy",
        "exp",
        "stage",
        "stop_stage",
        "resume",
        "dry_run",
    ):
        assert f"  --{name} " in done.stdout
    assert "(default: dev test)" in done.stdout
    assert "3 pretrain   train" in done.stdout


def test_list_stages(clone: Path) -> None:
    done = run(clone, "--list_stages", PYTHON="/nonexistent")
    assert done.returncode == 0
    assert done.stdout.split("\n")[:4] == [
        "  1 data       make data",
        "  3 pretrain   train",
        "  6 decode     decode",
        "  7 score      score",
    ]


@pytest.mark.parametrize(
    "options",
    [
        ["--stage", "3", "--stop_stage", "6"],
        ["--stage=3", "--stop-stage=6"],
        ["--stage", "pretrain", "--stop-stage", "decode"],
        ["--stage=pretrain", "--stop_stage", "06"],
        ["--stop-stage", "6", "--stage", "2"],
    ],
)
def test_forms_of_options(clone: Path, options: list[str]) -> None:
    done = run(clone, "--dry_run", *options)
    assert done.returncode == 0, done.stderr
    assert "stage 3 pretrain" in done.stdout and "stage 6 decode" in done.stdout
    assert "stage 1" not in done.stdout and "stage 7" not in done.stdout


def test_huge_stop_stage(clone: Path) -> None:
    done = run(clone, "--dry_run", "--corpus", "c", "--stop_stage", "100000000000000000000000")
    assert done.returncode == 0 and "stage 7 score" in done.stdout


def test_stop_before_start_does_nothing(clone: Path) -> None:
    before = tree(clone)
    done = run(clone, "--stage", "8", "--stop_stage", "7")
    assert done.returncode == 0 and "no stage from 8 to 7" in done.stdout
    assert tree(clone) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sed", "2"], "unknown option --sed; did you mean --seed?"),
        (["--stopstage", "2"], "did you mean --stop_stage?"),
        (["--quite_another_thing", "2"], "options: --system --variant --seed"),
        (["--seed", "two"], "--seed takes a whole number, not 'two'"),
        (["--seed"], "--seed needs a value"),
        (["--toy", "maybe"], "--toy takes true or false, not 'maybe'"),
        (["--toy=yes"], "--toy takes true or false, not 'yes'"),
        (["--system", "asl"], "--system has no choice 'asl'; choose from asr|other"),
        (["--system", "asr other"], "--system takes one of asr|other"),
        (["--kinds", "a c"], "--kinds has no choice 'c'; choose from a|b"),
        (
            ["--stage", "train"],
            "--stage has no stage 'train'; the stages are 1 data, 3 pretrain, 6 decode, 7 score",
        ),
        (["--variant", "narrow"], "no conf/asr/<stage>.narrow.yaml (there are: conf/asr/decode.wide.yaml)"),
        (["data"], "'data' is not an option"),
        (["-s", "3"], "'-s' is not an option"),
    ],
)
def test_bad_options_name_the_right_ones(clone: Path, options: list[str], message: str) -> None:
    before = tree(clone)
    done = run(clone, *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert tree(clone) == before


def test_lists_and_paths(clone: Path, tmp_path: Path) -> None:
    done = run(clone, "--stage", "score", "--kinds", "a b", "--corpus", "some where", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"corpus is {tmp_path}/some where" in done.stdout


def test_a_stage_that_needs_an_option_says_so(clone: Path) -> None:
    done = run(clone, "--stage", "score")
    assert done.returncode == 2 and "stage 7 score needs --corpus" in done.stderr


def test_variant_picks_a_config(clone: Path) -> None:
    done = run(clone, "--dry_run", "--variant", "wide", "--stop_stage", "6")
    assert "conf/asr/decode.wide.yaml" in done.stdout and "conf/asr/pretrain.yaml" in done.stdout


# ---- steps ---------------------------------------------------------------------------------------------------------------


def test_dry_run_prints_and_writes_nothing(clone: Path) -> None:
    before = tree(clone)
    done = run(clone, "--dry_run", "--stop_stage", "6", PYTHON="/nonexistent")
    assert done.returncode == 0, done.stderr
    assert "+ python local/make.py --out data --words 3 --jobs 1" in done.stdout
    assert tree(clone) == before


def test_second_run_redoes_nothing(clone: Path) -> None:
    done = run(clone, "--stop_stage", "6")
    assert done.returncode == 0, done.stdout + done.stderr
    assert calls(clone) == ["data", "seed1", "decode_dev", "decode_test"]
    assert "Successfully finished. [elapsed=" in done.stdout and "time by stage:" in done.stdout
    before = tree(clone)
    again = run(clone, "--stop_stage", "6")
    assert again.returncode == 0
    assert again.stdout.count("up to date") == 4
    assert calls(clone) == ["data", "seed1", "decode_dev", "decode_test"]
    assert tree(clone) == before
    log = (recipe_of(clone) / "exp" / "pretrain" / "seed1.log").read_text()
    assert log.startswith("# ") and "making exp/pretrain/seed1\n" in log


def test_a_comment_or_the_number_of_jobs_changes_nothing(clone: Path) -> None:
    run(clone, "--stop_stage", "6")
    (recipe_of(clone) / "conf" / "asr" / "pretrain.yaml").write_text(
        "trainer: {max_steps: 5} # other words\n"
    )
    again = run(clone, "--stop_stage", "6")
    assert again.stdout.count("up to date") == 4, again.stdout


def test_the_name_of_a_config_does_not_count(clone: Path) -> None:
    run(clone, "--stop_stage", "3")
    (recipe_of(clone) / "conf" / "other").mkdir()
    shutil.copy(
        recipe_of(clone) / "conf" / "asr" / "pretrain.yaml",
        recipe_of(clone) / "conf" / "other" / "pretrain.yaml",
    )
    assert (
        run(clone, "--stage", "3", "--stop_stage", "3", "--system", "other").stdout.count("up to date") == 1
    )


def test_edited_config_redoes_decoding_and_nothing_else(clone: Path) -> None:
    run(clone, "--stop_stage", "6")
    (recipe_of(clone) / "conf" / "asr" / "decode.yaml").write_text("beam: 4\n")
    again = run(clone, "--stop_stage", "6")
    assert again.returncode == 0
    assert calls(clone)[4:] == ["decode_dev", "decode_test"]
    assert "beam: 3 -> 4 (conf/asr/decode.yaml)" in again.stdout


def test_edited_config_stops_a_finished_training(clone: Path) -> None:
    run(clone, "--stop_stage", "6")
    config = recipe_of(clone) / "conf" / "asr" / "pretrain.yaml"
    config.write_text("trainer:\n  max_steps: 6\n  lr: 1.0\n")
    before = tree(recipe_of(clone) / "exp" / "pretrain" / "seed1")
    again = run(clone, "--stage", "3")
    assert again.returncode == 2
    assert "trainer.max_steps: 5 -> 6 (conf/asr/pretrain.yaml)" in again.stdout
    assert "trainer.lr: (not set) -> 1.0" in again.stdout
    assert "--resume false" in again.stdout
    assert "stopped in stage 3" in again.stderr and "last lines" not in again.stderr
    assert tree(recipe_of(clone) / "exp" / "pretrain" / "seed1") == before and len(calls(clone)) == 4
    marker = recipe_of(clone) / "exp" / "pretrain" / "seed1" / "checkpoint"
    marker.touch()
    afresh = run(clone, "--stage", "3", "--stop_stage", "3", "--resume", "false")
    assert afresh.returncode == 0, afresh.stdout
    assert not marker.exists() and calls(clone)[4:] == ["seed1"]


def test_data_that_a_stage_makes_outside_of_exp_are_not_deleted(clone: Path) -> None:
    recipe = recipe_of(clone) / "run.sh"
    recipe.write_text(recipe.read_text().replace('--out "exp/pretrain/seed$seed"', "--out data_spoken"))
    assert run(clone, "--stop_stage", "3").returncode == 0
    kept = recipe_of(clone) / "data_spoken" / "kept"
    kept.touch()
    again = run(clone, "--stage", "3", "--stop_stage", "3", "--resume", "false")
    assert again.returncode == 0 and "--resume false: making data_spoken again" in again.stdout
    assert kept.exists() and calls(clone)[-1] == "data_spoken"


def test_changed_input_is_noticed(clone: Path) -> None:
    run(clone, "--stop_stage", "6")
    (recipe_of(clone) / "data" / "text").write_text("a 2\n")
    again = run(clone, "--stage", "3")
    assert again.returncode == 2 and "data/: changed: text" in again.stdout
    # A later stage may add a stream beside those that were there.
    (recipe_of(clone) / "data" / "text").write_text("a 1\n")
    (recipe_of(clone) / "data" / "units").write_text("a 1\n")
    assert run(clone, "--stage", "3", "--stop_stage", "3").returncode == 0


def test_edited_script_remakes_the_data(clone: Path) -> None:
    run(clone, "--stop_stage", "1")
    script = recipe_of(clone) / "local" / "make.py"
    script.write_text(script.read_text() + "\n")
    again = run(clone, "--stop_stage", "1")
    assert "local/: changed: make.py" in again.stdout and calls(clone) == ["data", "data"]
    deep = recipe_of(clone) / "local" / "grammar" / "intents"
    deep.mkdir(parents=True)
    (deep / "home.yaml").write_text("a: 1\n")
    run(clone, "--stop_stage", "1")
    (deep / "home.yaml").write_text("a: 2\n")
    again = run(clone, "--stop_stage", "1")
    assert "local/grammar/intents/: changed: home.yaml" in again.stdout and len(calls(clone)) == 4


def test_an_input_whose_path_holds_a_blank_is_noticed(clone: Path, tmp_path: Path) -> None:
    recipe = recipe_of(clone) / "run.sh"
    recipe.write_text(recipe.read_text().replace("--words 3", '--words "$corpus"'))
    (tmp_path / "my corpus").mkdir()
    (tmp_path / "my corpus" / "text").write_text("a 1\n")
    options = ["--stop_stage", "1", "--corpus", str(tmp_path / "my corpus")]
    run(clone, *options)
    (tmp_path / "my corpus" / "text").write_text("a 2\n")
    assert "my corpus/: changed: text" in run(clone, *options).stdout


def test_a_table_deep_in_a_corpus_is_noticed_and_archives_beside_are_not_read(
    clone: Path, tmp_path: Path
) -> None:
    recipe = recipe_of(clone) / "run.sh"
    recipe.write_text(recipe.read_text().replace("--words 3", '--words 3 --corpus "$corpus"'))
    table = tmp_path / "slurp" / "dataset" / "slurp" / "train.jsonl"
    table.parent.mkdir(parents=True)
    table.write_text("{}\n")
    options = ["--stop_stage", "1", "--corpus", str(tmp_path / "slurp")]
    run(clone, *options)
    (tmp_path / "slurp" / "slurp_real.tar.gz").write_bytes(b"many gigabytes")
    (tmp_path / "slurp" / "audio.flac").write_bytes(b"audio")
    assert "data: up to date" in run(clone, *options).stdout
    table.write_text("{}\n{}\n")
    assert "slurp/dataset/slurp/: changed: train.jsonl" in run(clone, *options).stdout
    (table.parent / "metadata.json").write_text("{}\n")
    assert "slurp/dataset/slurp/: new: metadata.json" in run(clone, *options).stdout


def test_missing_output_is_made_again(clone: Path) -> None:
    run(clone, "--stop_stage", "1")
    shutil.rmtree(recipe_of(clone) / "data")
    run(clone, "--stop_stage", "1")
    assert calls(clone) == ["data", "data"]


def test_a_report_that_was_deleted_is_made_again(clone: Path) -> None:
    script = recipe_of(clone) / "local" / "report.py"
    script.write_text("import pathlib\npathlib.Path('exp/RESULTS.md').write_text('table')\n")
    recipe = recipe_of(clone) / "run.sh"
    recipe.write_text(
        recipe.read_text().replace("  require corpus\n", "  run report python local/report.py --exp exp\n")
    )
    assert run(clone, "--stage", "7").returncode == 0
    assert "report: up to date" in run(clone, "--stage", "7").stdout
    scored = recipe_of(clone) / "exp" / "asr" / "seed2" / "score.json"  # another seed has been scored
    scored.parent.mkdir(parents=True)
    scored.write_text("{}")
    assert "exp/asr/seed2/: new: score.json" in run(clone, "--stage", "7").stdout
    assert "report: up to date" in run(clone, "--stage", "7").stdout
    for name in ("decode_joint_dev/summary.json", "judged.json"):  # decoded, judged again
        path = recipe_of(clone) / "exp" / "asr" / "seed2" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
        assert "exp/asr/seed2/" in run(clone, "--stage", "7").stdout
        assert "report: up to date" in run(clone, "--stage", "7").stdout
    (recipe_of(clone) / "exp" / "RESULTS.md").unlink()
    assert "up to date" not in run(clone, "--stage", "7").stdout
    assert (recipe_of(clone) / "exp" / "RESULTS.md").exists()


def test_failure_names_stage_log_and_the_command_to_resume(clone: Path) -> None:
    train = recipe_of(clone) / "local" / "train.py"
    train.write_text(
        "import sys\nprint('so far so good')\nprint('error: out of luck', file=sys.stderr)\nsys.exit(7)\n"
    )
    done = run(clone, "--seed", "3", "--stop_stage=6", "--sets", "dev test")
    assert done.returncode == 7
    assert "failed in stage 3 pretrain (exit status 7)" in done.stderr
    assert "resume with: ./run.sh --stage 3 --seed 3 --stop_stage 6 --sets dev\\ test" in done.stderr
    assert f"{recipe_of(clone)}/exp/pretrain/seed3.log" in done.stderr
    assert done.stderr.count("error: out of luck") == 1
    assert "Successfully" not in done.stdout
    train.write_text(MAKE)
    assert (
        run(clone, "--stage", "3", "--seed", "3", "--stop_stage", "6", "--sets", "dev test").returncode == 0
    )


def test_unfinished_training_decides_itself_about_an_edited_config(clone: Path) -> None:
    (recipe_of(clone) / "local" / "train.py").write_text(MAKE + "sys.exit(pathlib.Path('fail').exists())\n")
    (recipe_of(clone) / "fail").touch()
    assert run(clone, "--stop_stage", "3").returncode == 1
    (recipe_of(clone) / "fail").unlink()
    (recipe_of(clone) / "conf" / "asr" / "pretrain.yaml").write_text("trainer:\n  max_steps: 6\n")
    assert run(clone, "--stop_stage", "3").returncode == 0
    assert run(clone, "--stop_stage", "3").stdout.count("up to date") == 2


@pytest.mark.parametrize("whom", ["recipe", "killed recipe"])
def test_a_stopped_recipe_lets_its_step_save_and_stop(clone: Path, whom: str) -> None:
    (recipe_of(clone) / "local" / "train.py").write_text(
        "import pathlib, signal, sys, time\n"
        "def save(*_):\n    pathlib.Path('saved').touch()\n    sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, save)\nprint('at it', flush=True)\ntime.sleep(30)\n"
    )
    command = [str(recipe_of(clone) / "run.sh"), "--stop_stage", "3"]
    recipe = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert recipe.stdout is not None
    while "at it" not in recipe.stdout.readline():
        assert recipe.poll() is None
    recipe.send_signal(signal.SIGTERM if whom == "recipe" else signal.SIGKILL)
    rest = rest_of(recipe)
    deadline = time.monotonic() + 10
    while not (recipe_of(clone) / "saved").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (recipe_of(clone) / "saved").exists()
    if whom == "recipe":
        assert recipe.returncode == 143
        assert (
            "terminated in stage 3 pretrain (exit status 143); resume with: ./run.sh --stage 3 --stop_stage 3"
            in rest
        )
        assert "last lines" not in rest and "failed" not in rest


def rest_of(recipe: subprocess.Popen[str]) -> str:
    """What a recipe still prints, to its end. `communicate(timeout=...)` would lose what readline has read ahead."""
    assert recipe.stdout is not None
    with recipe.stdout:
        rest = recipe.stdout.read()
    recipe.wait(timeout=60)
    return rest


SEVERAL = """
import os, pathlib, signal, sys, time
rank, kind = os.environ["RANK"], pathlib.Path("kind").read_text()
def say(words):
    os.write(1, f"{words} {rank}\\n".encode())  # one write: the processes share the stream
def save(*_):
    say("the checkpoint is saved")
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
say("at it")
if kind == "user's error":
    sys.exit(2)
if kind == "ours" and rank == "1":
    raise RuntimeError("a defect")
if kind == "killed" and rank == "1":
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(30)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "status", "wanted", "unwanted"),
    [
        ("user's error", 2, ["failed in stage 3"], ["Traceback", "process 0 of 2"]),
        (
            "ours",
            1,
            ["RuntimeError: a defect", "process 1 of 2 failed (exit status 1)"],
            ["ChildFailedError"],
        ),
        ("killed", 137, ["process 1 of 2 was killed by signal 9", "too little memory"], ["Traceback"]),
        (
            "terminated",
            143,
            ["the checkpoint is saved 0", "the checkpoint is saved 1", "terminated"],
            ["Traceback"],
        ),
    ],
)
def test_several_processes_end_as_one_does(
    clone: Path, kind: str, status: int, wanted: list[str], unwanted: list[str]
) -> None:
    (recipe_of(clone) / "local" / "train.py").write_text(SEVERAL)
    (recipe_of(clone) / "kind").write_text(kind)
    command = [str(recipe_of(clone) / "run.sh"), "--stop_stage", "3", "--procs", "2"]
    recipe = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert recipe.stdout is not None
    before = ""
    while not ("at it 0" in before and "at it 1" in before):
        before += recipe.stdout.readline()
        assert recipe.poll() is None or kind != "terminated", before
        if recipe.poll() is not None:
            break
    if kind == "terminated":
        time.sleep(0.5)
        recipe.send_signal(signal.SIGTERM)
    printed = before + rest_of(recipe)
    assert recipe.returncode == status, printed
    assert all(words in printed for words in wanted), printed
    assert not any(words in printed for words in [*unwanted, "SignalException"]), printed
    assert "resume with: ./run.sh --stage 3" in printed


def test_two_recipes_at_once_share_a_step(clone: Path) -> None:
    script = recipe_of(clone) / "local" / "make.py"
    script.write_text(MAKE + "import time\ntime.sleep(1.5)\n")
    command = [str(recipe_of(clone) / "run.sh"), "--stop_stage", "1"]
    both = [subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    output = [process.communicate(timeout=30)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert calls(clone) == ["data"]
    assert "up to date" in output[0] + output[1]


def test_two_clones_run_their_own_code(clone: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(clone, other)
    for root in (clone, other):
        (root / "stxlib").mkdir()
        (root / "stxlib" / "__init__.py").write_text(f"name = {str(root)!r}\n")
        (recipe_of(root) / "local" / "make.py").write_text("import stxlib\nprint('code of', stxlib.name)\n")
    for root, foreign in ((clone, other), (other, clone)):
        done = run(root, "--stop_stage", "1", PYTHONPATH=str(foreign))
        assert f"code of {root}\n" in done.stdout, done.stdout + done.stderr


def test_a_terminal_gets_the_bar_and_the_log_gets_lines(clone: Path) -> None:
    (recipe_of(clone) / "local" / "train.py").write_text(
        "import sys\nprint('tty', sys.stdout.isatty())\nsys.stderr.write('10 %\\r60 %\\r100 %\\n')\n"
    )
    pty = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    command = [sys.executable, "-c", pty, str(recipe_of(clone) / "run.sh"), "--stop_stage", "3"]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout
    assert "tty True" in done.stdout and "10 %" in done.stdout
    log = (recipe_of(clone) / "exp" / "pretrain" / "seed1.log").read_text()
    assert "100 %\n" in log and "10 %\n" not in log.replace("100 %", "")


def test_processes_become_a_launcher(clone: Path) -> None:
    (recipe_of(clone) / "local" / "train.py").write_text(
        "import os, sys\nkeys = 'RANK', 'WORLD_SIZE', 'OMP_NUM_THREADS'\n"
        "sys.stdout.write('rank {} of {} threads {}\\n'.format(*map(os.environ.get, keys)))\n"
    )
    done = run(clone, "--stop_stage", "3", "--procs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rank 0 of 2 threads 1" in done.stdout and "rank 1 of 2 threads 1" in done.stdout
    assert run(clone, "--stop_stage", "3", "--procs", "1").stdout.count("up to date") == 2


def test_more_gpus_than_there_are(clone: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "nvidia-smi").write_text("#!/bin/sh\necho 'GPU 0: a card (UUID: x)'\n")
    (tools / "nvidia-smi").chmod(0o755)
    done = run(clone, "--gpus", "2", "--stop_stage", "3", PATH=f"{tools}:{os.environ['PATH']}")
    assert done.returncode == 2 and "--gpus 2, but this machine has 1" in done.stderr


def test_stamp_is_readable_json(clone: Path) -> None:
    run(clone, "--stop_stage", "3")
    stamp = json.loads((recipe_of(clone) / "exp" / "pretrain" / "seed1.stamp.json").read_text())
    assert stamp["state"] == "done"
    assert stamp["config"] == {"trainer.max_steps": "5"}
    assert set(stamp["inputs"]) >= {"data/text", "local/train.py"}
    assert stamp["outputs"] == ["exp/pretrain/seed1/text"]
