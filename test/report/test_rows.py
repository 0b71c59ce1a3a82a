"""Which figures stand in tables: those that the metrics have."""

from __future__ import annotations

import json

import pytest

from stxlib.data.tables import write_table
from stxlib.report.rows import _METRICS, _SUMMARY, key_figures, main_figures, run_table
from stxlib.report.verdicts import _SAID_BY, without_repeats
from stxlib.score.metric import Inputs
from stxlib.score.metrics import METRICS
from stxlib.score.score_json import Entry, score_entry

STREAMS = {
    "text": "wake me at seven",
    "intent": "alarm_set",
    "semantics": json.dumps({"intent": "alarm_set", "slots": [{"type": "time", "filler": "seven"}]}),
    "entities": json.dumps([{"type": "TIME", "filler": "seven"}]),
    "sentiment": "Neutral",
    "parse": "[IN:CREATE_ALARM wake me at [SL:TIME seven ] ]",
    "entity_times": json.dumps([{"type": "TIME", "filler": "seven", "start_second": 0.5, "end_second": 0.9}]),
    "word_times": json.dumps([["wake", 0, 0.2], ["me", 0.2, 0.3], ["at", 0.3, 0.5], ["seven", 0.5, 0.9]]),
}


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Entry]:
    """An entry of every metric, of four utterances that are all right."""
    data = tmp_path_factory.mktemp("data")
    for stream, value in STREAMS.items():
        write_table(data / stream, {f"u{i}": value for i in range(4)})
    inputs = Inputs(ref=data, hyp=data)
    return {
        metric: score_entry(score(inputs), inputs, draws=100, seed=1) for metric, score in METRICS.items()
    }


def test_every_metric_has_a_name_and_its_summary_is_of_its_figures(entries: dict[str, Entry]) -> None:
    assert len(entries) == 9 and _METRICS.keys() == entries.keys() | {"slue"}
    assert _SUMMARY.keys() <= entries.keys() and len(_SUMMARY) == 7
    for metric, names in _SUMMARY.items():
        entry = entries[metric]
        assert set(names) <= set(main_figures(entry)), metric
        assert key_figures(metric, entry) == [entry["headline"], *names]
        assert all(entry["figures"][name]["value"] == 100 for name in names), metric


def test_tables_of_every_metric(entries: dict[str, Entry]) -> None:
    for metric, entry in entries.items():
        header, rows = run_table({"test": entry})
        assert all(len(row) == len(header) for row in rows), metric
        if metric in ("wer", "cer"):
            assert rows[0][:2] == ["test", "4"] and rows[0][7:9] == ["0.0", "0.0"]
        else:
            assert header == ["", "test"] and rows[0] == ["utterances", "4"]
            assert rows[1][1].startswith("100.0 (")
            _, whole = run_table({"test": entry}, whole=True)
            assert len(whole) == 1 + len(entry["figures"]) >= len(rows) == 1 + len(main_figures(entry))


def test_sets_that_were_not_scored_alike(entries: dict[str, Entry]) -> None:
    """A figure that one set has and another has not is a column, or a row, all the same."""
    wer, ic = entries["wer"], entries["ic"]
    more = wer | {"figures": wer["figures"] | {"rare_word_miss": {"value": 3.0, "low": 1.0, "high": 5.0}}}
    header, rows = run_table({"dev": wer, "test": more})
    assert header[-1] == "missed rare words" and [row[-1] for row in rows] == ["-", "3.0 (1.0-5.0)"]
    less = ic | {"figures": {"intent_accuracy": ic["figures"]["intent_accuracy"]}, "utterances": None}
    _, rows = run_table({"dev": ic, "test": less})
    assert rows[0] == ["utterances", "4", "-"] and rows[-1][2] == "-" and rows[1][2].startswith("100.0")


def test_metrics_that_say_the_same_of_an_utterance(entries: dict[str, Entry]) -> None:
    assert {*_SAID_BY, *_SAID_BY.values()} <= entries.keys()
    assert without_repeats(["wer", "cer", "slurp", "exact", "ic"]) == ["wer", "slurp", "ic"]
    assert without_repeats(["cer", "exact"]) == ["cer", "exact"]
