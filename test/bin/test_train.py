"""stxlib.bin.train and stxlib.bin.average on a tiny network and corpus: what they write, and what cannot stop them."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import time
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from stxlib.bin.average import main as average
from stxlib.bin.decode import main as decode
from stxlib.bin.project import main as project
from stxlib.bin.synthesize import main as synthesize
from stxlib.bin.tokenize import main as tokenize
from stxlib.bin.train import TOKEN_ROWS, UNIT_ROWS, main, stage_name
from stxlib.bin.transcribe import main as transcribe
from stxlib.data.data_dir import DataDir
from stxlib.data.tables import read_table, write_table
from stxlib.decode.recognizer import Recognizer
from stxlib.errors import ConfigError, DataError
from stxlib.models.causal_lm import CausalLMConfig
from stxlib.models.classifier import ClassifierConfig
from stxlib.models.networks import NetworkSizes, build_network
from stxlib.models.saved import read_saved
from stxlib.models.speech_to_text import SpeechToTextConfig
from stxlib.models.text_to_text import TextToTextConfig
from stxlib.nn.token_embedding import TokenEmbeddingConfig
from stxlib.text.saved import load_units
from stxlib.text.tokenizer import EOS, SOS

RATE = 16000
TONES = {"low": 300.0, "middle": 900.0, "high": 2700.0}
TINY = """
network:
  encoder: {conv_channels: 4, conformer: {num_layers: 1, dim: 16, num_heads: 2, ff_dim: 16}}
  backbone:
    conformer: {num_layers: 1, dim: 16, num_heads: 2, ff_dim: 16}
    decoder: {num_layers: 1, dim: 16, num_heads: 2, ff_dim: 16}
batches: {batch_seconds: 10, num_workers: 0}
trainer: {log_every: 1, eval_every: 4, save_every: 2}
device: cpu
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 12 utterances of 1 to 2 s in which a word is a tone, one of them too short for its words."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    for name, num_utts in (("train", 12), ("dev", 3)):
        (folder / name).mkdir()
        texts, waves = {}, {}
        for index in range(num_utts):
            words = rng.choice(list(TONES), size=rng.integers(2, 4)).tolist()
            samples = [
                0.1 * np.sin(2 * np.pi * TONES[word] * np.arange(int(0.6 * RATE)) / RATE) for word in words
            ]
            utt, path = f"{name}{index:02}", folder / name / f"{index}.wav"
            wave = np.concatenate(samples)
            soundfile.write(path, wave[:4000] if (name, index) == ("train", 0) else wave, RATE)
            texts[utt], waves[utt] = " ".join(words), str(path)
        write_table(folder / name / "text", texts)
        write_table(folder / name / "wav.scp", waves)
    (folder / "tiny.yaml").write_text(TINY)
    (folder / "units.yaml").write_text("tokens: {vocab_size: 20}\n")
    sets = [str(folder / name) for name in ("train", "dev")]
    texts_and_sets = ["--train", f"{sets[0]}/text", "--sets", *sets, "--out", str(folder / "units")]
    tokenize(["--config", str(folder / "units.yaml"), *texts_and_sets])
    return folder


def command(corpus: Path, out: Path, *options: str, steps: int = 8, config: Path | None = None) -> list[str]:
    """Return the words behind `stxlib.bin.train`."""
    paths = ["--train", corpus / "train", "--dev", corpus / "dev", "--units", corpus / "units", "--out", out]
    return [
        "--config",
        str(config or corpus / "tiny.yaml"),
        *map(str, paths),
        "--trainer.max_steps",
        str(steps),
        *options,
    ]


