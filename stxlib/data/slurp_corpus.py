"""SLURP as released: a JSON object for each sentence, whose recordings are files of two microphones.

    dataset/slurp/{train,devel,test,train_synthetic}.jsonl, metadata.json; dataset/lm/lm.txt   (the repository)
    audio/slurp_real/audio-<number>[-headset].flac, audio/slurp_synth/*.flac                   (Zenodo 4274930)

Also read: all of it in one folder, with `train_real.jsonl` for `train.jsonl`, as it is often unpacked for other toolkits.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from stxlib.data.corpus_set import LEAVE_OUT, CorpusSet
from stxlib.data.text_rows import read_lines
from stxlib.errors import DataError
from stxlib.text.labels import Entity, Frame, write_entities, write_frame

RELEASED = {
    "train": (11_514, 50_628),
    "devel": (2_033, 8_690),
    "test": (2_974, 13_078),
    "train_synthetic": (None, 69_253),
}
"""file -> its sentences and recordings: devel and test counted in the repository (commit 8eb1654), the others as they are quoted from
Bastianelli et al. 2020 (aclweb.org/anthology/2020.emnlp-main.588), not recounted"""
KEYS = ("slurp_id", "sentence", "scenario", "action", "tokens", "recordings", "entities")
MICROPHONES = ("headset", "far")

_SPOKEN = {"@": " at ", "#": " hashtag ", ",": "", ".": "", "’": "'"}
"what takes the place of a character in `text`: signs that are read out, and those that are not heard"


@dataclass(frozen=True)
class SlurpSentence:
    """A record of SLURP."""

    place: str
    "`file:line`"
    id: str
    text: str
    "in lower case; @ and # as they are read out, without commas and full stops"
    frame: Frame
    "scenario, action, and slots with fillers as the official scorer has them: lower-cased tokens with blanks between"
    entities: tuple[Entity, ...]
    "with words of `text` as fillers and their `start`, where it has them"
    recordings: tuple[str, ...]
    "names of files"
    is_intent_odd: bool
    "the record's `intent` is not scenario and action"
    problem: str = ""
    "why it has no labels that can be used, where it has not"

    @property
    def values(self) -> dict[str, str]:
        """The label streams."""
        return {
            "text": self.text,
            "intent": self.frame.intent,
            "semantics": write_frame(self.frame),
            "entities": write_entities(self.entities),
        }


def read_slurp_jsonl(path: Path, *, fix: bool = False) -> list[SlurpSentence]:
    """The records of a file. Scenario and action are the intent: in some records `intent` is something else.

    fix: those whose entities are at no tokens get a `problem`. Raises DataError naming file and line, for them as well otherwise.
    """
    if not path.is_file():
        raise DataError(
            f"{path}: there is no such file; it is in dataset/slurp of github.com/pswietojanski/slurp: add it"
        )
    sentences = []
    for number, line in read_lines(path):
        if line.strip():
            place = f"{path}:{number}"
            try:
                sentence = _sentence(json.loads(line), place)
                if sentence.problem and not fix:
                    raise ValueError(f"{sentence.problem}; give the record as released, {LEAVE_OUT}")
                sentences.append(sentence)
            except json.JSONDecodeError as error:
                raise DataError(f"{place}: no JSON ({error}); expected one object a line") from None
            except ValueError as error:
                raise DataError(f"{place}: {error}") from None
    return sentences


def read_speakers(path: Path) -> dict[str, str]:
    """Recording (`recording_id`) -> speaker, of metadata.json: `FO-488` is female, not native, number 488. Raises DataError."""
    if not path.is_file():
        seen = f"{path}: there is no such file, and nothing else tells the speakers"
        raise DataError(
            f"{seen}; add it from github.com/pswietojanski/slurp, or do without by --speakers false of local/prepare.py"
        )
    try:
        data = json.loads(path.read_text("utf-8"))
        return {
            recording_id(file): "_".join(str(entry["usrid"]).split())
            for record in data.values()
            for file, entry in record["recordings"].items()
            if entry.get("usrid")
        }
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        expected = '{"<slurp_id>": {"recordings": {"<file>": {"usrid": ...}}}}'
        raise DataError(f"{path}: {error!r}; expected {expected}: give the file as released") from None


def recording_id(file: str) -> str:
    """`audio--1504194195-headset.flac` -> `audio--1504194195-headset`, which is the id of the utterance."""
    return "_".join(PurePosixPath(file).stem.split())


def microphone(utt: str) -> str:
    """`headset` or `far`, which the name of a recording tells."""
    return "headset" if utt.endswith("-headset") else "far"


def spoken_text(sentence: str) -> tuple[str, list[int]]:
    """The sentence as it is spoken, and of each of its characters the place in the sentence of that which it comes from."""
    characters: list[tuple[str, int]] = []
    for place, character in enumerate(sentence):
        for written in _SPOKEN.get(character, character.lower()):
            if not written.isspace():
                characters.append((written, place))
            elif characters and characters[-1][0] != " ":
                characters.append((" ", place))
    if characters and characters[-1][0] == " ":
        characters.pop()
    return "".join(character for character, _ in characters), [place for _, place in characters]


def place_tokens(sentence: str, surfaces: Sequence[str]) -> list[tuple[int, int] | None]:
    """Where each token stands in the sentence, from its first character to after its last, in order; None where it does not.

    As many characters as possible are placed, so that a token that is missing takes no place that others need: of `what o is on` in
    "what is on", o has none.
    """
    # Of one length with the sentence, whatever letters it has.
    lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in sentence)

    @functools.cache
    def place(number: int, position: int) -> tuple[int, int]:
        """Characters that can be placed of the tokens from this one on, from this position on, and where it stands then, or -1."""
        if number == len(surfaces):
            return 0, -1
        without = place(number + 1, position)[0]
        # No later place is better than the first: what follows has less room after it.
        found = lowered.find(surfaces[number].lower(), position) if surfaces[number] else -1
        end = found + len(surfaces[number])
        if found >= 0 and (placed := end - found + place(number + 1, end)[0]) >= without:
            return placed, found
        return without, -1

    places: list[tuple[int, int] | None] = []
    position = 0
    for number, surface in enumerate(surfaces):
        found = place(number, position)[1]
        places.append((found, found + len(surface)) if found >= 0 else None)
        position = found + len(surface) if found >= 0 else position
    return places


def add_recordings(
    rows: CorpusSet,
    sentences: Iterable[SlurpSentence],
    folder: Path,
    speakers: Mapping[str, str],
    *,
    microphones: Collection[str] = MICROPHONES,
    kind: str = "",
) -> None:
    """Add the recordings of some sentences, which lie in `folder`, to a set: an utterance for each, with `utt2spk` and `microphone`.

    One that is listed under several sentences belongs to the last of them, as the official scorer has it. Who is not among the speakers
    is a speaker of their own. kind: stands in both streams in place of speaker and microphone (the synthetic recordings).
    """
    for sentence in sentences:
        for file in sentence.recordings:
            utt = recording_id(file)
            place = kind or microphone(utt)
            if not kind and place not in microphones:
                continue
            rows.num_rows += 1
            if utt in rows.places:
                rows.drop(utt, "its recording is listed again, and belongs to the last sentence that has it")
            if sentence.problem or not sentence.text:
                rows.dropped.add(utt, sentence.problem or "no words", sentence.place)
                continue
            who = {"utt2spk": kind or speakers.get(utt, utt), "microphone": place}
            rows.add(utt, sentence.place, {**sentence.values, **who}, folder / file)


def drop_shared(sets: Mapping[str, CorpusSet]) -> None:
    """Take recordings that are in several sets out of all but the last. sets: in the order train, dev, test."""
    names = list(sets)
    for number, name in enumerate(names):
        for later in names[number + 1 :]:
            for utt in sorted(sets[name].places.keys() & sets[later].places.keys()):
                sets[name].drop(utt, f"its recording is in {later} as well")


def text_of(sentences: Iterable[SlurpSentence]) -> CorpusSet:
    """Sentences as text alone: one of all that have the same words and labels, as `slurp-<slurp_id>` (`slurp-<slurp_id>-2`, if it is taken)."""
    rows = CorpusSet()
    seen = set()
    for sentence in sentences:
        values = sentence.values
        key = tuple(values.values())
        if sentence.problem or not sentence.text or key in seen:
            continue
        seen.add(key)
        utt, number = f"slurp-{sentence.id}", 1
        while utt in rows.places:
            number += 1
            utt = f"slurp-{sentence.id}-{number}"
        rows.add(utt, sentence.place, values)
    rows.num_rows = len(rows.places)
    return rows


def read_lm_text(path: Path, held_out: Collection[str]) -> CorpusSet:
    """The sentences of lm.txt, one a line, as text alone; those that are `held_out` (texts of dev and test) are dropped."""
    rows = CorpusSet()
    for number, line in read_lines(path):
        text = spoken_text(line)[0]
        utt, place = f"lm-{number:08d}", f"{path}:{number}"
        rows.num_rows += 1
        if not text or text in held_out:
            rows.dropped.add(utt, "a sentence of dev or test" if text else "no words", place)
        else:
            rows.add(utt, place, {"text": text})
    return rows


def _sentence(record: Any, place: str) -> SlurpSentence:
    if not isinstance(record, dict):
        raise ValueError(f"{str(record)[:60]!r}; expected an object with {' '.join(KEYS)}")
    if missing := [key for key in KEYS if key not in record]:
        raise ValueError(f"has no `{'`, no `'.join(missing)}`; give SLURP's records as released")
    try:
        names = {key: record[key] for key in ("sentence", "scenario", "action")}
        surfaces = [token["surface"] for token in record["tokens"]]
        files = [recording["file"] for recording in record["recordings"]]
        if not all(isinstance(value, str) for value in (*names.values(), *surfaces, *files)):
            raise TypeError("a name is no string")
        spans = [(entity["type"], tuple(entity["span"])) for entity in record["entities"] or ()]
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{error.args[0]!r}: the record is not as SLURP's are; give it as released"
        ) from None
    problem = ""
    if not all(type(token) is int and 0 <= token < len(surfaces) for _, span in spans for token in span):
        problem, spans = "an entity's `span` does not tell places in `tokens`", []
    text, sources = spoken_text(names["sentence"])
    places = place_tokens(names["sentence"], surfaces)
    slots = tuple(Entity(kind, " ".join(surfaces[t].lower() for t in span)) for kind, span in spans)
    frame = Frame(names["scenario"], names["action"], slots)
    if not frame.intent:
        raise ValueError("has neither scenario nor action; give SLURP's records as released")
    return SlurpSentence(
        place=place,
        id=str(record["slurp_id"]),
        text=text,
        frame=frame,
        entities=tuple(
            _placed(slot, [places[t] for t in span] if _is_run(span) else [], text, sources)
            for slot, (_, span) in zip(slots, spans, strict=True)
        ),
        recordings=tuple(files),
        is_intent_odd=record.get("intent", frame.intent) != frame.intent,
        problem=problem,
    )


def _is_run(span: Sequence[int]) -> bool:
    """Whether the tokens follow one another."""
    return bool(span) and list(span) == list(range(span[0], span[0] + len(span)))


def _placed(
    slot: Entity, tokens: Sequence[tuple[int, int] | None], text: str, sources: Sequence[int]
) -> Entity:
    """An entity at its place in `text`; without `start` where its tokens have no place in the sentence.

    tokens: from where to where they stand in the sentence. sources: of each character of the text, the place in the sentence.
    """
    known = [token for token in tokens if token is not None]
    if known and len(known) == len(tokens):
        there = [
            index
            for index, source in enumerate(sources)
            if known[0][0] <= source < known[-1][1] and not text[index].isspace()
        ]
        if there:
            return Entity(slot.type, text[there[0] : there[-1] + 1], there[0])
    return Entity(slot.type, spoken_text(slot.filler)[0])
