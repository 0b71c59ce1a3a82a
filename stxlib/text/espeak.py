"""eSpeak NG through ctypes: phones of text, and speech with word and phone times.

The engine keeps state from one sentence to the next and draws its noise from a seed of its own, so that the same
sentence would sound different at another place of a corpus. Here each synthesized utterance gets a freshly loaded
engine (4 ms) and a seed, and is therefore a function of its arguments alone (up to the rounding of the CPU).

The library comes with the package `espeakng-loader` (GPL-3, loaded when it is first needed, never shipped with us).
It is not thread safe; one lock holds it. Use processes to go faster.
"""

from __future__ import annotations

import ctypes
import functools
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stxlib.errors import ConfigError
from stxlib.text.phone_alignment import assign_to_words

# Values of espeak-ng/speak_lib.h, version 1.52.
_SYNCHRONOUS = 2  # output: call back while espeak_Synth runs
_OPTIONS = 0x1 | 0x2 | 0x8000  # phoneme events, in IPA, and never exit the process on an error
_UTF8 = 1
_IPA_BETWEEN_UNDERSCORES = 0x2 | ord("_") << 8
_EVENT_END, _EVENT_PHONEME = 0, 7
_RATE, _PITCH, _RANGE = 1, 3, 4

_STRESS = str.maketrans("", "", "ˈˌ\u200d")
_LANGUAGE_SWITCH = re.compile(
    r"\([a-z-]+\)"
)  # "(fr)", written around words that another language's rules spoke
_lock = threading.Lock()


@dataclass(frozen=True)
class Speech:
    """One synthesized utterance; times are seconds from its first sample."""

    samples: np.ndarray
    """(N,) float32 in [-1, 1]"""
    sample_rate: int
    words: list[tuple[str, float, float]]
    """(word, start, end) of each word that is spoken, in order"""
    phones: list[tuple[str, float, float]]
    """(phone, start, end), in order; pauses are left out"""


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("string", ctypes.c_char * 8),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def phonemize(lines: Sequence[str], voice: str = "en-us") -> list[list[list[str]]]:
    """Return the phones of each whitespace-separated word of each line: line -> words -> phones.

    Phones are IPA symbols without stress marks, with length marks ("ɔː"). Words are spoken in their context ("the" before
    a vowel); a word that eSpeak does not speak (a lone dash) has no phones. There are as many words as `line.split()` has.
    Raises ConfigError for an unknown voice, or when espeakng-loader is not installed.
    """
    with _engine(voice) as engine:
        alone = functools.cache(lambda word: [phone for spoken in engine.phones(word) for phone in spoken])
        return [_phones_by_word(engine.phones(line), line.split(), alone) for line in lines]


def synthesize(
    text: str,
    *,
    voice: str = "en-us",
    seed: int = 0,
    rate: int = 175,
    pitch: int = 50,
    pitch_range: int = 50,
) -> Speech:
    """Speak `text` and say when each word and phone is heard.

    `voice` is a language with an optional variant ("en-gb-x-rp+f2"), `rate` is words a minute (80-450), `pitch` and
    `pitch_range` are 0-100, and `seed` fixes the engine's noise. Raises ConfigError as `phonemize` does.
    """
    chunks: list[np.ndarray] = []
    events: list[tuple[str, int]] = []

    def receive(wave: Any, num_samples: int, event: Any) -> int:
        if num_samples > 0 and wave:
            chunks.append(np.ctypeslib.as_array(wave, (num_samples,)).copy())
        index = 0
        while event[index].type != _EVENT_END:
            if event[index].type == _EVENT_PHONEME:
                events.append(
                    (event[index].string.decode("utf-8", "ignore").translate(_STRESS), event[index].sample)
                )
            index += 1
        return 0

    with _engine(voice) as engine:
        sample_rate = engine.speak(text, receive, seed=seed, rate=rate, pitch=pitch, pitch_range=pitch_range)
        tokens = text.split()
        alone = [[phone for spoken in engine.phones(token) for phone in spoken] for token in tokens]
    wave = np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.int16)
    ends = [start for _, start in events[1:]] + [len(wave)]
    phones = [
        (phone, start / sample_rate, end / sample_rate)
        for (phone, start), end in zip(events, ends, strict=True)
        if phone
    ]
    groups = assign_to_words([phone for phone, _, _ in phones], alone)
    words, first = [], 0
    for token, group in zip(tokens, groups, strict=True):
        if group:
            words.append((token, phones[first][1], phones[first + len(group) - 1][2]))
            first += len(group)
    return Speech((wave / 32768).astype(np.float32), sample_rate, words, phones)


