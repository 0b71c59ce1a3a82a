"""stxlib.bin.synthesize with a small synthesizer: what it keeps, how it goes on, and what goes wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from toy_synthesizer import ToySynthesizer

from stxlib.bin import synthesize as command
from stxlib.config import parse_config
from stxlib.data.label_store import utterance_seed
from stxlib.data.latent_store import INDEX, LatentStore
from stxlib.data.tables import read_table, write_table
from stxlib.errors import ConfigError, DataError
from stxlib.models.fixed_projection import FixedProjection, FixedProjectionConfig
from stxlib.models.latent_alignment import AlignedLatents
from stxlib.models.networks import NetworkSizes
from stxlib.models.projection_estimate import ProjectionEstimate
from stxlib.models.saved import SavedConfig, read_saved, save_network
from stxlib.models.saved_synthesizer import load_synthesizer
from stxlib.ops.segments import Segments, with_boundary
from stxlib.text.saved import load_units

DIM = 8


@pytest.fixture
def data(model: Path, tmp_path: Path) -> Path:
    """Forty sentences of one to seven units, the first of which the synthesizer does not know."""
    symbols = load_units(model / "units").units.symbols[2:]
    table = {
        f"s{i:02}": " ".join(symbols[(i * 5 + j) % len(symbols)] for j in range(1 + i % 7)) for i in range(40)
    }
    (tmp_path / "text_only").mkdir()
    table["s00"] = "?"
    write_table(tmp_path / "text_only" / "text", dict.fromkeys(table, "words"))
    write_table(tmp_path / "text_only" / "units", table)
    return tmp_path / "text_only"


@pytest.fixture
def toy(model: Path, monkeypatch: pytest.MonkeyPatch) -> ToySynthesizer:
    synthesizer = ToySynthesizer(read_saved(model).sizes.num_units, DIM).eval()
    monkeypatch.setattr(command, "load_synthesizer", lambda *_: synthesizer)
    return synthesizer


@pytest.fixture
def synthesize(model: Path, data: Path, tmp_path: Path) -> Callable[..., Path]:
    def run(*options: str, out: str = "latents") -> Path:
        paths = ["--model", str(model), "--data", str(data), "--out", str(tmp_path / out)]
        command.main([*paths, "--device", "cpu", "--shard_megabytes", "0.001", *options])
        return tmp_path / out

    return run


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.name not in ("summary.json", "config.yaml")
    }


def test_what_is_kept_is_what_each_sentence_alone_gives(
    model: Path,
    data: Path,
    toy: ToySynthesizer,
    synthesize: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = synthesize("--versions", "2", "--seed", "3")
    store, table, vocabulary = (
        LatentStore(folder),
        read_table(data / "units"),
        load_units(model / "units"),
    )
    assert store.utts == tuple(utt for utt in table for _ in range(2)) and store.num_versions == 2
    for index in (0, 1, 37, 79):
        utt, version = store.utts[index], index % 2
        seed = utterance_seed(3, version, utt)
        assert store.seeds[index] == seed
        ids = torch.tensor([vocabulary.units.encode(table[utt].split())])
        expected, lens = toy.sample(ids, torch.tensor([ids.shape[1]]), torch.tensor([seed]))
        latents, found = store.load([index])
        assert found.tolist() == lens.tolist()
        torch.testing.assert_close(latents, expected.detach(), rtol=2**-10, atol=1e-3)
    assert not torch.equal(store.load([36])[0], store.load([37])[0])
    said = capsys.readouterr().out
    assert "40 sentences in 2 versions, about 620 latents of 8 numbers: 0.0 MB in 10 shards" in said
    assert "1 units are unknown to the synthesizer and made as <unk>" in said
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["units_unknown_to_the_synthesizer"] == 1 and summary["latents"] == sum(store.lens)


def test_a_stopped_start_goes_on_and_ends_with_the_same_bytes(
    toy: ToySynthesizer, synthesize: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = synthesize()
    before = bytes_of(folder)
    assert len(before) == 6
    kept = (folder / "shard00000.safetensors").stat().st_mtime_ns
    for name in ("shard00002.safetensors", INDEX):
        (folder / name).unlink()
    (folder / "shard00003.safetensors").write_bytes(before["shard00003.safetensors"][:-5])
    capsys.readouterr()
    synthesize()
    assert bytes_of(folder) == before
    assert (folder / "shard00000.safetensors").stat().st_mtime_ns == kept
    assert "in 5 shards (3 are there already)" in capsys.readouterr().out


def test_what_is_made_of_something_else_is_made_again(
    toy: ToySynthesizer, synthesize: Callable[..., Path]
) -> None:
    folder = synthesize()
    before = LatentStore(folder)
    first = before.load([0])[0]
    synthesize("--seed", "2")
    after = LatentStore(folder)
    assert not torch.equal(after.load([0])[0], first) and after.utts == before.utts
    synthesize("--num_sentences", "3")
    assert LatentStore(folder).utts == ("s00", "s13", "s26")  # spread over 40
    assert len(list(folder.glob("shard*"))) == 1


def test_processes_make_the_same_bytes(
    model: Path, data: Path, tmp_path: Path, toy: ToySynthesizer, synthesize: Callable[..., Path]
) -> None:
    folder = synthesize()
    paths = ["--model", str(model), "--data", str(data), "--out", str(tmp_path / "parts")]
    config = parse_config(
        command.SynthesizeConfig, [*paths, "--shard_megabytes", "0.001"], prog="synthesize"
    ).config
    plan = command.make_plan(config, toy)
    for part in (1, 0):
        command.synthesize_part(config, plan, toy, torch.device("cpu"), part, 2)
    shards = {name: data for name, data in bytes_of(folder).items() if name != INDEX}
    assert bytes_of(tmp_path / "parts") == shards


def test_text_that_is_not_spelt(toy: ToySynthesizer, data: Path, synthesize: Callable[..., Path]) -> None:
    (data / "units").unlink()
    with pytest.raises(
        DataError, match="has no stream units, so its text cannot be synthesized; run stage 2"
    ):
        synthesize()


def test_text_of_other_units_or_none(
    toy: ToySynthesizer, data: Path, synthesize: Callable[..., Path]
) -> None:
    write_table(data / "units", dict.fromkeys(read_table(data / "units"), "? !"))
    with pytest.raises(
        DataError, match=r"units: no unit is one of .*units; run stage 2 \(units\) with these"
    ):
        synthesize()
    for stream in ("text", "units"):
        write_table(data / stream, {})
    with pytest.raises(DataError, match="is empty; give a set with text"):
        synthesize()


def test_a_folder_that_is_read_is_not_written_over(
    toy: ToySynthesizer, model: Path, synthesize: Callable[..., Path]
) -> None:
    before = (model / "config.yaml").exists()
    with pytest.raises(ConfigError, match="is --model as well, and would be written over; give a folder of"):
        synthesize(out=str(model))
    assert (model / "config.yaml").exists() == before


def test_a_disk_without_room(
    toy: ToySynthesizer, synthesize: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(
        DataError, match="about 0 MB are needed, and 0 MB are free; give another --out, or a smaller"
    ):
        synthesize()
    assert not (tmp_path / "latents").exists()


def test_a_network_that_makes_no_latents(model: Path) -> None:
    with pytest.raises(
        ConfigError, match="kind speech_to_text, which makes no latents; give the folder of stage 4"
    ):
        load_synthesizer(model)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("num_sentences", "-1", "num_sentences: -1; expected 0"),
        ("versions", "0", "versions: 0; expected 1 to 1000"),
        ("batch_units", "0", "batch_units: 0; expected 1 or more"),
        ("num_jobs", "0", "num_jobs: 0; expected 1 or more"),
        ("shard_megabytes", "0", "shard_megabytes: 0; expected a number above 0"),
    ],
)
def test_options_out_of_range(synthesize: Callable[..., Path], option: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        synthesize(f"--{option}", value)


@pytest.mark.slow
def test_command_with_two_processes(model: Path, synthesize: Callable[..., Path], tmp_path: Path) -> None:
    """A projection that was estimated, saved, and loaded again by each process."""
    saved = read_saved(model)
    config = FixedProjectionConfig(noise_kind="gaussian")
    projection = FixedProjection(config, saved.sizes.num_units, DIM)
    units = torch.tensor([[5, 6, 7]])
    segments = Segments(
        *with_boundary(units, torch.tensor([3])), *torch.tensor([[[0, 1, 2, 1]], [[2, 1, 0, 3]]])
    )
    latents = torch.randn(1, 10, DIM, generator=torch.Generator().manual_seed(1))
    estimate = ProjectionEstimate(saved.sizes.num_units, DIM)
    estimate.add(AlignedLatents(latents, segments.frame_lens, segments))
    estimate.finish(projection, torch.zeros(saved.sizes.num_units, DIM), 1)
    sizes = NetworkSizes(vocab_size=1, num_units=saved.sizes.num_units, latent_dim=DIM)
    made = SavedConfig(sizes=sizes, tasks=(), ctc_task="", network=config)
    save_network(tmp_path / "synthesis", projection, made, units_dir=model / "units")

    one = synthesize("--model", str(tmp_path / "synthesis"), out="one")
    two = synthesize("--model", str(tmp_path / "synthesis"), "--num_jobs", "2", out="two")
    assert len(bytes_of(one)) > 3 and bytes_of(one) == bytes_of(two)
    assert LatentStore(one).dim == DIM
