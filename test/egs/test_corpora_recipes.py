"""The recipes of the released corpora, all seven stages on miniatures of them, at toy size, each system."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from run_recipe import run_recipe

from stxlib.data.data_dir import DataDir
from stxlib.text.saved import load_units

ROOT = Path(__file__).parents[2]

RATE = 16000
SENTENCES = ("wake me at seven", "play free bird", "turn it up", "rain in oslo", "call ada now", "stop that")
COUNTS = {"train": 12, "dev": 3, "test": 3}


def write_tiny_configs(recipe: Path, folder: Path) -> Path:
    """The recipe's own configs, with small sizes and four steps."""
    command = [sys.executable, str(ROOT / "utils" / "toy_configs.py"), str(recipe / "conf"), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    units = folder / "units.yaml"
    if importlib.util.find_spec("espeakng_loader") is None:
        units.write_text(yaml.safe_dump(yaml.safe_load(units.read_text()) | {"units": {"kind": "subwords"}}))
    return folder


def noise(number: int, seconds: float = 1.6) -> np.ndarray:
    return np.random.default_rng(number).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


def put(path: Path, number: int, seconds: float = 1.6) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise(number, seconds), RATE)


def lines(path: Path, rows: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows))


def librispeech(root: Path) -> list[str]:
    speakers = []
    for part, count in {"train-clean-100": 12, "dev-clean": 3, "test-clean": 3}.items():
        speaker = str(100 + count + len(speakers))
        speakers.append(f"{speaker} | F | {part} | 0.10 | Stand In")
        chapter = root / "LibriSpeech" / part / speaker / "7"
        ids = [f"{speaker}-7-{n:04d}" for n in range(count)]
        for number, utt in enumerate(ids):
            put(chapter / f"{utt}.flac", number)
        words = [f"{utt} {SENTENCES[n % 6].upper()}" for n, utt in enumerate(ids)]
        lines(chapter / f"{speaker}-7.trans.txt", words)
    lines(root / "LibriSpeech" / "SPEAKERS.TXT", speakers)
    lines(root / "lm.txt", ["WAKE ADA AT SEVEN", "PLAY IT NOW", "TURN THAT UP", "STOP THE RAIN"] * 3)
    return [
        *("--corpus", str(root), "--text", str(root / "lm.txt")),
        *("--dev", "dev-clean", "--sets", "dev-clean test-clean"),
    ]


def slurp(root: Path) -> list[str]:
    speakers: dict[str, Any] = {}
    for part, count in {"train": 6, "devel": 2, "test": 2, "train_synthetic": 3}.items():
        records = []
        for n in range(count):
            number = 1000 * (len(speakers) + 1) + n
            words = SENTENCES[n % 6].split()
            files = [f"audio-{number}.flac", f"audio-{number}-headset.flac"]
            folder = "slurp_synth" if part == "train_synthetic" else "slurp_real"
            for file in files:
                put(root / "audio" / folder / file, n)
            scenario, action = (("alarm", "set"), ("play", "music"), ("iot", "hue_lightoff"))[n % 3]
            record = {
                "slurp_id": number,
                "sentence": " ".join(words),
                "scenario": scenario,
                "action": action,
                "intent": f"{scenario}_{action}",
                "tokens": [{"surface": word, "id": k} for k, word in enumerate(words)],
                "recordings": [{"file": file} for file in files],
                "entities": [{"type": "thing", "span": [len(words) - 1]}] if n % 2 else [],
            }
            records.append(json.dumps(record))
            if folder == "slurp_real":
                speakers[str(number)] = {"recordings": {file: {"usrid": f"FO-{n}"} for file in files}}
        lines(root / "dataset" / "slurp" / f"{part}.jsonl", records)
    (root / "dataset" / "slurp" / "metadata.json").write_text(json.dumps(speakers))
    return ["--corpus", str(root), "--synthetic", "text"]


