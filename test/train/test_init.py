"""Starting from a saved network: counts, patterns, freezing, and errors instead of silence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from toy_training import ToyObjective, train_toy

from stxlib.errors import ConfigError, DataError
from stxlib.train.init import (
    InitConfig,
    SymbolRows,
    freeze,
    inherited,
    initialize,
    read_weights,
    set_train_mode,
)


def saved(seed: int = 5) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in ToyObjective(seed).network.state_dict().items()}


def test_everything_is_loaded_and_reported() -> None:
    network = ToyObjective().network
    tensors = saved()
    report = initialize(network, tensors, InitConfig(), source="exp/pretrain")
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in network.state_dict().items())
    assert report.lines(network) == [
        "init: from exp/pretrain: loaded 6 (29), missing 0, unexpected 0, frozen 0"
    ]


def test_missing_unexpected_left_out_and_frozen_are_told() -> None:
    network = ToyObjective().network
    before = network["bottom"][0].bias.clone()
    tensors = saved() | {"old.weight": torch.zeros(1200, 2)}
    del tensors["top.2.bias"]
    report = initialize(network, tensors, InitConfig(exclude=("bottom.*.bias",)), source="x")
    assert torch.equal(network["bottom"][0].bias, before)
    assert freeze(network, ["bottom.*"]) == ["bottom.0.weight", "bottom.0.bias"]
    assert report.lines(network) == [
        "init: from x: loaded 4 (24), missing 2 (5), unexpected 1 (2.4 k), frozen 2 (16)",
        "init: missing: bottom.0.bias, top.2.bias",
        "init: unexpected: old.weight",
        "init: left out by patterns: 1 (4)",
    ]


def test_include_loads_only_these() -> None:
    network = ToyObjective().network
    report = initialize(network, saved(), InitConfig(include=("top.*",)), source="x")
    assert report.loaded == ("top.0.weight", "top.0.bias", "top.2.weight", "top.2.bias")
    assert report.unexpected == ()


def test_rename_moves_a_prefix() -> None:
    network = ToyObjective().network
    tensors = {"model." + name: tensor for name, tensor in saved().items()}
    report = initialize(network, tensors, InitConfig(rename=("model.=",)), source="x")
    assert len(report.loaded) == 6 and not report.missing


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            InitConfig(include=("encoder.*",)),
            r"init\.include: x: 'encoder\.\*' matches none of 6 names: bottom\.0",
        ),
        (InitConfig(exclude=("botom.*",)), r"init\.exclude: x: 'botom\.\*' matches none"),
        (InitConfig(exclude=("*",)), "no tensor fits this network"),
        (InitConfig(rename=("bottom=below", "top=above")), "no tensor fits this network"),
        (InitConfig(rename=("bottom.0.weight=top.0.weight",)), r"two tensors the name top\.0\.weight"),
    ],
)
def test_patterns_that_match_nothing_are_errors(config: InitConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        initialize(ToyObjective().network, saved(), config, source="x")


def test_other_shapes_are_errors_and_change_nothing() -> None:
    network = ToyObjective().network
    before = network["bottom"][0].weight.clone()
    tensors = saved() | {"top.2.weight": torch.zeros(1, 7)}
    with pytest.raises(
        ConfigError, match=r"1 tensors have another shape: top\.2\.weight \(1, 7\) for \(1, 2\)"
    ):
        initialize(network, tensors, InitConfig(), source="x")
    assert torch.equal(network["bottom"][0].weight, before)


def test_rows_go_where_their_symbols_are() -> None:
    network = ToyObjective().network
    before = network["top"][0].weight.clone()
    rows, width = before.shape
    names = tuple("abcdefgh"[:rows])
    theirs = (*names[:0:-1], "x", "y")  # the other way round, without the first, and with two more
    tensors = saved() | {"top.0.weight": torch.arange(float(len(theirs) * width)).reshape(-1, width)}
    table = SymbolRows("letters", ("top.0.weight",), theirs, names)
    report = initialize(network, tensors, InitConfig(), source="x", symbols=[table])
    assert torch.equal(network["top"][0].weight[0], before[0])
    assert torch.equal(network["top"][0].weight[1:], tensors["top.0.weight"][: rows - 1].flip(0))
    told = f"init: letters: {rows - 1} of {rows} are symbols of x as well, and begin with their rows"
    assert report.lines(network)[1:] == [told, "init: rows of new symbols start anew: top.0.weight"]


SAVED = {
    "kind": "speech",
    "encoder.kind": "waves",
    "encoder.blocks.num_layers": 3,
    "encoder.blocks.dropout": 0.2,
    "upper.blocks.num_layers": 5,
    "upper.out": 7,
}


def test_sizes_that_were_not_given_are_those_of_the_network_that_is_begun_with() -> None:
    own = SAVED | {
        "encoder.blocks.num_layers": 4,
        "encoder.blocks.dropout": 0.1,
        "upper.out": 9,
        "upper.new": 1,
    }
    found = inherited(own, SAVED, InitConfig(), given=["upper.out"])
    assert found == {"encoder.blocks.num_layers": 3, "encoder.blocks.dropout": 0.2}
    found = inherited(own, SAVED, InitConfig(include=("upper.*",)), given=[])
    assert found == {"upper.out": 7}
    found = inherited(own, SAVED, InitConfig(exclude=("encoder.*",)), given=[])
    assert found == {"upper.out": 7}


def test_sizes_follow_their_part_to_its_new_name() -> None:
    own = {"kind": "classes", "encoder.kind": "waves", "encoder.blocks.num_layers": 4, "blocks.num_layers": 4}
    config = InitConfig(rename=("upper.blocks=blocks",), include=("encoder.*", "blocks.*"))
    found = inherited(own, SAVED, config, given=[])
    assert found == {"encoder.blocks.num_layers": 3, "blocks.num_layers": 5}


def test_a_part_of_another_kind_is_taken_over_whole_or_not_at_all() -> None:
    own = {"kind": "speech", "encoder.kind": "features", "encoder.bins": 80, "upper.out": 7}
    expected = {key: value for key, value in SAVED.items() if key.startswith("encoder.")}
    assert inherited(own, SAVED, InitConfig(), given=[]) == expected
    assert inherited(own, SAVED, InitConfig(), given=["encoder.bins"]) == {}
    inner = {"encoder.noise.kind": "white", "encoder.noise.level": 3}
    assert inherited(own, SAVED | inner, InitConfig(), given=[]) == expected | inner
    assert inherited(own, SAVED | inner, InitConfig(), given=["encoder.bins"]) == {}


def test_a_freeze_pattern_must_match() -> None:
    with pytest.raises(ConfigError, match=r"freeze: 'bottom' matches none of 6 names"):
        freeze(ToyObjective().network, ["bottom"])


def test_a_bad_rename_is_an_error() -> None:
    with pytest.raises(ConfigError, match="expected old=new"):
        InitConfig(rename=("a",))


def test_read_weights(tmp_path: Path) -> None:
    save_file(saved(), tmp_path / "model.safetensors")
    assert (
        read_weights(tmp_path).keys() == read_weights(tmp_path / "model.safetensors").keys() == saved().keys()
    )
    with pytest.raises(ConfigError, match=r"no model\.safetensors there"):
        read_weights(tmp_path / "nowhere")
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(DataError, match="not a safetensors file"):
        read_weights(tmp_path)


def test_a_frozen_module_stays_in_eval_mode() -> None:
    network = nn.ModuleDict(
        {
            "frozen": nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)),
            "partly": nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Dropout(0.5)),
        }
    )
    freeze(network, ["frozen.*", "partly.0.*"])
    set_train_mode(network)
    frozen, partly = network["frozen"], network["partly"]
    assert not frozen.training and not frozen[1].training
    assert network.training and partly.training and partly[2].training and not partly[0].training


def test_frozen_weights_do_not_move_and_are_in_eval_mode_after_evaluations(tmp_path: Path) -> None:
    objective = ToyObjective(dropout=0.5)
    freeze(objective, ["network.bottom.*"])
    before = objective.network["bottom"][0].weight.detach().clone()
    modes: list[bool] = []
    objective.network["bottom"].register_forward_hook(lambda module, x, y: modes.append(module.training))
    train_toy(tmp_path, objective=objective)
    assert torch.equal(objective.network["bottom"][0].weight, before)
    assert objective.training and not any(modes)
    log = (tmp_path / "train.log").read_text()
    assert "network.bottom: 0 trainable, 16 frozen" in log
    with pytest.raises(ConfigError, match="every parameter is frozen"):
        freeze(objective, ["*"])
        train_toy(tmp_path / "other", objective=objective)