def start(words: list[str], *, processes: int = 1) -> subprocess.Popen[str]:
    launcher = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        if processes > 1
        else []
    )
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    whole = [sys.executable, *launcher, "-m", "stxlib.bin.train", *words]
    return subprocess.Popen(
        whole, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_a_run_leaves_all_that_decoding_needs(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pretrain" / "seed1"
    main(command(corpus, out))
    log = capsys.readouterr().out
    assert "pretrain command: " in log and "pretrain step 8/8 dev loss" in log
    assert "train: 1 of 12 utterances left out: fewer_frames_than_labels (train00)" in log
    assert read_table(out / "excluded") == {"train00": "fewer_frames_than_labels"}
    assert read_table(out / "excluded_dev") == {}
    moved = tmp_path / "elsewhere"
    out.rename(moved)
    recognizer = Recognizer.load(moved)
    with torch.no_grad():
        found = recognizer.recognize(torch.randn(2, RATE), torch.tensor([RATE, RATE // 2]))
        assert len(found.hypotheses["asr"]) == 2

    average(["--run", str(moved), "--num_best", "1", "--out", str(tmp_path / "best1")])
    average(["--run", str(moved), "--steps", "4", "8", "--out", str(tmp_path / "both")])
    weights = {name: load_file(tmp_path / name / "model.safetensors") for name in ("best1", "both")}
    kept = [load_file(moved / "best" / f"step000000{step}.safetensors") for step in (4, 8)]
    name = "unit_head.weight"
    mean = (kept[0][f"network.{name}"].double() + kept[1][f"network.{name}"].double()) / 2
    assert torch.equal(weights["both"][name], mean.float())
    assert any(torch.equal(weights["best1"][name], state[f"network.{name}"]) for state in kept)
    with pytest.raises(DataError, match="after step 5 were not kept; there are those after 4, 8"):
        average(["--run", str(moved), "--steps", "5", "--out", str(tmp_path / "no")])


@pytest.fixture(scope="module")
def labelled(corpus: Path) -> Path:
    """The same corpus with labels: an intent is the first word, a slot the last one; a vocabulary for them in `units.multi`."""
    folder = corpus / "labelled"
    for name in ("train", "dev"):
        (folder / name).mkdir(parents=True)
        texts = read_table(corpus / name / "text")
        for stream in ("text", "wav.scp", "units"):
            write_table(folder / name / stream, read_table(corpus / name / stream))
        intents = {utt: f"play_{text.split()[0]}" for utt, text in texts.items()}
        slots = {utt: [{"type": "tone", "filler": text.split()[-1]}] for utt, text in texts.items()}
        frames = {utt: json.dumps({"intent": intents[utt], "slots": slots[utt]}) for utt in texts}
        write_table(folder / name / "intent", intents)
        write_table(folder / name / "semantics", frames)
        write_table(folder / name / "entities", {utt: json.dumps(slots[utt]) for utt in texts})
        write_table(
            folder / name / "sentiment",
            {utt: "loud" if "high" in text else "calm" for utt, text in texts.items()},
        )
    tasks = ["--targets.tasks", "asr", "intent", "slu", "ner", "sentiment"]
    sets = ["--base", str(corpus / "units"), "--labels", str(folder / "train"), "--sets", str(folder / "dev")]
    tokenize([*sets, *tasks, "--out", str(folder / "units")])
    return folder


def understanding(labelled: Path, out: Path, *options: str) -> list[str]:
    paths = [
        "--train",
        labelled / "train",
        "--dev",
        labelled / "dev",
        "--units",
        labelled / "units",
        "--out",
        out,
    ]
    return [
        *map(str, paths),
        "--device",
        "cpu",
        "--trainer.max_steps",
        "4",
        "--trainer.eval_every",
        "4",
        *options,
    ]


def decoded(model: Path, data: Path, out: Path, *options: str) -> dict[str, dict[str, str]]:
    decode(["--model", str(model), "--data", str(data), "--out", str(out), "--device", "cpu", *options])
    names = [
        name for name in ("text", "intent", "semantics", "entities", "sentiment") if (out / name).exists()
    ]
    return {name: read_table(out / name, allow_empty=True) for name in names}


def test_a_recognizer_learns_more_tasks_with_a_vocabulary_that_grows(
    corpus: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    main(command(corpus, first, steps=2))
    tiny = ["--config", str(corpus / "tiny.yaml"), "--freeze", "encoder.*", "--init", str(first)]
    main(understanding(labelled, second, *tiny, "--objective.tasks", "asr", "slu", "ner", "sentiment"))
    log = capsys.readouterr().out
    assert "init: rows of new symbols start anew: backbone.ctc.weight" in log and "init: tokens" not in log
    assert "slu_accuracy" in log and "sentiment_accuracy" in log
    before, after = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    size = len(before["backbone.ctc.weight"])
    assert size == load_units(corpus / "units").tokens.vocab_size
    assert len(after["backbone.ctc.weight"]) == load_units(labelled / "units").tokens.vocab_size > size + 8
    streams = decoded(second, labelled / "dev", tmp_path / "decode")
    assert streams.keys() == {"text", "intent", "semantics", "entities", "sentiment"}
    utts = read_table(labelled / "dev" / "text").keys()
    assert all(table.keys() == utts for table in streams.values())
    assert {path.name for path in (tmp_path / "decode").glob("nbest*")} == {
        "nbest",
        "nbest.slu",
        "nbest.ner",
        "nbest.sentiment",
    }
    wave = read_table(labelled / "dev" / "wav.scp")["dev00"]
    capsys.readouterr()
    transcribe(
        ["--model", str(second), "--labels", "true", "--decoder.kind", "default", "--device", "cpu", wave]
    )
    path, understood = capsys.readouterr().out.rstrip("\n").split("\t")
    assert path == wave
    assert json.loads(understood) == {stream: table["dev00"] for stream, table in streams.items()}
    # Decoded again for words alone, what was understood before is gone.
    assert decoded(first, labelled / "dev", tmp_path / "decode").keys() == {"text"}
    assert not list((tmp_path / "decode").glob("nbest.?*"))
    greedy = decoded(second, labelled / "dev", tmp_path / "greedy", "--decoder.kind", "ctc_greedy")
    assert greedy.keys() == {"text"}


def test_words_are_read_before_meaning_is_written(corpus: Path, labelled: Path, tmp_path: Path) -> None:
    first, out = tmp_path / "first", tmp_path / "run"
    main(command(corpus, first, steps=2))
    tiny = ["--config", str(corpus / "tiny.yaml"), "--init", str(first), "--objective.words_first", "true"]
    main(understanding(labelled, out, *tiny, "--objective.tasks", "slu", "asr"))
    decoded(out, labelled / "dev", tmp_path / "decode")
    recognizer = Recognizer.load(out)
    starts = recognizer._starts
    words = {
        line["utt"]: line["hypotheses"][0]["tokens"]
        for line in map(json.loads, (tmp_path / "decode" / "nbest.asr").open())
    }
    for line in map(json.loads, (tmp_path / "decode" / "nbest").open()):
        wave = torch.from_numpy(DataDir(labelled / "dev").load_wave(line["utt"], RATE))
        with torch.no_grad():
            encoded, lens = recognizer.network.encode(wave[None], torch.tensor([len(wave)]))
            written = line["hypotheses"][0]["tokens"]
            before = [starts["asr"], *words[line["utt"]], starts["slu"]]
            read = torch.tensor([[*before, *written]])
            log_probs = recognizer.network.backbone.decoder_logits(
                encoded, lens, read, torch.tensor([read.shape[1]])
            )[0].log_softmax(1)[len(before) - 1 :]
        score = sum(float(row[token]) for row, token in zip(log_probs, [*written, EOS], strict=True))
        assert line["hypotheses"][0]["score"] == pytest.approx(score, abs=1e-3)


def test_ctc_writes_tags_among_the_words(corpus: Path, labelled: Path, tmp_path: Path) -> None:
    first, out = tmp_path / "first", tmp_path / "run"
    main(command(corpus, first, steps=2))
    tiny = ["--config", str(corpus / "tiny.yaml"), "--init", str(first), "--objective.ctc_task", "ner"]
    main(understanding(labelled, out, *tiny, "--objective.tasks", "ner"))
    assert (
        len(load_file(out / "model.safetensors")["backbone.ctc.weight"])
        == load_units(labelled / "units").tokens.vocab_size
    )
    for kind in ("ctc_greedy", "joint_beam"):
        streams = decoded(out, labelled / "dev", tmp_path / kind, "--decoder.kind", kind)
        assert streams.keys() == {"text", "entities"}
    # The decoder may write words while CTC tags them: the vocabulary is the larger one then, too.
    main(understanding(labelled, tmp_path / "both", *tiny, "--objective.tasks", "asr"))
    recognizer = Recognizer.load(tmp_path / "both")
    assert recognizer._starts["asr"] == recognizer.units.tokens.symbols.index("<asr>")
    assert Recognizer.load(first)._starts["asr"] == SOS
    with pytest.raises(ConfigError, match="objective.tasks: ner: the vocabulary .* was made for asr"):
        main([*command(corpus, tmp_path / "no"), "--objective.ctc_task", "ner"])


def test_a_network_of_ctc_alone_is_read_by_it(corpus: Path, tmp_path: Path) -> None:
    main(command(corpus, tmp_path / "run", "--objective.ctc_weight", "1", steps=2))
    assert decoded(
        tmp_path / "run", corpus / "dev", tmp_path / "out", "--decoder.kind", "default"
    ).keys() == {"text"}
    assert "ctc_greedy" in (tmp_path / "out" / "summary.json").read_text()
    with pytest.raises(
        ConfigError, match="the attention decoder of this network was not trained; give ctc_greedy"
    ):
        decoded(tmp_path / "run", corpus / "dev", tmp_path / "out")


def test_one_backbone_learns_from_speech_and_from_latents_made_of_text(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, text, made, run = (tmp_path / name for name in ("first", "text", "synthesis", "run"))
    main(command(corpus, first, steps=2))
    text.mkdir()
    for stream in ("text", "units"):
        table = read_table(corpus / "train" / stream)
        write_table(text / stream, {f"text{utt}": value for utt, value in table.items()})
    project(["--model", str(first), "--train", str(corpus / "train"), "--out", str(made), "--device", "cpu"])
    tiny = tmp_path / "tiny.yaml"
    tiny.write_text(
        TINY.replace(
            "batches: {batch_seconds: 10, num_workers: 0}",
            "objective: {kind: latent_synthesis}\nbatches: {kind: mixed, speech: {batch_seconds: 10, num_workers: 0}}",
        )
    )
    capsys.readouterr()
    options = ["--init", str(first)]
    with_text = ["--text", str(text), "--synthesizer", str(made)]
    main(command(corpus, run, *options, *with_text, config=tiny))
    log = capsys.readouterr().out
    assert "text_attention" in log and "text_ctc" in log and "frozen" in log
    before, after = load_file(first / "model.safetensors"), load_file(run / "model.safetensors")
    assert before.keys() == after.keys()  # what decodes is a recognizer like any other
    for name in before:
        is_frozen = name.startswith(("encoder.", "unit_head."))
        assert torch.equal(before[name], after[name]) == is_frozen, name
    assert decoded(run, corpus / "dev", tmp_path / "decode").keys() == {"text"}
    synthesize(["--model", str(made), "--data", str(text), "--out", str(made / "latents"), "--device", "cpu"])
    summary = made / "latents" / "summary.json"
    right = summary.read_text()
    summary.write_text(right.replace('"model_hash": "', '"model_hash": "0'))
    with pytest.raises(
        ConfigError, match="--latents .*: were made by another synthesizer than --synthesizer"
    ):
        main(
            command(
                corpus,
                tmp_path / "wrong",
                *options,
                *with_text,
                "--latents",
                str(made / "latents"),
                config=tiny,
            )
        )
    summary.write_text(right)
    unheard = ["--batches.unheard_ratio", "2"]
    stored = [*options, *with_text, "--latents", str(made / "latents")]
    main(command(corpus, tmp_path / "stored", *stored, *unheard, config=tiny))
    of_stored = capsys.readouterr().out
    assert "sentences in 1 versions" in of_stored
    main(command(corpus, tmp_path / "unheard", *options, *with_text, *unheard, config=tiny))
    for told in (of_stored, capsys.readouterr().out):
        assert "unheard_attention" in told and "; unheard " in told
    assert "unheard" not in log.replace("unheard_ratio", "").replace("unheard_weight", "")
    for wrong, told in (
        ([*options, "--text", str(text)], "--synthesizer: not given"),
        ([*options, "--synthesizer", str(made)], "--text: not given"),
        ([*options, "--text", str(text), "--synthesizer", str(first)], "which makes no latents"),
    ):
        with pytest.raises(ConfigError, match=told):
            main(command(corpus, tmp_path / "wrong", *wrong, config=tiny))
    shutil.copytree(text, tmp_path / "other_text")
    write_table(tmp_path / "other_text" / "units", dict.fromkeys(read_table(text / "units"), "?"))
    with pytest.raises(
        DataError, match="other_text/units: no unit is one that the network knows; run stage 2"
    ):
        other_text = ["--text", str(tmp_path / "other_text"), "--synthesizer", str(made)]
        main(command(corpus, tmp_path / "wrong", *options, *other_text, config=tiny))
    second = tmp_path / "second"
    main(command(corpus, second, "--seed", "2", steps=1))
    with pytest.raises(ConfigError, match="was made for another speech encoder"):
        main(command(corpus, tmp_path / "wrong", "--init", str(second), *with_text, config=tiny))
    with pytest.raises(ConfigError, match="was made for another speech encoder"):
        main(command(corpus, tmp_path / "wrong", *with_text, config=tiny))
    with pytest.raises(ConfigError, match="give batches.kind mixed"):
        main(
            command(corpus, tmp_path / "wrong", "--objective.kind", "latent_synthesis", *options, *with_text)
        )
    with pytest.raises(ConfigError, match="has no use for it"):
        main(command(corpus, tmp_path / "wrong", "--synthesizer", str(made)))


def test_sets_of_latent_synthesis_may_lack_tasks_and_each_says_so(
    corpus: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, text, made, run = (tmp_path / name for name in ("first", "text", "synthesis", "run"))
    main(command(corpus, first, steps=2))
    project(["--model", str(first), "--train", str(corpus / "train"), "--out", str(made), "--device", "cpu"])
    bare = tmp_path / "bare"
    bare.mkdir()
    for stream in ("text", "wav.scp", "units"):
        write_table(bare / stream, read_table(labelled / "dev" / stream))
    text.mkdir()
    for stream in ("text", "units"):
        table = read_table(labelled / "train" / stream)
        write_table(text / stream, {f"text{utt}": value for utt, value in table.items()})
    tiny = tmp_path / "tiny.yaml"
    tiny.write_text(
        TINY.replace(
            "batches: {batch_seconds: 10, num_workers: 0}",
            "objective: {kind: latent_synthesis, tasks: [asr, slu]}\nbatches: {kind: mixed, speech: {batch_seconds: 10, num_workers: 0}}",
        )
    )
    capsys.readouterr()
    given = ["--config", str(tiny), "--init", str(first), "--text", str(text), "--synthesizer", str(made)]
    main(understanding(labelled, run, "--dev", str(bare), *given))
    log = capsys.readouterr().out
    assert f"{bare}: slu: no stream semantics" in log and "slu is not judged on it" in log
    assert f"{text}: slu: no stream semantics" in log and "slu is not learnt from it" in log
    assert " slu_accuracy" in log and "text_slu_accuracy" not in log
    # The CTC alone has something to learn of this text.
    options = ["--objective.tasks", "slu", "--batches.unheard_ratio", "2"]
    main(understanding(labelled, tmp_path / "slu", "--dev", str(labelled / "dev"), *given, *options))
    log = capsys.readouterr().out
    assert "text_ctc" in log and "text_slu_accuracy" not in log and "unheard_attention" not in log


def test_text_is_understood_without_audio(labelled: Path, tmp_path: Path) -> None:
    yaml = tmp_path / "nlu.yaml"
    block = "{num_layers: 1, dim: 16, num_heads: 2, ff_dim: 16}"
    yaml.write_text(
        f"network: {{kind: text_to_text, embedding: {{dim: 16}}, backbone: {{conformer: {block}, decoder: {block}}}}}\n"
        "objective: {kind: text_to_text, tasks: [slu, sentiment]}\nbatches: {kind: text, batch_tokens: 60}\n"
    )
    only_text = tmp_path / "only_text"
    only_text.mkdir()
    for stream in ("text", "semantics", "sentiment"):
        table = read_table(labelled / "train" / stream)
        write_table(only_text / stream, {f"text-{utt}": value for utt, value in table.items()})
    main(understanding(labelled, tmp_path / "run", "--config", str(yaml), "--text", str(only_text)))
    assert f"{labelled / 'train'} {only_text}: " in (tmp_path / "run" / "train.log").read_text()
    streams = decoded(tmp_path / "run", only_text, tmp_path / "decode", "--num_jobs", "2")
    assert streams.keys() == {"intent", "semantics", "sentiment"}
    assert all(len(table) == 12 for table in streams.values())
    one = decoded(tmp_path / "run", only_text, tmp_path / "alone")
    assert one == streams
    with pytest.raises(DataError, match="has no text, and the network reads text"):
        write_table(tmp_path / "silent" / "wav.scp", {"a": "a.wav"})
        decoded(tmp_path / "run", tmp_path / "silent", tmp_path / "none")


@pytest.mark.parametrize("reads", ["speech", "text"])
def test_a_pooled_classifier(corpus: Path, labelled: Path, tmp_path: Path, reads: str) -> None:
    yaml = tmp_path / "pooled.yaml"
    block = "{num_layers: 1, dim: 16, num_heads: 2, ff_dim: 16}"
    encoder = f"{{conv_channels: 4, conformer: {block}}}" if reads == "speech" else "{kind: tokens, dim: 16}"
    batches = "{batch_seconds: 10, num_workers: 0}" if reads == "speech" else "{kind: text, batch_tokens: 60}"
    yaml.write_text(
        f"network: {{kind: classifier, encoder: {encoder}, conformer: {block}, hidden_dim: 8}}\n"
        f"objective: {{kind: classification, tasks: [intent, sentiment]}}\nbatches: {batches}\n"
    )
    init = []
    if reads == "speech":
        main(command(corpus, tmp_path / "first", steps=2))
        rename = ["backbone.norm=norm", "backbone.linear=linear", "backbone.conformer=conformer"]
        include = ["encoder.*", "norm.*", "linear.*", "conformer.*"]
        init = [
            "--init",
            str(tmp_path / "first"),
            "--init_patterns.rename",
            *rename,
            "--init_patterns.include",
            *include,
        ]
    main(understanding(labelled, tmp_path / "run", "--config", str(yaml), *init))
    streams = decoded(tmp_path / "run", labelled / "dev", tmp_path / "decode", "--decoder.kind", "classes")
    assert streams.keys() == {"intent", "sentiment"}
    assert set(streams["intent"].values()) <= {f"play_{tone}" for tone in TONES}
    nbest = [json.loads(line) for line in (tmp_path / "decode" / "nbest.sentiment").read_text().splitlines()]
    for line in nbest:
        assert sum(math.exp(one["score"]) for one in line["hypotheses"]) == pytest.approx(1, abs=1e-4)
    with pytest.raises(
        ConfigError, match="decoder.kind joint_beam: cannot read a network of kind classifier; give classes"
    ):
        decoded(tmp_path / "run", labelled / "dev", tmp_path / "decode")


def test_what_does_not_fit_together_is_told(corpus: Path, labelled: Path, tmp_path: Path) -> None:
    tiny = ["--config", str(corpus / "tiny.yaml")]
    with pytest.raises(
        ConfigError, match=r"objective.tasks: slu: the vocabulary .* was made for asr; add slu to"
    ):
        main([*command(corpus, tmp_path / "a"), "--objective.tasks", "slu"])
    with pytest.raises(
        ConfigError, match=r"objective.kind text_to_text cannot train network.kind speech_to_text"
    ):
        main(understanding(labelled, tmp_path / "b", *tiny, "--objective.kind", "text_to_text"))
    with pytest.raises(ConfigError, match=r"--text .*: this objective learns from speech alone"):
        main(understanding(labelled, tmp_path / "c", *tiny, "--text", str(labelled / "dev")))
    (bare := tmp_path / "bare").mkdir()
    for stream in ("text", "wav.scp", "units"):
        write_table(bare / stream, read_table(corpus / "dev" / stream))
    with pytest.raises(
        ConfigError, match=r"bare: slu: no stream semantics.*; label this set, or leave it out"
    ):
        main(understanding(labelled, tmp_path / "d", *tiny, "--objective.tasks", "slu", "--dev", str(bare)))
    write_table(bare / "semantics", {"dev00": "{}", "dev01": '{"slots": 3}', "dev02": "{}"})
    with pytest.raises(DataError, match=r"bare/semantics:2: utterance 'dev01': slu: .*; correct the label"):
        main(understanding(labelled, tmp_path / "e", *tiny, "--objective.tasks", "slu", "--dev", str(bare)))
    with pytest.raises(ConfigError, match=r"is a data directory, whose tables would be overwritten"):
        decode(["--model", str(tmp_path), "--data", str(labelled / "dev"), "--out", str(bare)])


def test_a_run_begins_with_another_and_its_frozen_part_stays(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    main(command(corpus, first, steps=2))
    main(command(corpus, second, "--init", str(first), "--freeze", "encoder.*", steps=2))
    before, after = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"backbone", "unit_head"}
    log = capsys.readouterr().out
    assert "missing 0, unexpected 0, frozen" in log and "start anew" not in log
    with pytest.raises(ConfigError, match="matches none"):
        main(command(corpus, tmp_path / "third", "--init", str(first), "--init_patterns.include", "encodr.*"))


def test_sizes_need_not_be_said_again(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = tmp_path / "first", tmp_path / "second", tmp_path / "third"
    main(command(corpus, first, steps=2))
    bare = tmp_path / "bare.yaml"
    bare.write_text(TINY[TINY.index("batches:") :])
    capsys.readouterr()
    main(command(corpus, second, "--init", str(first), steps=1, config=bare))
    log = capsys.readouterr().out
    assert f"config: network.backbone.decoder.dim = 16  ({first / 'network.yaml'})" in log
    assert read_saved(second).network == read_saved(first).network
    # What is said goes first, and of a part that is not taken over nothing is.
    others = ["--init_patterns.exclude", "backbone.*", "--network.backbone.conformer.num_layers", "2"]
    sizes = ["--network.backbone.conformer.dim", "8", "--network.backbone.decoder.dim", "8"]
    main(command(corpus, third, "--init", str(first), *others, *sizes, steps=1, config=bare))
    found = read_saved(third).network
    assert isinstance(found, SpeechToTextConfig)
    assert found.encoder == read_saved(first).network.encoder  # type: ignore[union-attr]
    assert (found.backbone.conformer.num_layers, found.backbone.decoder.num_layers) == (2, 2)


def test_sizes_that_do_not_go_with_those_that_were_taken_over_say_where_these_are_from(
    corpus: Path, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    main(command(corpus, first, steps=2))
    bare = tmp_path / "bare.yaml"
    bare.write_text(TINY[TINY.index("batches:") :])
    given = ["--network.encoder.conformer.num_heads", "6"]
    with pytest.raises(
        ConfigError,
        match=r"network\.encoder\.conformer\.dim: .*not given is taken from .*first/network\.yaml",
    ):
        main(command(corpus, tmp_path / "second", "--init", str(first), *given, config=bare))


def test_every_tensor_with_a_row_for_a_symbol_is_known() -> None:
    sizes = NetworkSizes(vocab_size=61, num_units=53, num_classes=(3,), latent_dim=7)
    seen: set[str] = set()
    for config in (
        SpeechToTextConfig(),
        TextToTextConfig(),
        CausalLMConfig(),
        ClassifierConfig(),
        ClassifierConfig(encoder=TokenEmbeddingConfig()),
    ):
        for name, tensor in build_network(config, sizes, ("intent",)).state_dict().items():
            rows = tensor.shape[:1]
            assert (rows == (61,)) == any(fnmatchcase(name, pattern) for pattern in TOKEN_ROWS), name
            assert (rows == (53,)) == any(fnmatchcase(name, pattern) for pattern in UNIT_ROWS), name
            seen |= {name} if rows in ((61,), (53,)) else set()
    assert len(seen) == 11, seen


def test_a_run_begins_with_one_of_another_corpus_symbol_by_symbol(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What both write is taken over, whatever row it had; other symbols start anew."""
    first, second, other = tmp_path / "first", tmp_path / "second", tmp_path / "other"
    main(command(corpus, first, steps=2))
    for name in ("train", "dev"):
        write_table(other / name / "wav.scp", read_table(corpus / name / "wav.scp"))
        texts = read_table(corpus / name / "text")
        write_table(other / name / "text", {utt: f"a {text}" for utt, text in texts.items()})
    shutil.copy(corpus / "tiny.yaml", other)
    sets = [str(other / name) for name in ("train", "dev")]
    options = ["--tokens.vocab_size", "18", "--train", f"{sets[0]}/text", "--sets", *sets]
    tokenize([*options, "--out", str(other / "units")])
    capsys.readouterr()
    still = ["--trainer.optimizer.lr", "1e-12"]
    main(command(other, second, "--init", str(first), *still, steps=1))
    log = capsys.readouterr().out
    theirs, ours = load_units(corpus / "units"), load_units(other / "units")
    before, after = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    for name, known, symbols, title in (
        ("backbone.ctc.weight", theirs.tokens.symbols, ours.tokens.symbols, "tokens"),
        ("backbone.decoder.embedding.weight", theirs.tokens.symbols, ours.tokens.symbols, "tokens"),
        ("backbone.decoder.out.bias", theirs.tokens.symbols, ours.tokens.symbols, "tokens"),
        ("unit_head.weight", theirs.units.symbols, ours.units.symbols, "units"),
    ):
        both = [symbol for symbol in symbols if symbol in known]
        assert 4 < len(both) < len(symbols) and len(symbols) != len(known)
        assert f"init: {title}: {len(both)} of {len(symbols)} are symbols of {first} as well" in log
        for symbol in both:
            row, was = after[name][symbols.index(symbol)], before[name][known.index(symbol)]
            assert torch.allclose(row, was, atol=1e-6)
    assert "init: rows of new symbols start anew: unit_head.weight" in log


def test_a_set_without_units_says_which_stage_makes_them(corpus: Path, tmp_path: Path) -> None:
    words = command(corpus, tmp_path / "out")
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("text", "wav.scp"):
        (bare / name).write_text((corpus / "dev" / name).read_text())
    words[words.index("--dev") + 1] = str(bare)
    with pytest.raises(ConfigError, match="bare: no stream units; run stage 2"):
        main(words)


def test_the_stage_names_the_lines_of_the_log() -> None:
    assert stage_name(Path("exp/pretrain/seed1")) == "pretrain"
    assert stage_name(Path("exp/asr/seed1/train")) == "train"


@pytest.mark.slow
def test_killed_at_any_point_the_same_command_gives_the_same_bits(corpus: Path, tmp_path: Path) -> None:
    main(command(corpus, tmp_path / "straight", "--batches.num_workers", "1", steps=30))
    words = command(corpus, tmp_path / "killed", "--batches.num_workers", "1", steps=30)
    process = start(words)
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed" / "checkpoint.backup.safetensors").exists():
        assert process.poll() is None and time.monotonic() < deadline, (
            "the run ended before it could be killed"
        )
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    # As if the machine had gone down in the middle of a write.
    newest = tmp_path / "killed" / "checkpoint.safetensors"
    newest.write_bytes(newest.read_bytes()[:1000])
    process = start(words)
    log, _ = process.communicate(timeout=240)
    assert process.returncode == 0, log
    assert "backup" in log and "resumes at step" in log
    assert (tmp_path / "killed" / "model.safetensors").read_bytes() == (
        tmp_path / "straight" / "model.safetensors"
    ).read_bytes()


@pytest.mark.slow
def test_two_processes_make_the_updates_of_one(corpus: Path, tmp_path: Path) -> None:
    options = ["--trainer.ema_decay", "0", "--trainer.average_best", "1"]
    dropout = [
        f"--network.{part}.dropout=0"
        for part in ("encoder.conformer", "backbone.conformer", "backbone.decoder")
    ]
    main(command(corpus, tmp_path / "one", *options, *dropout, steps=3))
    process = start(command(corpus, tmp_path / "two", *options, *dropout, steps=3), processes=2)
    log, _ = process.communicate(timeout=240)
    assert process.returncode == 0, log
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("reads", ["speech", "text"])
def test_several_tasks_are_learnt_by_two_processes_as_by_one(
    corpus: Path, labelled: Path, tmp_path: Path, reads: str
) -> None:
    """Speech with words first and a frozen encoder; text: both with parts that are not trained."""
    yaml = tmp_path / "config.yaml"
    block = "{num_layers: 1, dim: 16, num_heads: 2, ff_dim: 16, dropout: 0}"
    backbone = f"backbone: {{conformer: {block}, decoder: {block}}}"
    trainer = "trainer: {max_steps: 3, ema_decay: 0, average_best: 1}\n"
    yaml.write_text(
        trainer
        + (
            f"network: {{encoder: {{conv_channels: 4, conformer: {block}}}, {backbone}}}\n"
            "objective: {tasks: [asr, slu, sentiment], words_first: true, unit_ctc_weight: 0}\n"
            "freeze: [encoder.*]\nbatches: {batch_seconds: 10, num_workers: 0}\n"
            if reads == "speech"
            else f"network: {{kind: text_to_text, embedding: {{dim: 16}}, {backbone}}}\n"
            "objective: {kind: text_to_text, tasks: [slu, sentiment]}\nbatches: {kind: text, batch_tokens: 60}\n"
        )
    )
    paths = {"train": labelled / "train", "dev": labelled / "dev", "units": labelled / "units"}
    words = ["--config", str(yaml), "--device", "cpu"]
    words += [word for name, path in paths.items() for word in (f"--{name}", str(path))]
    main([*words, "--out", str(tmp_path / "one")])
    process = start([*words, "--out", str(tmp_path / "two")], processes=2)
    log, _ = process.communicate(timeout=240)
    assert process.returncode == 0, log
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=2e-5)