def stop(root: Path) -> list[str]:
    header = "file_id domain gender native utterance normalized_utterance decoupled_normalized_seqlogical"
    for part, count in {"train": 12, "eval": 3, "test": 3}.items():
        rows = ["\t".join(header.split())]
        for n in range(count):
            *_, last = words = SENTENCES[n % 6].split()
            domain, intent = (("alarm", "CREATE_ALARM"), ("music", "PLAY_MUSIC"))[n % 2]
            file = f"{part}_0/{domain}_{part}_0/{n:08d}.wav"
            put(root / (file if part == "train" else file.replace(f"{part}_0/{n}", f"{part}/{n}")), n)
            parse = f"[IN:{intent} [SL:THING {last} ] ]"
            rows.append("\t".join([file, domain, "female", "yes", " ".join(words), " ".join(words), parse]))
        lines(root / "manifests" / f"{part}.tsv", rows)
    return ["--corpus", str(root)]


def fsc(root: Path) -> list[str]:
    classes = ("activate,lights,kitchen", "change language,none,none", "increase,volume,none")
    for part, count in {"train": 12, "valid": 3, "test": 3}.items():
        rows = [",path,speakerId,transcription,action,object,location"]
        for n in range(count):
            file = f"wavs/speakers/{part}/{part}-{n}.wav"
            put(root / file, n)
            rows.append(f"{n},{file},{part}{n % 2},{SENTENCES[n % 6].capitalize()},{classes[n % 3]}")
        lines(root / "data" / f"{part}_data.csv", rows)
    return ["--corpus", str(root)]


def slue_voxceleb(root: Path, blind: bool = True) -> list[str]:
    name = "slue-voxceleb"
    columns = "id normalized_text speaker_id split sentiment start_second end_second"
    for part, count in {"fine-tune": 40, "dev": 3, "test": 3}.items():
        rows = ["\t".join(columns.split())]
        for n in range(count):
            utt, sentiment = f"id1_{part}_{n:05d}", ("Neutral", "Positive", "Negative")[n % 3]
            put(root / name / f"{part}_raw" / f"{utt}.flac", n, 2.0)
            rows.append("\t".join([utt, SENTENCES[n % 6], f"id1{n % 2}", part, sentiment, "0.1", "1.9"]))
        file = root / name / f"{name}_{part}.tsv"
        if part == "test" and blind:
            file = root / name / f"{name}_test_blind.tsv"
            cut = [row.split("\t") for row in rows]
            rows = ["\t".join([row[0], *row[2:4], *row[5:]]) for row in cut]
        lines(file, rows)
    return ["--corpus", str(root)]


def slue_voxpopuli(root: Path, blind: bool = True) -> list[str]:
    name = "slue-voxpopuli"
    columns = "id raw_text normalized_text speaker_id split raw_ner normalized_ner"
    for part, count in {"fine-tune": 40, "dev": 3, "test": 3}.items():
        rows = ["\t".join(columns.split())]
        for n in range(count):
            utt, text = f"2013-en_21:26:{n}_{part}", SENTENCES[n % 6]
            path = root / name / part / f"{utt}.ogg"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, noise(n, 1.8), RATE, format="OGG", subtype="VORBIS")
            entity = repr([["PERSON" if n % 2 else "DATE", 0, len(text.split()[0])]])
            rows.append("\t".join([utt, text, text, f"28{n % 2}", part, entity, entity]))
        file = root / name / f"{name}_{part}.tsv"
        if part == "test" and blind:
            file = root / name / f"{name}_test_blind.tsv"
            rows = ["\t".join(row.split("\t")[:5]) for row in rows]
        lines(file, rows)
    return ["--corpus", str(root)]


def slue(root: Path) -> list[str]:
    slue_voxceleb(root, blind=False)
    slue_voxpopuli(root, blind=False)
    return ["--corpus", str(root)]


