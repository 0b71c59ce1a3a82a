"""A YAML as dotted keys with their lines; nothing in it is executed. `stxlib.config` is what commands use."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from stxlib.config_options import Option, convert, item_type, nearest


@dataclass(frozen=True)
class Entry:
    """What stands at a key, as text, and in which line."""

    texts: str | list[str]
    line: int


def read_yaml(text: str, where: str) -> tuple[dict[str, Entry], list[str]]:
    """Flatten a YAML into dotted keys with their lines; nothing in it is executed. Returns entries and errors."""
    entries: dict[str, Entry] = {}
    errors: list[str] = []

    def walk(node: yaml.Node, prefix: str) -> None:
        line = node.start_mark.line + 1
        if not node.tag.startswith("tag:yaml.org,2002:") or "python" in node.tag:
            errors.append(f"{where}:{line}: tag {node.tag} is not allowed: a config holds plain values")
        elif isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                key = prefix + str(name.value)
                if key in entries:
                    errors.append(f"{where}:{name.start_mark.line + 1}: key '{key}' stands twice")
                walk(value, key + "." if isinstance(value, yaml.MappingNode) else key)
                if not isinstance(value, yaml.MappingNode) and key in entries:
                    entries[key] = Entry(entries[key].texts, name.start_mark.line + 1)
        elif isinstance(node, yaml.SequenceNode):
            if all(isinstance(item, yaml.ScalarNode) for item in node.value):
                entries[prefix] = Entry([item.value for item in node.value], line)
            else:
                errors.append(f"{where}:{line}: '{prefix}' may hold plain values only")
        else:
            entries[prefix] = Entry(node.value, line)

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        return {}, [f"{where}:{mark.line + 1 if mark else 1}: not YAML: {problem}"]
    if root is not None:
        if not isinstance(root, yaml.MappingNode):
            return {}, [f"{where}:1: expected 'key: value' lines"]
        walk(root, "")
    return entries, errors


def check_yaml(entries: dict[str, Entry], options: dict[str, Option], where: str) -> list[str]:
    """One message for each key that does not exist and each value that cannot be read."""
    errors = []
    for key, entry in entries.items():
        at = f"{where}:{entry.line}"
        if key not in options:
            errors.append(f"{at}: no such key '{key}'{nearest(key, list(options))}")
            continue
        item = item_type(options[key].type)
        if (item is None) == isinstance(entry.texts, list):
            errors.append(f"{at}: '{key}' expects {'a list [a, b]' if item else 'one value, not a list'}")
            continue
        for text in [entry.texts] if isinstance(entry.texts, str) else entry.texts:
            try:
                convert(text, item or options[key].type)
            except ValueError as error:
                errors.append(f"{at}: '{key}': {error}")
    return errors