def variants() -> tuple[str, ...]:
    """Return the names that may follow "+" in a voice, sorted."""
    return tuple(sorted(path.name for path in (_loader_paths()[1] / "voices" / "!v").iterdir()))


def _phones_by_word(
    spoken: list[list[str]], words: list[str], alone: Callable[[str], list[str]]
) -> list[list[str]]:
    """Bring what eSpeak says into the words of the line: it runs some together ("of the"), and numbers apart."""
    # Equal counts are equal words, unless one is run together while a number ("23") is spoken as two.
    if len(spoken) == len(words) and all(word.strip(".,;:?!'").replace("'", "").isalpha() for word in words):
        return spoken
    start = 0
    while start < min(len(spoken), len(words)) and spoken[start] == alone(words[start]):
        start += 1
    stop = 0
    while stop < min(len(spoken), len(words)) - start and spoken[-1 - stop] == alone(words[-1 - stop]):
        stop += 1
    middle = words[start : len(words) - stop]
    phones = [phone for word in spoken[start : len(spoken) - stop] for phone in word]
    return (
        spoken[:start]
        + assign_to_words(phones, [alone(word) for word in middle])
        + spoken[len(spoken) - stop :]
    )


class _Engine:
    """One loaded and initialized library; see `_engine`."""

    def __init__(self, library: Any, sample_rate: int) -> None:
        self.library = library
        self.sample_rate = sample_rate

    def phones(self, text: str) -> list[list[str]]:
        """Return the phones of `text`, in the words that eSpeak makes of it (not always those of the text)."""
        pointer = ctypes.c_char_p(text.encode())
        words: list[list[str]] = []
        while pointer.value is not None:  # one clause a call
            clause = self.library.espeak_TextToPhonemes(
                ctypes.byref(pointer), _UTF8, _IPA_BETWEEN_UNDERSCORES
            ).decode()
            for word in _LANGUAGE_SWITCH.sub("", clause).translate(_STRESS).split():
                if phones := [phone for phone in word.split("_") if phone.strip("-")]:
                    words.append(phones)
        return words

    def speak(
        self,
        text: str,
        receive: Callable[[Any, int, Any], int],
        *,
        seed: int,
        rate: int,
        pitch: int,
        pitch_range: int,
    ) -> int:
        """Speak into `receive` and return the sample rate."""
        callback = _Callback(receive)
        self.library.espeak_SetSynthCallback(callback)
        self.library.espeak_ng_SetRandSeed(ctypes.c_long(seed & 0x7FFFFFFF))
        for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_RANGE, pitch_range)):
            self.library.espeak_SetParameter(parameter, value, 0)
        encoded = text.encode()
        self.library.espeak_Synth(encoded, ctypes.c_size_t(len(encoded) + 1), 0, 1, 0, _UTF8, None, None)
        self.library.espeak_Synchronize()
        return self.sample_rate


@contextmanager
def _engine(voice: str) -> Iterator[_Engine]:
    library_path, data_path = _loader_paths()
    with _lock:
        library = ctypes.CDLL(str(library_path))
        try:
            sample_rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(data_path).encode(), _OPTIONS)
            if sample_rate <= 0:
                raise ConfigError(
                    f"{data_path}: eSpeak NG cannot read its data here; reinstall espeakng-loader, in a shorter path"
                )
            library.espeak_TextToPhonemes.restype = ctypes.c_char_p
            _set_voice(library, voice)
            yield _Engine(library, sample_rate)
            library.espeak_Terminate()
        finally:
            _unload(library)


def _set_voice(library: Any, voice: str) -> None:
    _, _, variant = voice.partition("+")
    if variant and variant not in variants():
        raise ConfigError(
            f"voice {voice}: eSpeak NG has no variant {variant!r}; it has {' '.join(variants())}"
        )
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise ConfigError(
            f"voice {voice}: eSpeak NG has no such voice; use a language code such as en-us, en-gb-x-rp, de"
        )


def _unload(library: Any) -> None:
    import _ctypes

    # Each function object keeps a pointer into the library: they go with `library`, whose last use this is.
    if sys.platform == "win32":
        _ctypes.FreeLibrary(library._handle)
    else:
        _ctypes.dlclose(library._handle)


@functools.cache
def _loader_paths() -> tuple[Path, Path]:
    try:
        import espeakng_loader  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigError(
            "espeakng-loader: not installed, and it brings the voices and the phones; "
            "run tools/setup.sh, or pip install espeakng-loader"
        ) from error
    return Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path())