CORPORA: dict[str, Callable[[Path], list[str]]] = {
    "fsc": fsc,
    "librispeech": librispeech,
    "slue": slue,
    "slue_voxceleb": slue_voxceleb,
    "slue_voxpopuli": slue_voxpopuli,
    "slurp": slurp,
    "stop": stop,
}
SETS = {"librispeech": ["dev-clean", "test-clean"]}
METRICS = {
    "fsc": {"ic"},
    "librispeech": {"wer", "cer"},
    "slue_voxceleb": {"slue_sa"},
    "slue_voxpopuli": {"slue_ner"},
    "slurp": {"wer", "cer", "ic", "slurp", "exact", "slue_ner"},
    "stop": {"stop_em"},
}
# Whose test set has no labels.
BLIND = {"slue_voxceleb", "slue_voxpopuli"}


def run(recipe: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run_recipe(recipe, *options, timeout=900, OMP_NUM_THREADS="1")


def systems_of(recipe: Path) -> list[str]:
    found = re.search(r"^system=\w+ +# .*\[([\w|]+)\]", (recipe / "run.sh").read_text(), re.MULTILINE)
    assert found is not None
    return found[1].split("|")


class Miniature:
    """A recipe, a miniature of its corpus, and one folder of data and of results for all of its systems."""

    def __init__(self, name: str, folder: Path) -> None:
        self.recipe, self.exp, self.data = ROOT / "egs" / name, folder / "exp", folder / "data"
        self.options = [
            *CORPORA[name](folder / "corpus"),
            *("--conf", str(write_tiny_configs(self.recipe, folder / "conf"))),
            *("--data", str(self.data), "--exp", str(self.exp), "--procs", "1", "--jobs", "1", "--gpus", "0"),
        ]

    def run(self, *options: str) -> str:
        done = run(self.recipe, *self.options, *options)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        assert ("Successfully finished. [elapsed=" in done.stdout) == ("--dry_run" not in options)
        return done.stdout

    def check_up_to_date(self, *options: str) -> None:
        out = self.run(*options)
        steps = len(re.findall(r"^\+ ", out, re.MULTILINE))
        assert steps >= 7 and out.count(": up to date") == steps, out


def test_every_recipe_of_a_corpus_has_a_miniature() -> None:
    recipes = {path.parent.name for path in (ROOT / "egs").glob("*/run.sh")}
    assert recipes - {"custom", "mini"} == CORPORA.keys()


@pytest.mark.parametrize(
    ("name", "options", "row", "tasks", "config"),
    [
        ("fsc", "", "asr.intent", "intent", "asr/train"),
        ("fsc", "--task asr", "asr", "asr", "asr/train"),
        ("slue_voxceleb", "", "asr.sentiment", "sentiment", "asr/train"),
        ("slue_voxceleb", "--amount 1h", "asr.sentiment.1h", "sentiment", "asr/train"),
        ("slue_voxceleb", "--amount 1h --system nlu", "nlu.sentiment", "sentiment", "nlu/train"),
        ("slue_voxpopuli", "--system lasyn", "lasyn.ner", "ner", "lasyn/train.ner"),
        ("slue_voxpopuli", "--system lasyn --task asr", "lasyn.asr", "asr", "lasyn/train"),
        ("slurp", "", "asr.multi", "asr slu ner sentiment", "asr/train.multi"),
        ("slurp", "--task slu", "asr.slu", "slu", "asr/train"),
        ("stop", "--system lasyn --variant diffusion", "lasyn.diffusion.parse", "parse", "lasyn/train"),
    ],
)
def test_a_task_has_its_config_run_and_vocabulary(
    name: str, options: str, row: str, tasks: str, config: str, tmp_path: Path
) -> None:
    given = [*("--dry_run", "--corpus", "/some/corpus", "--data", str(tmp_path / "data")), *options.split()]
    done = run(ROOT / "egs" / name, *given)
    assert done.returncode == 0, done.stderr
    (train,) = (line for line in done.stdout.splitlines() if f"--out exp/{row}/seed1/train " in line)
    assert f"--objective.tasks {tasks} --out" in train and f"--config conf/{config}.yaml" in train
    assert (f"--targets.tasks {tasks} --labels" in done.stdout) == (tasks != "asr")
    assert ("--units exp/units " in train) == (tasks == "asr")


@pytest.mark.slow
@pytest.mark.parametrize("name", CORPORA)
def test_what_stage_1_advises_can_be_done(name: str, tmp_path: Path) -> None:
    recipe = ROOT / "egs" / name
    options = [
        *CORPORA[name](tmp_path / "corpus"),
        "--data",
        str(tmp_path / "data"),
        "--exp",
        str(tmp_path / "exp"),
    ]
    recordings = [
        path for path in (tmp_path / "corpus").rglob("*") if path.suffix in (".flac", ".wav", ".ogg")
    ]
    min(
        path for path in recordings if "train" in str(path) or "fine-tune" in str(path) or name == "slurp"
    ).unlink()
    stopped = run(recipe, "--stop_stage", "1", *options)
    assert stopped.returncode != 0 and "--fix true" in stopped.stdout + stopped.stderr
    assert "Traceback" not in stopped.stdout + stopped.stderr
    done = run(recipe, "--stop_stage", "1", "--fix", "true", *options)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert "1 left out: its audio is missing" in done.stdout
    # What run.sh has no option for: the command of the README, with the corpus alone.
    given = ["--corpus", options[1], "--out", str(tmp_path / "again"), "--fix", "true"]
    if name == "librispeech":
        given += ["--dev", "dev-clean", "--sets", "test-clean"]
    done = subprocess.run(
        ["local/prepare.py", *given], cwd=recipe, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert DataDir(tmp_path / "again" / "train").utts == DataDir(tmp_path / "data" / "train").utts


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CORPORA if name != "slue"])
def test_all_stages_run_on_the_miniature_for_each_system(name: str, tmp_path: Path) -> None:
    miniature = Miniature(name, tmp_path)
    for system in systems_of(miniature.recipe):
        out = miniature.run("--system", system)
        assert len(re.findall(r"^== .* stage \d", out, re.MULTILINE)) == 7
        (train,) = miniature.exp.glob(f"{system}*/seed1/train")
        for split in SETS.get(name, ["dev", "test"]):
            score = train / f"decode_joint_{split}" / "score.json"
            if (
                split == "test" and name in BLIND
            ):  # recognized, where there is something to read, and not scored
                assert not score.exists() or name == "slue_voxpopuli"
                assert score.parent.is_dir() == (system != "nlu" or name == "slue_voxpopuli")
                continue
            found = set(json.loads(score.read_text()))
            assert found == (METRICS[name] - {"wer", "cer"} if system == "nlu" else METRICS[name])
        table = (miniature.exp / "RESULTS.md").read_text()
        assert all(word in table for word in (train.parent.parent.name, SETS.get(name, ["dev"])[0]))
        assert (miniature.exp / "report.html").stat().st_size > 10_000
        miniature.check_up_to_date("--system", system)


