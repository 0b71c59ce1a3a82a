"""utils/show_run.py as a user calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from stxlib.bin.score import main as score
from stxlib.data.tables import write_table

SCRIPT = Path(__file__).parents[2] / "utils/show_run.py"


def show(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True, timeout=60)


def test_two_runs(tmp_path: Path) -> None:
    texts = {f"u{i:02}": f"say word{i} now" for i in range(10)}
    write_table(tmp_path / "test/text", texts)
    for seed in (1, 2):
        train = tmp_path / f"exp/asr/seed{seed}/train"
        decode = train / "decode_joint_test"
        write_table(decode / "text", texts | {"u03": "say now"})
        score(["--ref", str(tmp_path / "test"), "--hyp", str(decode), "--out", str(decode)])
        (train / "config.yaml").write_text(f"seed: {seed}\ntrainer: {{lr: 0.1, steps: {10 * seed}}}\n")
    result = show(str(tmp_path / "exp/asr/seed1"), str(tmp_path / "exp/asr/seed2/train"))
    assert result.returncode == 0, result.stderr
    assert "decode_joint_test   10   30  96.7" in result.stdout
    settings = [line.split() for line in result.stdout.splitlines()]
    assert ["trainer.steps", "10", "20"] in settings and ["seed", "1", "2"] in settings
    assert "trainer.lr" not in result.stdout


def test_not_a_run(tmp_path: Path) -> None:
    result = show(str(tmp_path))
    assert result.returncode == 2 and result.stderr.startswith("error: ") and "Traceback" not in result.stderr
    assert "utils/show_run.py exp" in show().stdout
