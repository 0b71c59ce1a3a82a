"""Several targets in one pass of the decoder are what they are one by one."""

from __future__ import annotations

import torch
from torch import Tensor

from stxlib.data.batch import Sequences
from stxlib.models.backbone import Backbone, BackboneConfig
from stxlib.nn.conformer import ConformerConfig
from stxlib.nn.transformer_decoder import DecoderConfig
from stxlib.objectives.packed_tasks import pack
from stxlib.objectives.sequence_loss import _with_gaps, decoder_losses, shift_tokens
from stxlib.ops.masks import length_mask
from stxlib.text.target_vocabulary import Task
from stxlib.text.tokenizer import UNK

VOCAB = 13
STARTS: dict[Task, int] = {"asr": 4, "slu": 5, "sentiment": 6}
TARGETS: dict[Task, Sequences] = {
    "slu": Sequences.of([[8, 9], [10, 11, 12, 7], []]),
    "asr": Sequences.of([[7, 8, 9], [10], [11, 12]]),
    "sentiment": Sequences.of([[7], [8], [9]]),
}


def backbone() -> Backbone:
    torch.manual_seed(0)
    blocks = ConformerConfig(num_layers=1, dim=16, num_heads=2, ff_dim=24, kernel_size=5)
    config = BackboneConfig(
        conformer=blocks, decoder=DecoderConfig(num_layers=2, dim=16, num_heads=2, ff_dim=24)
    )
    return Backbone(config, 16, VOCAB).eval()


def alone(
    network: Backbone, encoded: Tensor, lens: Tensor, row: int, task: Task, *, words_first: bool
) -> Tensor:
    """Logits (U, V) of one target of one utterance, whatever it reads before as part of one plain sequence."""
    tokens = [STARTS[task], *TARGETS[task].tolist()[row]]
    before: list[int] = []
    if words_first and task != "asr":
        before = [STARTS["asr"], *TARGETS["asr"].tolist()[row]]
    whole = torch.tensor([before + tokens])
    frames = encoded[row : row + 1, : int(lens[row])]
    logits = network.decoder_logits(frames, lens[row : row + 1], whole, torch.tensor([whole.shape[1]]))
    return logits[0, len(before) :]


def test_each_target_is_as_it_is_alone_after_the_words() -> None:
    network = backbone()
    encoded, lens = torch.randn(3, 10, 16), torch.tensor([10, 7, 3])
    for words_first in (True, False):
        found = decoder_losses(
            network,
            encoded,
            lens,
            TARGETS,
            starts=STARTS,
            label_smoothing=0.1,
            token_dropout=0.0,
            words_first=words_first,
        )
        assert list(found) == list(TARGETS)
        for task, loss in found.items():
            _, wanted, wanted_lens = shift_tokens(TARGETS[task], STARTS[task])
            logits = [alone(network, encoded, lens, row, task, words_first=words_first) for row in range(3)]
            labels = wanted[length_mask(wanted_lens, wanted.shape[1])]
            expected = torch.nn.functional.cross_entropy(
                torch.cat(logits), labels, reduction="sum", label_smoothing=0.1
            )
            torch.testing.assert_close(loss.loss, expected)
            assert int(loss.count) == len(labels)
            assert int(loss.correct) == int((torch.cat(logits).argmax(1) == labels).sum())


def test_positions_and_what_is_seen() -> None:
    packed = pack(
        {
            "slu": (torch.tensor([[5, 8], [5, 0]]), torch.tensor([2, 1])),
            "asr": (torch.tensor([[4, 7, 9], [4, 7, 0]]), torch.tensor([3, 2])),
        },
        first="asr",
    )
    assert packed.columns == {"asr": slice(0, 3), "slu": slice(3, 5)}
    assert packed.tokens.tolist() == [[4, 7, 9, 5, 8], [4, 7, 0, 5, 0]]
    assert packed.positions.tolist() == [[0, 1, 2, 3, 4], [0, 1, 2, 2, 3]]
    seen = [[sorted(row.nonzero()[:, 0].tolist()) for row in one] for one in packed.seen]
    assert seen[0] == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4]]
    assert seen[1][3] == [0, 1, 3]  # not the padding of the words


def test_gaps_are_anywhere_but_at_the_start() -> None:
    tokens = torch.full((50, 20), 7)
    torch.manual_seed(1)
    found = _with_gaps(tokens, 0.3)
    assert bool((found[:, 0] == 7).all()) and set(found.unique().tolist()) == {UNK, 7}
    assert 0.25 < float((found[:, 1:] == UNK).double().mean()) < 0.35
    assert torch.equal(_with_gaps(tokens, 0.0), tokens)
