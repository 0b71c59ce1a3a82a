"""stxlib.bin.report: which files come of which options."""

from __future__ import annotations

from pathlib import Path

import pytest

from stxlib.bin.report import main
from stxlib.bin.score import main as score
from stxlib.data.tables import write_table
from stxlib.errors import ConfigError


@pytest.fixture
def exp(tmp_path: Path) -> Path:
    decode = tmp_path / "exp/asr/seed1/train/decode_joint_test"
    texts = {f"u{i:02}": f"say word{i} now" for i in range(10)}
    write_table(tmp_path / "data/test/text", texts)
    write_table(decode / "text", texts | {"u03": "say now"})
    score(["--ref", str(tmp_path / "data/test"), "--hyp", str(decode), "--out", str(decode)])
    return tmp_path / "exp"


def test_report_record_and_table(exp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, table = exp.parent / "results", exp.parent / "RESULTS.md"
    main(["--exp", str(exp), "--data", str(exp.parent / "data"), "--record", str(results)])
    assert "|asr|joint|1|3.3|" in capsys.readouterr().out
    assert "|decode_joint_test|10|30|" in (exp / "RESULTS.md").read_text()
    assert "<!doctype html>" in (exp / "report.html").read_text()
    assert sorted(path.name for path in results.iterdir()) == ["asr_seed1.json", "predictions"]
    main(["--table", str(results), "--out", str(table)])
    assert "|asr|joint|1|3.3|" in table.read_text()
    assert "of 1 runs" in capsys.readouterr().out


def test_a_second_report_is_the_same_but_for_the_date(exp: Path) -> None:
    def pages() -> list[list[str]]:
        main(["--exp", str(exp)])
        found = [(exp / name).read_text().splitlines() for name in ("RESULTS.md", "report.html")]
        return [
            [line for line in lines if "date" not in line.lower() and "<html" not in line] for lines in found
        ]

    assert pages() == pages()


@pytest.mark.parametrize(
    "options", [[], ["--table", "results"], ["--out", "RESULTS.md", "--exp", "exp"], ["--record", "results"]]
)
def test_options_that_do_not_go_together(options: list[str]) -> None:
    with pytest.raises(ConfigError, match="--"):
        main(options)
