"""stxlib.bin.project: what it writes and says, and that a speech model reads the units in what its projection makes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from toy_network import speech

from stxlib.bin.project import main
from stxlib.config import load_config
from stxlib.data.tables import write_table
from stxlib.errors import ConfigError, DataError
from stxlib.models.classifier import ClassifierConfig
from stxlib.models.fixed_projection import FixedProjection, FixedProjectionConfig
from stxlib.models.networks import NetworkSizes, build_network
from stxlib.models.saved import SavedConfig, load_network, save_network
from stxlib.models.saved_synthesizer import load_synthesizer
from stxlib.models.speech_to_text import SpeechToText
from stxlib.ops.ctc_path import best_paths
from stxlib.text.phones import UnitVocabulary
from stxlib.text.saved import load_units

RATE = 16000
SYMBOLS = 6  # of the model's units, in the text of the set


def tones(units: list[int], seed: int) -> np.ndarray:
    """Return a tone of its own for each unit, 160 ms long, with 80 ms of near silence after it."""
    random = np.random.default_rng(seed)
    time = np.arange(round(0.16 * RATE)) / RATE
    parts = [np.zeros(round(0.08 * RATE))]
    for unit in units:
        parts += [0.3 * np.sin(2 * np.pi * 250 * 1.5 ** (unit - 4) * time), np.zeros(round(0.08 * RATE))]
    wave = np.concatenate(parts)
    return (wave + 0.01 * random.standard_normal(len(wave))).astype(np.float32)


def spelt(vocabulary: UnitVocabulary) -> dict[str, list[int]]:
    """Units of eight utterances, ids 4 to 9."""
    random = np.random.default_rng(0)
    return {f"u{i}": random.integers(4, 4 + SYMBOLS, 5).tolist() for i in range(8)}


@pytest.fixture(scope="module")
def data(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight utterances of tones, one too short for its units, and one without a file."""
    folder = tmp_path_factory.mktemp("data")
    vocabulary = load_units(model / "units").units
    units = spelt(vocabulary)
    for seed, (utt, ids) in enumerate(units.items()):
        soundfile.write(folder / f"{utt}.wav", tones(ids, seed), RATE)
    soundfile.write(folder / "short.wav", speech(0.25, 1), RATE)
    write_table(folder / "wav.scp", {utt: str(folder / f"{utt}.wav") for utt in (*units, "short")})
    table = {utt: " ".join(vocabulary.decode(ids)) for utt, ids in {**units, "short": [4] * 9}.items()}
    write_table(folder / "units", table)
    return folder


Project = Callable[..., Path]


@pytest.fixture
def project(model: Path, data: Path, tmp_path: Path) -> Project:
    def run(*options: str, out: str = "out", model: Path = model, data: Path = data) -> Path:
        given = ["--model", str(model), "--train", str(data), "--out", str(tmp_path / out)]
        main([*given, "--device", "cpu", "--num_workers", "0", "--passes", "2", *options])
        return tmp_path / out

    return run


def test_what_is_written_and_said(
    project: Project, model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = project("--synthesizer.noise", "0.25")
    told = capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == [
        "config.yaml",
        "excluded",
        "model.safetensors",
        "network.yaml",
        "summary.json",
        "units",
    ]
    assert (out / "excluded").read_text() == "short fewer_frames_than_labels\n"
    assert "1 of 9 utterances left out: fewer_frames_than_labels (short)" in told
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["num_utts"], summary["num_units"]) == (16, 80)
    assert summary["frames_per_unit"] == pytest.approx(summary["num_frames"] / 80)
    assert 0 < summary["explained_by_rows"] < summary["explained_with_context"] < 1
    vocabulary = load_units(model / "units").units
    seen = {symbol for line in (data / "units").read_text().splitlines() for symbol in line.split()[1:]}
    unseen = [symbol for symbol in vocabulary.symbols[2:] if symbol not in seen]
    assert summary["unseen_units"] == unseen
    assert f"passes: 16 utterances, {summary['num_frames']} latents, 80 units" in told
    assert f"WARNING: {len(unseen)} units never occur ({unseen[0]} " in told
    saved = load_config(SavedConfig, out / "network.yaml")
    assert saved.tasks == () and saved.ctc_task == ""
    assert saved.network == FixedProjectionConfig(noise=0.25)
    assert saved.sizes == NetworkSizes(
        vocab_size=load_network(model)[0].state_dict()["backbone.ctc.weight"].shape[0],
        num_units=vocabulary.vocab_size,
        latent_dim=16,
    )
    synthesizer = load_synthesizer(out)
    assert isinstance(synthesizer, FixedProjection)
    latents, lens = synthesizer.sample(torch.tensor([[4, 5]]), torch.tensor([2]), torch.tensor([1]))
    assert latents.shape == (1, int(lens[0]), 16) and int(lens[0]) >= 2


@pytest.mark.parametrize("kind", ["residuals", "gaussian"])
@pytest.mark.parametrize("rows", ["prototype", "ctc", "random"])
def test_noise_is_as_large_as_what_means_leave_whatever_the_rows(
    project: Project, rows: str, kind: str
) -> None:
    folder = project("--synthesizer.rows", rows, "--synthesizer.noise_kind", kind)
    noisy = load_synthesizer(folder)
    assert isinstance(noisy, FixedProjection)
    units, lens, seeds = torch.randint(4, 10, (200, 5)), torch.full((200,), 5), torch.arange(200)
    segments = noisy.durations(units, lens, seeds)
    latents, latent_lens = noisy.sample_segments(segments, seeds)
    means, state, _ = noisy.means(segments)
    valid = torch.arange(latents.shape[1]) < latent_lens[:, None]
    noise = ((latents - means) / noisy.deviations[state])[valid]
    # Eight utterances were seen; the pass that collects residuals heard them with other speeds and noise than those of the means.
    assert float(noise.square().mean()) == pytest.approx(1.05, abs=0.2)
    assert float(noise.square().mean(0).max()) < 2


