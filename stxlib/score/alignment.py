"""Edit alignments of token sequences, by jiwer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import jiwer

SPACE = "<space>"
"how a blank is written where tokens are characters"

_LETTERS = {"equal": "C", "substitute": "S", "delete": "D", "insert": "I"}


@dataclass(frozen=True)
class Alignment:
    """One utterance, reference against hypothesis.

    ops: one letter a step: C correct, S substituted (both advance), D deleted (reference advances), I
    inserted.
    """

    utt: str
    reference: tuple[str, ...]
    hypothesis: tuple[str, ...]
    ops: str

    def steps(self) -> Iterator[tuple[str, str | None, str | None]]:
        """(letter, reference token or None, hypothesis token or None) of each step."""
        reference, hypothesis = iter(self.reference), iter(self.hypothesis)
        for op in self.ops:
            yield (
                op,
                None if op == "I" else next(reference),
                None if op == "D" else next(hypothesis),
            )

    @property
    def counts(self) -> Counter[str]:
        """How often each letter occurs."""
        return Counter(self.ops)

    @property
    def num_errors(self) -> int:
        return len(self.ops) - self.ops.count("C")


def words(text: str) -> list[str]:
    """Tokens separated by white space."""
    return text.split()


def characters(text: str) -> list[str]:
    """Unicode characters, white space squeezed to one `<space>` each."""
    return [SPACE if character == " " else character for character in " ".join(text.split())]


def align(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    tokenize: Callable[[str], list[str]] = words,
) -> list[Alignment]:
    """Align every utterance of `references` with the fewest edits; either side may be empty."""

    def to_tokens(texts: list[str]) -> list[list[str]]:
        return [tokenize(text) for text in texts]

    output = jiwer.process_words(
        list(references.values()),
        [hypotheses[utt] for utt in references],
        reference_transform=to_tokens,  # type: ignore[arg-type]
        hypothesis_transform=to_tokens,  # type: ignore[arg-type]
    )
    aligned = []
    sides = zip(references, output.references, output.hypotheses, output.alignments, strict=True)
    for utt, reference, hypothesis, chunks in sides:
        ops = "".join(
            _LETTERS[chunk.type]
            * max(
                chunk.ref_end_idx - chunk.ref_start_idx,
                chunk.hyp_end_idx - chunk.hyp_start_idx,
            )
            for chunk in chunks
        )
        aligned.append(Alignment(utt, tuple(reference), tuple(hypothesis), ops))
    return aligned


def confusions(alignments: Iterable[Alignment]) -> dict[str, Counter[tuple[str, str]]]:
    """'S' | 'D' | 'I' -> how often (reference token, hypothesis token) occurred; '' stands for no token."""
    found: dict[str, Counter[tuple[str, str]]] = {
        "S": Counter(),
        "D": Counter(),
        "I": Counter(),
    }
    for alignment in alignments:
        for op, reference, hypothesis in alignment.steps():
            if op != "C":
                found[op][reference or "", hypothesis or ""] += 1
    return found


def dump_alignments(alignments: Iterable[Alignment]) -> str:
    """One JSON object a line: {"utt", "ref", "hyp", "ops"}."""
    return "".join(
        json.dumps(
            {
                "utt": item.utt,
                "ref": item.reference,
                "hyp": item.hypothesis,
                "ops": item.ops,
            },
            ensure_ascii=False,
        )
        + "\n"
        for item in alignments
    )


def load_alignments(text: str) -> list[Alignment]:
    """What `dump_alignments` wrote."""
    items = (json.loads(line) for line in text.splitlines() if line)
    return [Alignment(item["utt"], tuple(item["ref"]), tuple(item["hyp"]), item["ops"]) for item in items]
