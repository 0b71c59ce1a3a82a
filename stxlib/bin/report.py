"""Make RESULTS.md and report.html of everything that was scored, and keep the record that is committed.

python -m stxlib.bin.report --exp exp --data data                       exp/RESULTS.md and exp/report.html
python -m stxlib.bin.report --exp exp --data data --record results      and results/<row>_seed<N>.json, results/predictions
python -m stxlib.bin.report --table results --out RESULTS.md            the committed table, of that folder alone
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stxlib.atomic import write_text
from stxlib.config import parse_config
from stxlib.errors import ConfigError, run
from stxlib.report.curves import NO_MATPLOTLIB, has_matplotlib
from stxlib.report.environment import environment
from stxlib.report.html import report_html
from stxlib.report.record import read_paired, read_results, record
from stxlib.report.recorded_md import recorded_md
from stxlib.report.results_md import results_md, summary_md
from stxlib.report.rows import metrics_of
from stxlib.report.runs import find_runs


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    exp: Path | None = None
    "folder of runs: every decode_*/score.json below it is reported, in RESULTS.md and report.html there"
    data: Path | None = None
    "folder of the data directories, for the audio of a few utterances"
    record: Path | None = None
    "folder for one JSON of each finished run, and what it predicted: the record to commit"
    table: Path | None = None
    "folder of such JSONs, to make a table of"
    out: Path | None = None
    "file for the table of --table"

    def __post_init__(self) -> None:
        if self.exp is None and self.table is None:
            raise ConfigError("--exp: give the folder of runs to report on (or --table and --out)")
        if (self.table is None) != (self.out is None):
            raise ConfigError(
                "--table and --out: give both, the folder of JSONs and the file for their table"
            )
        if self.record is not None and self.exp is None:
            raise ConfigError("--record: needs --exp, the folder of runs to record")


def main(argv: Sequence[str] | None = None) -> None:
    description = "Report on everything that was scored: RESULTS.md, report.html, and the committed record."
    config = parse_config(ReportConfig, argv, prog="stxlib.bin.report", description=description).config
    if config.exp is not None:
        report(config.exp, config.data, config.record)
    if config.table is not None and config.out is not None:
        results = read_results(config.table)
        write_text(config.out, recorded_md(results, read_paired(config.table).values()))
        print(f"written: {config.out}, of {len(results)} runs in {config.table}")


def report(exp: Path, data: Path | None, record_folder: Path | None) -> None:
    """Write exp/RESULTS.md, exp/report.html and, if asked for, the record; print the first table."""
    runs, here = find_runs(exp), environment()
    write_text(exp / "RESULTS.md", results_md(runs, here))
    page = report_html(runs, here, name=_name_of(exp), data=data)
    write_text(exp / "report.html", page)
    scored = [run for run in runs if run.decodes]
    for metric in metrics_of(scored):
        print(summary_md(scored, metric))
    if not has_matplotlib():
        print(f"note: {NO_MATPLOTLIB}")
    print(f"written: {exp / 'RESULTS.md'}, {exp / 'report.html'} ({len(page.encode()) / 1e6:.1f} MB)")
    if record_folder is not None:
        written, left_out = record(runs, record_folder)
        for sentence in left_out:
            print(f"note: {sentence}")
        print(f"written: {' '.join(map(str, written)) or 'no record'}")


def _name_of(exp: Path) -> str:
    """`egs/mini/exp` is reported as `mini`; another folder by its own name."""
    path = exp.resolve()
    return path.parent.name if path.name.startswith("exp") else path.name


if __name__ == "__main__":
    sys.exit(run(main))