@pytest.mark.slow
def test_the_speech_model_of_librispeech_begins_that_of_another_corpus(tmp_path: Path) -> None:
    first, second = Miniature("librispeech", tmp_path / "first"), Miniature("fsc", tmp_path / "second")
    units = tmp_path / "second" / "conf" / "units.yaml"
    units.write_text(yaml.safe_dump(yaml.safe_load(units.read_text()) | {"tokens": {"vocab_size": 40}}))
    first.run("--stop_stage", "3")
    trained = first.exp / "pretrain" / "seed1"
    out = second.run("--stop_stage", "3", "--init", str(trained))
    found = re.search(r"init: tokens: (\d+) of (\d+) are symbols of \S+/pretrain/seed1 as well", out)
    assert found is not None
    sizes = [len(load_units(run.exp / "units").tokens.symbols) for run in (first, second)]
    assert sizes[0] != sizes[1] == int(found[2]) >= int(found[1]) > 20
    assert "missing 0, unexpected 0" in out


@pytest.mark.slow
def test_both_corpora_of_slue_end_in_the_slue_score(tmp_path: Path) -> None:
    miniature = Miniature("slue", tmp_path)
    figures = {"wer", "cer", "slue_sa", "slue_ner"}
    out = miniature.run("--stop_stage", "5")
    out = miniature.run("--stage", "6", "--decoders", "greedy", "--sets", "dev")
    assert "slue: not scored: slue_sa in none of them" in out  # words with entities, and words
    for system in systems_of(miniature.recipe):
        out = miniature.run("--system", system)
        for split in ("dev", "test"):
            scores: dict[str, Any] = {}
            for part in ("voxceleb", "voxpopuli"):
                decoded = miniature.exp / f"{system}.{part}" / "seed1" / "train" / f"decode_joint_{split}"
                scores[part] = json.loads((decoded / "score.json").read_text())
            metrics = {metric for entries in scores.values() for metric in entries}
            together = miniature.exp / system / "seed1" / "train" / f"decode_joint_{split}" / "score.json"
            if system == "nlu":
                assert metrics == figures - {"wer", "cer"} and not together.exists()
                assert f"no SLUE score of {split}" in out
                continue
            assert metrics == figures
            figure = json.loads(together.read_text())["slue"]["figures"]["slue"]["value"]
            value = {
                (part, metric): entry["figures"][entry["main_figures"][0]]["value"]
                for part, entries in scores.items()
                for metric, entry in entries.items()
            }
            words = 100 - (value["voxceleb", "wer"] + value["voxpopuli", "wer"]) / 2
            mean = (words + value["voxceleb", "slue_sa"] + value["voxpopuli", "slue_ner"]) / 3
            assert figure == pytest.approx(mean)
        miniature.check_up_to_date("--system", system)
    assert "SLUE" in (miniature.exp / "RESULTS.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["slue", "slue_voxpopuli"])
def test_few_shot_draws_speech_and_keeps_all_labelled_text(name: str, tmp_path: Path) -> None:
    miniature = Miniature(name, tmp_path)
    options = ["--amount", "1min", "--stop_stage", "2", "--seed", "2"]
    miniature.run(*options)
    parts = ["_voxceleb", "_voxpopuli", ""] if name == "slue" else [""]
    drawn = [DataDir(miniature.data / "few" / f"train{part}_1min_seed2") for part in parts]
    for data, part in zip(drawn, parts, strict=True):
        whole = DataDir(miniature.data / f"train{part}")
        assert set(data.utts) < set(whole.utts)
        assert data.table("units") == {utt: whole.table("units")[utt] for utt in data.utts}
        assert sum(data.seconds.values()) <= 60 * (2 if name == "slue" and not part else 1)
    if name == "slue":
        assert {*drawn[2].utts} == {*drawn[0].utts} | {*drawn[1].utts}
    out = miniature.run("--system", "lasyn", "--dry_run", "--stage", "3", *options[:2], "--seed", "2")
    steps = [line for line in out.splitlines() if " --train " in line]
    assert len(steps) >= 3 and all("_1min_seed2 " in line for line in steps)
    assert f"--text {miniature.data}/t" in out and "exp/pretrain.1min/seed2" in out
    # Another draw does not undo this one, and nlu reads all there is.
    miniature.run("--amount", "1min", "--stop_stage", "2")
    miniature.run(*options)
    again = miniature.run(*options)
    assert again.count(": up to date") == len(re.findall(r"^\+ ", again, re.MULTILINE))
    assert "1min" not in miniature.run("--system", "nlu", "--dry_run", *options[:2])
