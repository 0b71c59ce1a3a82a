from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from stxlib.config import dump_config, flatten, load_config, parse_config
from stxlib.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Greedy:
    kind: Literal["greedy"] = "greedy"


@dataclass(frozen=True, kw_only=True)
class Beam:
    kind: Literal["beam"] = "beam"
    size: int = 6
    "hypotheses kept"
    weight: float = 0.3
    "weight of the 100 % important part"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigError(f"size: is {self.size}; take at least 1")


@dataclass(frozen=True, kw_only=True)
class Inner:
    lr: float = 1e-3
    "learning rate"
    layers: tuple[int, ...] = (1, 2)
    "which layers"


@dataclass(frozen=True, kw_only=True)
class Config:
    model: Path
    "where the network is"
    decoder: Greedy | Beam = Beam(size=4)
    "how to search"
    inner: Inner = Inner(lr=0.5)
    seed: int = 1
    limit: float | None = None
    resume: bool = True
    mode: Literal["min", "max"] = "min"
    names: tuple[str, ...] = ()


def parse(*words: str) -> Config:
    return parse_config(Config, list(words), prog="stxlib.bin.x").config


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_defaults_come_from_the_default_instance() -> None:
    config = parse("--model", "m")
    assert config == Config(model=Path("m"))
    assert config.decoder == Beam(size=4) and config.inner.lr == 0.5


def test_precedence_and_sources(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", "model: m\ninner:\n  lr: 1e-2\nseed: 3\n")
    parsed = parse_config(Config, ["--config", path, "--seed=5", "--names", "a", "b"], prog="x")
    assert (parsed.config.inner.lr, parsed.config.seed, parsed.config.names) == (0.01, 5, ("a", "b"))
    assert parsed.sources["inner.lr"] == f"{path}:3"
    assert parsed.sources["seed"] == "command line"
    assert parsed.sources["names"] == "command line"
    assert parsed.sources["resume"] == "default"


def test_union_is_chosen_by_kind_and_its_own_defaults_hold(tmp_path: Path) -> None:
    assert parse("--model", "m", "--decoder.kind", "greedy").decoder == Greedy()
    path = write(tmp_path / "c.yaml", "model: m\ndecoder: {kind: beam, weight: 0.5}\n")
    assert load_config(Config, path).decoder == Beam(size=4, weight=0.5)
    with pytest.raises(ConfigError, match="decoder.size"):
        parse("--model", "m", "--decoder.kind", "greedy", "--decoder.size", "3")


def test_all_errors_of_a_file_are_told_at_once_with_line_and_nearest_name(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.yaml",
        "model: m\nsede: 3\nresume: maybe\ninner:\n  lr: fast\n  layers: 3\nmode: mni\nseed: 1\nseed: 2\n",
    )
    with pytest.raises(ConfigError) as caught:
        load_config(Config, path)
    message = str(caught.value)
    assert f"{path}:2: no such key 'sede'; did you mean 'seed'?" in message
    assert f"{path}:3: 'resume': expected true or false" in message
    assert f"{path}:5: 'inner.lr': expected a number, not 'fast'" in message
    assert f"{path}:6: 'inner.layers' expects a list" in message
    assert "did you mean 'min'?" in message
    assert "key 'seed' stands twice" in message


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan"])
def test_nan_is_no_number(text: str) -> None:
    with pytest.raises(ConfigError, match=rf"inner.lr.*expected a number, not '{text}'"):
        parse("--model", "m", f"--inner.lr={text}")


def test_yaml_cannot_execute(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", "model: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(ConfigError, match="not allowed"):
        load_config(Config, path)


def test_command_line_errors() -> None:
    with pytest.raises(ConfigError, match="--model: required"):
        parse()
    with pytest.raises(ConfigError, match="expected a whole number"):
        parse("--model", "m", "--seed", "x")
    with pytest.raises(ConfigError, match="no such option --sede; did you mean .seed."):
        parse("--model", "m", "--sede", "3")
    with pytest.raises(ConfigError, match=r"decoder\.size: is 0"):
        parse("--model", "m", "--decoder.size", "0")
    with pytest.raises(ConfigError, match="cannot be read"):
        parse("--config", "/nowhere/c.yaml")


def test_dashes_are_accepted_in_names_and_left_in_values() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Two:
        stop_stage: str = ""

    assert parse_config(Two, ["--stop-stage=a-b"], prog="x").config.stop_stage == "a-b"


def test_print_config_round_trip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--model",
        "m",
        "--limit",
        "0.5",
        "--inner.lr",
        "1e-5",
        "--inner.layers",
        "3",
        "4",
        "--decoder.kind",
        "greedy",
    ]
    config = parse(*words)
    with pytest.raises(SystemExit):
        parse(*words, "--print_config")
    path = write(tmp_path / "c.yaml", capsys.readouterr().out)
    assert load_config(Config, path) == config
    assert load_config(Config, write(tmp_path / "d.yaml", dump_config(parse("--model", "m")))) == parse(
        "--model", "m"
    )


def test_help_lists_the_fields_of_the_chosen_variant(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    shown = capsys.readouterr().out
    assert "--decoder.size" in shown and "hypotheses kept" in shown and "100 % important" in shown
    with pytest.raises(SystemExit):
        parse("--decoder.kind", "greedy", "--help")
    assert "--decoder.size" not in capsys.readouterr().out


def test_positional_files() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Files:
        files: tuple[Path, ...] = field(default=(), metadata={"positional": True})
        "audio files"
        rate: int = 1

    parsed = parse_config(Files, ["a.wav", "b.wav", "--rate", "2"], prog="x")
    assert parsed.config == Files(files=(Path("a.wav"), Path("b.wav")), rate=2)
    assert parsed.sources["files"] == "command line"


def test_flatten_gives_every_leaf() -> None:
    flat = flatten(Config(model=Path("m")))
    assert flat["decoder.kind"] == "beam" and flat["inner.layers"] == (1, 2) and len(flat) == 11


def test_a_value_out_of_range_is_told_with_its_place(tmp_path: Path) -> None:
    from stxlib.bin.train import TrainConfig

    path = tmp_path / "train.yaml"
    required = ["--config", str(path), "--train", "a", "--dev", "b", "--units", "c", "--out", "d"]
    for yaml, options, message in (
        ("seed: 1\ntrainer:\n  max_steps: 0\n", [], f"{path}:3: trainer.max_steps: 0; expected 1 or more"),
        ("trainer:\n  optimizer:\n    lr: -1\n", [], f"{path}:3: trainer.optimizer.lr: -1.0; expected"),
        ("augment:\n  speeds: [0.1]\n", [], f"{path}:2: augment.speeds: [0.1]; give one or more"),
        ("network:\n  encoder:\n    num_mels: 2\n", [], f"{path}:3: network.encoder.num_mels: 2; use 4"),
        (
            "augment:\n  noise:\n    kind: generated\n    min_snr: 40\n",
            [],
            f"{path}:4: augment.noise: min_snr 40 is above",
        ),
        ("trainer:\n  max_steps: 5\n", ["--trainer.max_steps", "0"], "trainer.max_steps: 0; expected"),
    ):
        path.write_text(yaml)
        with pytest.raises(ConfigError) as error:
            parse_config(TrainConfig, [*required, *options], prog="test")
        assert str(error.value).startswith(message), str(error.value)
