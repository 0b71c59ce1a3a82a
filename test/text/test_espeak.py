"""eSpeak's phones and speech: words stay apart, times lie in the audio, and the order of calls changes nothing."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest

from stxlib.errors import ConfigError
from stxlib.text import espeak
from stxlib.text.phone_alignment import assign_to_words

LINES = (
    "what is the weather in a small town of the hills",
    "i am not going to have it for a while",
    "in the 23 streets - of it's",
    "",
    "the apple is at the station",
)


def test_each_word_has_its_phones_where_espeak_runs_words_together() -> None:
    phones = espeak.phonemize(LINES, "en-us")
    assert [len(words) for words in phones] == [len(line.split()) for line in LINES]
    hills = dict(zip(LINES[0].split(), phones[0], strict=True))
    assert hills["of"] == ["ʌ", "v"] and hills["small"] == ["s", "m", "ɔː", "l"]
    assert phones[1][-3:] == [["f", "ɚ", "ɹ"], ["ə"], ["w", "aɪ", "l"]]  # eSpeak says "for a" as one word
    assert (
        "".join(phones[2][2]) == "twɛntiθɹiː" and phones[2][4] == []
    )  # a number is one word, a dash is none
    assert not any(mark in phone for line in phones for word in line for phone in word for mark in "ˈˌ_() ")


def test_phones_depend_on_the_voice_and_the_context_only() -> None:
    phones = espeak.phonemize(LINES, "en-us")
    assert espeak.phonemize(LINES[::-1], "en-us")[::-1] == phones
    assert phones[4][0] != phones[4][4]  # "the apple", "the station"
    assert espeak.phonemize(["a small car"], "en-gb-x-rp") != espeak.phonemize(["a small car"], "en-us")


def test_speech_is_a_function_of_its_arguments() -> None:
    def speak(line: str, seed: int = 1) -> np.ndarray:
        return espeak.synthesize(line, voice="en-gb-x-rp+f2", seed=seed, rate=160, pitch=60).samples

    first = [speak(line) for line in LINES[:3]]
    for line, samples in reversed(list(zip(LINES, first, strict=False))):
        np.testing.assert_array_equal(speak(line), samples)
    assert not np.array_equal(speak(LINES[0], seed=2), first[0])


def test_times_are_ordered_and_phones_agree_with_phonemize() -> None:
    line = LINES[1]
    speech = espeak.synthesize(line, voice="en-us", rate=150)
    seconds = len(speech.samples) / speech.sample_rate
    assert speech.samples.dtype == np.float32 and np.abs(speech.samples).max() > 0.05
    assert [word for word, _, _ in speech.words] == line.split()
    for stream in (speech.words, speech.phones):
        assert all(0 <= start <= end <= seconds for _, start, end in stream)
        assert all(before[2] <= after[1] + 1e-9 for before, after in itertools.pairwise(stream))
    spoken = [phone for phone, _, _ in speech.phones]
    assert spoken == [phone for word in espeak.phonemize([line], "en-us")[0] for phone in word]
    faster = espeak.synthesize(line, voice="en-us", rate=220)
    assert len(faster.samples) < 0.85 * len(speech.samples)
    # What is heard agrees with what is said: the last word ends where the sound does.
    loud = np.flatnonzero(np.abs(speech.samples) > 0.02 * np.abs(speech.samples).max())
    assert abs(loud[-1] / speech.sample_rate - speech.words[-1][2]) < 0.08


def test_phones_go_to_the_nearest_word() -> None:
    assert assign_to_words(list("abcd"), ["ab", "cd"]) == [["a", "b"], ["c", "d"]]
    assert assign_to_words(list("abxcd"), ["ab", "cd"]) == [["a", "b", "x"], ["c", "d"]]
    assert assign_to_words(list("acd"), ["ab", "", "cd"]) == [["a"], [], ["c", "d"]]
    assert assign_to_words(list("ab"), ["", ""]) == [["a", "b"], []]
    assert assign_to_words([], ["ab"]) == [[]] and assign_to_words(["a"], []) == []


@pytest.mark.parametrize(("voice", "named"), [("en-zz", "en-zz"), ("en-us+nobody", "nobody")])
def test_an_unknown_voice_is_named(voice: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        espeak.phonemize(["a"], voice)


def test_without_the_package_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    espeak._loader_paths.cache_clear()
    with pytest.raises(ConfigError, match="espeakng-loader: not installed.*tools/setup.sh"):
        espeak.phonemize(["a"], "en-us")
