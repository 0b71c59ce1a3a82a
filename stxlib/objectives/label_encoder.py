"""From the label streams of an utterance to the ids that an objective wants."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from stxlib.text.saved import Units
from stxlib.text.target_vocabulary import Task, UnseenError, intent_of

UNITS = "units"
"name of the labels at the latents, and of the stream that they are read from"


def vocab_size(units: Units, tasks: Collection[Task]) -> int:
    """Tokens of a network that writes these tasks: a plain recognizer has none of the symbols of other tasks, which come last."""
    plain = set(tasks) == {"asr"}
    return units.tokens.vocab_size - (len(units.targets.symbols) if plain else 0)


def streams_of_tasks(units: Units, tasks: Iterable[Task], present: Collection[str]) -> tuple[str, ...]:
    """Streams that the targets of these tasks are made of, of those present. ValueError where some are missing."""
    return tuple(dict.fromkeys(stream for task in tasks for stream in units.targets.streams(task, present)))


class LabelError(ValueError):
    """A label that no target can be made of."""

    def __init__(self, task: str, stream: str, reason: str) -> None:
        super().__init__(f"{task}: {reason}")
        self.stream = stream


class TokenLabels:
    """Tokens of the targets of some tasks, and units where they are wanted."""

    def __init__(self, units: Units, tasks: Iterable[Task], *, with_units: bool) -> None:
        self.units = units
        self.tasks = tuple(dict.fromkeys(tasks))
        self.with_units = with_units

    def streams(self, present: Collection[str]) -> tuple[str, ...]:
        """Streams to be read, of those present in a data directory, and `units`. ValueError where some of the tasks' are missing."""
        found = streams_of_tasks(self.units, self.tasks, present)
        return (*found, UNITS) if self.with_units else found

    def __call__(self, values: Mapping[str, str]) -> dict[str, list[int]]:
        """values: stream -> value of one utterance. Returns name -> ids, none for a task with a class that training does not have.

        LabelError says what is wrong with a value.
        """
        tokens, targets = self.units.tokens, self.units.targets
        labels: dict[str, list[int]] = {}
        for task in self.tasks:
            try:
                labels[task] = tokens.encode(targets.encode(task, values))
            except UnseenError:
                labels[task] = []
            except ValueError as error:
                raise LabelError(task, targets.streams(task, values)[-1], str(error)) from None
        if self.with_units:
            labels[UNITS] = self.units.units.encode(values[UNITS].split())
        return labels


class ClassLabels:
    """The class of some tasks as one index; nothing for a class that training does not have."""

    def __init__(self, units: Units, tasks: Iterable[Task]) -> None:
        self.units = units
        self.tasks = tuple(tasks)
        self._index = {
            task: {name: index for index, name in enumerate(units.targets.classes(task))}
            for task in self.tasks
        }

    def streams(self, present: Collection[str]) -> tuple[str, ...]:
        """Streams to be read, of those present in a data directory. ValueError where some are missing."""
        return streams_of_tasks(self.units, self.tasks, present)

    def __call__(self, values: Mapping[str, str]) -> dict[str, list[int]]:
        """values: stream -> value of one utterance. Returns task -> [index of its class]."""
        labels: dict[str, list[int]] = {}
        for task in self.tasks:
            try:
                name = intent_of(values)[0] if task == "intent" else values[task]
            except ValueError as error:
                raise LabelError(task, "semantics", str(error)) from None
            index = self._index[task].get(name)
            labels[task] = [] if index is None else [index]
        return labels
