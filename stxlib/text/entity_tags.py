"""The named entities of SLUE: its 18 raw types, the 7 combined ones, and the symbols that mark them inside a text.

The two sets share symbols (`!` is CARDINAL in one and LAW in the other), so a tagged text means nothing without the name of its set;
the symbols are those of the benchmark (SLUE, Shon et al. 2022; slue-toolkit).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

EntityTags = Literal["slue_raw", "slue_combined", "own"]
"""which symbols open an entity; own: `<TYPE>`, for the types of the training set"""

END = "]"
"""closes an entity"""
RAW_SYMBOLS = MappingProxyType(
    {
        "CARDINAL": "!",
        "DATE": "@",
        "EVENT": "#",
        "FAC": "$",
        "GPE": "%",
        "LANGUAGE": "^",
        "LAW": "&",
        "LOC": "*",
        "MONEY": "(",
        "NORP": ")",
        "ORDINAL": "~",
        "ORG": "`",
        "PERCENT": "{",
        "PERSON": "}",
        "PRODUCT": "[",
        "QUANTITY": "<",
        "TIME": ">",
        "WORK_OF_ART": "?",
    }
)
"""raw type -> the symbol that opens it"""
COMBINED_SYMBOLS = MappingProxyType(
    {"LAW": "!", "NORP": "@", "ORG": "#", "PERSON": "$", "PLACE": "%", "QUANT": "^", "WHEN": "&"}
)
"""combined type -> the symbol that opens it"""

_DROPPED = frozenset({"EVENT", "FAC", "LANGUAGE", "PRODUCT", "WORK_OF_ART"})
_COMBINED = MappingProxyType(
    {
        **dict.fromkeys(("DATE", "TIME"), "WHEN"),
        **dict.fromkeys(("CARDINAL", "MONEY", "ORDINAL", "PERCENT", "QUANTITY"), "QUANT"),
        **dict.fromkeys(("GPE", "LOC"), "PLACE"),
    }
)


def combine(entity_type: str) -> str | None:
    """The combined type of a raw one; None for the five that SLUE does not score. Any other type stays what it is."""
    return None if entity_type in _DROPPED else _COMBINED.get(entity_type, entity_type)
