"""RESULTS.md of exp, and the committed record."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from stxlib.errors import DataError
from stxlib.report.environment import environment
from stxlib.report.record import read_paired, read_results, record
from stxlib.report.recorded_md import recorded_md
from stxlib.report.results_md import duration, remarks, results_md
from stxlib.report.rows import Cell, order_sets
from stxlib.report.runs import find_runs
from stxlib.score.table import title


def test_what_users_grep(exp: Path) -> None:
    lines = results_md(find_runs(exp), environment()).splitlines()
    assert "# RESULTS" in lines and "## Environments" in lines and "### WER" in lines and "### CER" in lines
    assert any(line.startswith("- python version: `3.") for line in lines)
    assert any(line.startswith("- Git hash: `") for line in lines)
    assert "## exp/asr/seed1/train" in lines
    header = lines.index("|dataset|Snt|Wrd|Corr|Sub|Del|Ins|Err|S.Err|95 %|missed rare words|")
    row = lines[header + 2].split("|")
    # 24 sentences of 4 words, 6 of them with a wrong word.
    assert row[1:9] == ["decode_joint_test", "24", "96", "93.8", "6.3", "0.0", "0.0", "6.3"]
    assert row[9] == "25.0"
    low, high = map(float, row[10].split("-"))
    assert low <= 6.3 <= high
    assert "|decode_joint_test|0.012|0.034|0|" in lines


def test_summary_over_seeds(exp: Path) -> None:
    text = results_md(find_runs(exp), environment())
    assert "|WER %|decoding|n|test|test_rare|" in text
    assert "|asr|joint|2|9.4 ± 4.4|9.4 ± 4.4|" in text
    assert "|lasyn.random|joint|1|3.1|3.1|" in text
    assert "|missed rare words %|decoding|n|test|test_rare|" in text


def test_record_and_its_table(exp: Path, tmp_path: Path) -> None:
    written, left_out = record(find_runs(exp), tmp_path / "results")
    assert [path.name for path in written] == ["asr_seed1.json", "asr_seed2.json", "lasyn.random_seed1.json"]
    assert not left_out
    first = json.loads(written[0].read_text())
    assert first["commands"]["train"] == "python3 -m stxlib.bin.train --seed 1 --init exp/pretrain/seed1"
    assert (first["commit"], first["steps"]["train"]) == ("stxlib 0.1.0, commit abc", 50)
    assert first["seconds"]["train"] == 75.0 and first["seconds"]["decode_joint_test"] == 9.5
    assert first["config_hash"] == find_runs(exp)[0].config_hash
    wer = first["scores"]["joint"]["test"]["wer"]
    assert wer["figures"]["wer"]["value"] == 100 * 6 / 96 and wer["counts"]["words"] == 96
    text = recorded_md(read_results(tmp_path / "results"))
    assert "|asr|joint|2|9.4 ± 4.4|9.4 ± 4.4|" in text
    assert "|asr_seed1.json|1|" in text and "train 1 min 15 s" in text
    assert "not run with the same config" not in text


def test_what_was_predicted_is_kept_and_compared(exp: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    kept, decoded = results / "predictions" / "asr_seed1", exp / "asr" / "seed1" / "train"
    for stale in (kept / "joint_test" / "intent", kept / "lm_test" / "text"):
        stale.parent.mkdir(parents=True)
        stale.write_text("u1 alarm_set\n")
    record(find_runs(exp), results)
    assert {path.name for path in kept.iterdir()} == {"joint_test", "joint_test_rare"}
    assert [path.name for path in (kept / "joint_test").iterdir()] == ["text"]
    assert (kept / "joint_test" / "text").read_bytes() == (
        decoded / "decode_joint_test" / "text"
    ).read_bytes()
    predictions = "results/predictions"
    comparison = {
        "figure": "wer",
        "ref": "data/test",
        "baseline": {"paths": [f"{predictions}/asr_seed{seed}/joint_test" for seed in (1, 2)], "value": 20.0},
        "system": {"paths": [f"{predictions}/lasyn.x_seed{seed}/lm_test" for seed in (1, 2)], "value": 15.0},
        "difference": {"value": -5.0, "low": -7.04, "high": -2.0},
        "p": 0.0002,
    }
    paired = results / "paired" / "a-b.test.wer.json"
    paired.parent.mkdir()
    paired.write_text(json.dumps(comparison))
    text = recorded_md(read_results(results), read_paired(results).values())
    assert "|WER|test|asr joint|lasyn.x lm|2|20.0|15.0|-5.0 (-7.0 .. -2.0)|-25.0 %|0.0002|" in text
    assert "## Paired tests" not in recorded_md(read_results(results))
    record(find_runs(exp), results)
    assert paired.exists()  # of the same predictions
    (decoded / "decode_joint_test" / "text").write_text("u1 another network\n")
    record(find_runs(exp), results)
    assert not paired.exists()
    assert (kept / "joint_test" / "text").read_text() == "u1 another network\n"


def test_a_comparison_of_what_is_not_recorded_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "paired" / "x.json"
    path.parent.mkdir()
    others = [
        {side: {"paths": [one]} for side in ("baseline", "system")} for one in ("exp/asr/decode_test", "a")
    ]
    for sides in ({}, *others):
        path.write_text(json.dumps(sides))
        with pytest.raises(DataError, match=r"x\.json: is no comparison of recorded predictions"):
            read_paired(tmp_path)


def test_understanding(understanding: Path) -> None:
    lines = results_md(find_runs(understanding), environment()).splitlines()
    assert "|intent accuracy %|decoding|n|test|test_rare|" in lines
    assert "|asr.multi|joint|2|62.5 ± 17.7|62.5 ± 17.7|" in lines and "|nlu|beam|1|83.3|83.3|" in lines
    of_nlu = lines[lines.index("## exp/nlu/seed1/train") : lines.index("## Where systems differ")]
    assert "### Intent" in of_nlu and "### WER" not in of_nlu and "### Decoding" not in of_nlu
    # The main figures of a metric stand here, with intervals; the others in score.json.
    start = of_nlu.index("|%|decode_beam_test|decode_beam_test_rare|")
    assert [row.split("|")[1] for row in of_nlu[start + 2 : start + 5]] == [
        "utterances",
        "intent accuracy",
        "intent macro F1",
    ]
    assert of_nlu[start + 3].startswith("|intent accuracy|83.3 (") and "action accuracy" not in " ".join(
        of_nlu
    )


def test_sentences_and_labels(understanding: Path) -> None:
    lines = results_md(find_runs(understanding), environment()).splitlines()
    differences = lines[lines.index("## Where systems differ") : lines.index("## Labels")]
    assert "|asr.multi seed 1|nlu|utterances|" in differences
    assert differences.count("|right|right|16|") == differences.count("|wrong|right|4|") == 2
    assert "|s0-u00|alarm_set|alarm_query|alarm_set|" in differences
    labels = lines[lines.index("## Labels") :]
    # alarm_set: F1 75 and 50 with the two seeds of asr.multi; nlu takes one of eight for another, and another for one.
    assert "|F1 %|n|asr.multi, joint|nlu, beam|" in labels
    assert "|alarm_set|8|62.5 ± 17.7|87.5|" in labels
    assert "|reference|taken for|asr.multi, joint (2 seeds together)|nlu, beam|" in labels
    assert "|alarm_set|alarm_query|6|1|" in labels


def test_one_system_differs_from_none(exp: Path, tmp_path: Path) -> None:
    shutil.copytree(exp / "asr", tmp_path / "exp" / "asr")
    text = results_md(find_runs(tmp_path / "exp"), environment())
    assert "## Where systems differ" not in text and "## Labels" not in text


def test_the_record_of_understanding_is_small(understanding: Path, tmp_path: Path) -> None:
    (tmp_path / "exp/pretrain/seed1/tensorboard").mkdir(parents=True)
    shutil.copytree(understanding / "nlu", tmp_path / "exp" / "nlu")
    written, _ = record(find_runs(tmp_path / "exp"), tmp_path / "results")
    found = json.loads(written[0].read_text())
    assert found["commands"] == {"train": None} and found["rtf"] == {}
    assert found["seconds"] == {"decode_beam_test": 1.5, "decode_beam_test_rare": 1.5}
    ic = found["scores"]["beam"]["test"]["ic"]
    assert list(ic["figures"]) == ["intent_accuracy", "intent_macro_f1"]
    assert ic["counts"] == {"utterances": 24, "correct": 20}
    assert not {"details", "hyp", "missing", "main_figures"} & ic.keys() and ic["num_missing"] == 0
    assert list(ic["groups"]["accent"]["us"]) == ["utterances", "figures"]
    assert list(ic["groups"]["accent"]["us"]["figures"]) == ["intent_accuracy"]
    table = recorded_md(read_results(tmp_path / "results"))
    assert "## Intent" in table and "|nlu|beam|1|83.3|83.3|" in table
    assert "|intent macro F1 %|decoding|n|test|test_rare|" in table


def test_missing_predictions_are_said(exp: Path) -> None:
    entry = find_runs(exp)[0].decodes[0].scores["wer"] | {"missing": ["u1", "u2"], "notes": ["a note"]}
    assert remarks(entry) == ["a note", "2 missing predictions were counted as empty"]
    assert remarks(entry | {"drops_missing": True})[1] == "2 missing predictions were left out"


def test_different_configs_of_one_row_are_said(exp: Path, tmp_path: Path) -> None:
    written, _ = record(find_runs(exp), tmp_path)
    changed = json.loads(written[0].read_text()) | {"config_hash": "other"}
    written[0].write_text(json.dumps(changed))
    assert "the seeds of asr were not run with the same config" in recorded_md(read_results(tmp_path))


def test_an_unfinished_run_is_not_recorded(exp: Path, tmp_path: Path) -> None:
    shutil.copytree(exp / "asr", tmp_path / "exp" / "asr")
    (tmp_path / "exp/asr/seed2/train/decode_joint_test/score.json").unlink()
    written, left_out = record(find_runs(tmp_path / "exp"), tmp_path / "results")
    assert [path.name for path in written] == ["asr_seed1.json"]
    assert left_out == ["exp/asr/seed2/train: not recorded, as decode_joint_test has no score.json yet"]


def test_the_pretraining_of_a_variant_is_its_own(exp: Path, tmp_path: Path) -> None:
    for row in ("asr", "asr.small"):
        shutil.copytree(exp / "asr" / "seed1", tmp_path / "exp" / row / "seed1")
    for folder, seconds in (("pretrain/seed1", 200.0), ("asr.small/seed1/pretrain", 100.0)):
        (tmp_path / "exp" / folder / "tensorboard").mkdir(parents=True)
        metadata = {"json": json.dumps({"progress": {"step": 5, "seconds": seconds}})}
        save_file({"x": np.zeros(1)}, tmp_path / "exp" / folder / "checkpoint.safetensors", metadata=metadata)
    written, _ = record(find_runs(tmp_path / "exp"), tmp_path / "results")
    found = {path.name: json.loads(path.read_text())["seconds"]["pretrain"] for path in written}
    assert found == {"asr_seed1.json": 200.0, "asr.small_seed1.json": 100.0}


def test_the_time_of_synthesis_and_of_a_language_model_is_recorded(exp: Path, tmp_path: Path) -> None:
    run = tmp_path / "exp" / "lasyn.diffusion" / "seed1"
    shutil.copytree(exp / "asr" / "seed1", run)
    made, lm = run / "synthesis", tmp_path / "exp" / "lm.text_only" / "seed1"
    (made / "latents").mkdir(parents=True)
    (made / "latents" / "summary.json").write_text(json.dumps({"wall_seconds": 30.5}))
    lm.mkdir(parents=True)
    for folder, seconds in ((made, 100.0), (lm, 7.0)):
        metadata = {"json": json.dumps({"progress": {"step": 5, "seconds": seconds}})}
        save_file({"x": np.zeros(1)}, folder / "checkpoint.safetensors", metadata=metadata)
    (run / "train" / "decode_joint_test" / "config.yaml").write_text(
        "decoder:\n  lm: exp/lm.text_only/seed1\n"
    )
    written, _ = record(find_runs(tmp_path / "exp"), tmp_path / "results")
    seconds = json.loads(written[0].read_text())["seconds"]
    assert (seconds["synthesis"], seconds["lm"]) == (130.5, 7.0)
    assert "synthesis 2 min 10 s, train 1 min 15 s, lm 7 s" in recorded_md(read_results(tmp_path / "results"))


def test_seeds_whose_synthesizers_had_other_settings_are_said(exp: Path, tmp_path: Path) -> None:
    for seed, noise in ((1, 1.0), (2, 1.2)):
        run = tmp_path / "exp" / "lasyn" / f"seed{seed}"
        shutil.copytree(exp / "asr" / "seed1", run)
        (run / "synthesis").mkdir()
        (run / "synthesis" / "config.yaml").write_text(f"synthesizer: {{noise: {noise}}}\nseed: {seed}\n")
    record(find_runs(tmp_path / "exp"), tmp_path / "results")
    assert "the seeds of lasyn were not run with the same config" in recorded_md(
        read_results(tmp_path / "results")
    )
    (tmp_path / "exp/lasyn/seed2/synthesis/config.yaml").write_text("synthesizer: {noise: 1.0}\nseed: 2\n")
    record(find_runs(tmp_path / "exp"), tmp_path / "results")
    assert "not run with the same config" not in recorded_md(read_results(tmp_path / "results"))


def test_no_records(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no"):
        read_results(tmp_path)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(DataError, match=r"x\.json: not written by"):
        read_results(tmp_path)


def test_cells_and_words() -> None:
    titles = ["rare_word_miss", "macro_slu_f1", "intent_precision", "nel_word_f1_80", "em"]
    assert [title(name) for name in titles] == [
        "missed rare words",
        "macro SLU-F1",
        "intent precision",
        "NEL word F1 at 80 %",
        "EM",
    ]
    assert str(Cell((20.0, 22.0, 24.0))) == "22.0 ± 2.0" and str(Cell((20.0,))) == "20.0"
    assert order_sets(["test_rare", "test", "dev", "a"]) == ["dev", "test", "a", "test_rare"]
    assert [duration(s) for s in (42, 725, 3 * 3600 + 420)] == ["42 s", "12 min 5 s", "3 h 07 min"]