def test_units_are_taken_for_others_in_what_is_made_of_text(project: Project) -> None:
    mishearing, right = (load_synthesizer(project("--synthesizer.mishearing.scale", scale)) for scale in "20")
    units, lens, seeds = torch.randint(4, 10, (200, 5)), torch.full((200,), 5), torch.arange(200)
    assert torch.equal(right.durations(units, lens, seeds).units[:, 1:], units)
    heard = mishearing.durations(units, lens, seeds).units[:, 1:]
    assert heard.shape == units.shape and not torch.equal(heard, units)
    latents, latent_lens = mishearing.sample(units, lens, seeds)
    assert torch.equal(latent_lens, mishearing.durations(units, lens, seeds).frame_lens)
    assert latents.shape[1] == int(latent_lens.max())


def test_a_rerun_writes_the_same_bytes(project: Project) -> None:
    folders = [project(out="one"), project("--num_workers", "1", out="two")]
    project(out="one")  # over itself
    for name in ("model.safetensors", "network.yaml", "summary.json", "excluded"):
        first, second = ((folder / name).read_bytes() for folder in folders)
        assert first == second, name
    other = project("--seed", "2", out="three")
    assert (other / "model.safetensors").read_bytes() != (folders[0] / "model.safetensors").read_bytes()


def test_what_is_wrong_is_said(project: Project, model: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="passes: 0; expected 1 or more"):
        project("--passes", "0")
    with pytest.raises(ConfigError, match="batch_seconds: -1; give a number above 0"):
        project("--batch_seconds", "-1")
    with pytest.raises(ConfigError, match="num_workers: -1; expected 0 or more"):
        project("--num_workers", "-1")
    with pytest.raises(DataError, match="network.yaml: not there"):
        project(model=tmp_path)
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "wav.scp").write_bytes((data / "wav.scp").read_bytes())
    with pytest.raises(ConfigError, match="no stream units; run stage 2"):
        project(data=bare)
    write_table(bare / "units", dict.fromkeys((*spelt(UnitVocabulary.of([])), "short"), "no such units"))
    with pytest.raises(
        DataError, match=r"bare/units: no unit is one that the network knows; run stage 2 \(units\) with its"
    ):
        project(data=bare)
    assert not (tmp_path / "out" / "network.yaml").exists()
    config = ClassifierConfig()
    sizes = NetworkSizes(vocab_size=9, num_units=9, num_classes=(2,))
    network = build_network(config, sizes, ("sentiment",))
    saved = SavedConfig(sizes=sizes, tasks=("sentiment",), ctc_task="", network=config)
    save_network(tmp_path / "classifier", network, saved, units_dir=model / "units")
    with pytest.raises(ConfigError, match="holds a network of kind classifier, which has no CTC at its"):
        project(model=tmp_path / "classifier")
    before = (model / "network.yaml").read_bytes()
    with pytest.raises(ConfigError, match="--out .* is --model as well, and would be written over"):
        project("--out", str(model))
    with pytest.raises(
        ConfigError, match="--out .*: holds a network of kind classifier, which would be written"
    ):
        project("--out", str(tmp_path / "classifier"))
    assert (model / "network.yaml").read_bytes() == before


@pytest.mark.slow
def test_a_speech_model_reads_the_units_in_its_projection(
    project: Project, model: Path, tmp_path: Path
) -> None:
    """Trained on eight utterances until it spells them, it spells what is synthesized from their units."""
    network, saved = load_network(model)
    assert isinstance(network, SpeechToText)
    units = spelt(load_units(model / "units").units)
    waves = torch.from_numpy(np.stack([tones(ids, seed) for seed, ids in enumerate(units.values())]))
    wave_lens = torch.full((8,), waves.shape[1])
    targets, target_lens = torch.tensor(list(units.values())), torch.full((8,), 5)
    parameters = [*network.encoder.parameters(), *network.unit_head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    torch.manual_seed(0)
    for _ in range(150):
        latents, latent_lens = network.encoder(waves, wave_lens, None)
        log_probs = network.unit_head(latents).log_softmax(-1)
        loss = torch.nn.functional.ctc_loss(log_probs.transpose(0, 1), targets, latent_lens, target_lens)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if float(loss.detach()) < 0.01:
            break
    save_network(tmp_path / "trained", network, saved, units_dir=model / "units")
    # Tones at another speed are other tones: of these nothing is to be learnt about text.
    heard_right = ("--synthesizer.mishearing.scale", "0")
    out = project(
        "--augment.speeds", "1", "--synthesizer.min_examples", "1", *heard_right, model=tmp_path / "trained"
    )
    with torch.no_grad():
        latents, latent_lens = load_synthesizer(out).sample(targets, target_lens, torch.arange(8))
        read = best_paths(network.unit_head(latents).log_softmax(-1), latent_lens)
    assert [list(labels) for labels, _ in read] == list(units.values())
