from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stxlib.data import kaldi
from stxlib.data.audio import (
    AudioSource,
    UnreadableAudio,
    measure_source,
    read_source,
    resample_wave,
    write_wave,
)
from stxlib.errors import ConfigError, DataError

RATE = 16000


def tone(seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def read(
    value: str, *, allow_pipes: bool = False, start: float = 0.0, end: float = -1.0
) -> tuple[np.ndarray, int]:
    return read_source(AudioSource.parse(value), allow_pipes=allow_pipes, start=start, end=end)


@pytest.mark.parametrize(
    ("suffix", "tolerance"), [("wav", 1e-4), ("flac", 1e-4), ("ogg", 0.05), ("mp3", 0.05)]
)
def test_every_format_is_read_and_measured(tmp_path: Path, suffix: str, tolerance: float) -> None:
    path = tmp_path / f"a ü:3.{suffix}"
    soundfile.write(path, tone(), RATE)
    wave, rate = read(str(path))
    assert (wave.dtype, wave.shape, rate) == (np.float32, (RATE,), RATE)
    assert np.abs(wave - tone()).max() < tolerance
    assert measure_source(AudioSource.parse(str(path)), allow_pipes=False) == (RATE, RATE)
    part, _ = read(str(path), start=0.25, end=0.5)
    np.testing.assert_allclose(part, wave[4000:8000], atol=1e-3)


def test_channels_are_averaged(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([tone(), -tone(), tone()], axis=1), RATE)
    wave, _ = read(str(tmp_path / "a.wav"))
    np.testing.assert_allclose(wave, tone() / 3, atol=1e-4)


def test_a_segment_ends_with_its_recording(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), RATE)
    assert len(read(str(tmp_path / "a.wav"), start=0.5)[0]) == RATE // 2
    assert len(read(str(tmp_path / "a.wav"), start=0.5, end=1.04)[0]) == RATE // 2  # rounded times
    with pytest.raises(
        UnreadableAudio, match=r"segment 0.5 to 1.2 s is past the end of the recording \(1.000 s\)"
    ):
        read(str(tmp_path / "a.wav"), start=0.5, end=1.2)
    with pytest.raises(UnreadableAudio, match="past the end"):
        read(str(tmp_path / "a.wav"), start=1.0)


def test_missing_empty_damaged_and_broken_off_audio_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableAudio, match="missing audio: there is no such file"):
        read(str(tmp_path / "none.wav"))
    (tmp_path / "empty.wav").touch()
    with pytest.raises(UnreadableAudio, match="0 bytes"):
        read(str(tmp_path / "empty.wav"))
    soundfile.write(tmp_path / "zero.wav", np.zeros(0), RATE)
    with pytest.raises(UnreadableAudio, match="zero length"):
        read(str(tmp_path / "zero.wav"))
    (tmp_path / "text.wav").write_text("no audio at all")
    with pytest.raises(UnreadableAudio, match=r"text\.wav: "):
        read(str(tmp_path / "text.wav"))
    for suffix in ("flac", "mp3"):
        path = tmp_path / f"half.{suffix}"
        soundfile.write(path, np.random.default_rng(0).standard_normal(3 * RATE) * 0.1, RATE)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(UnreadableAudio):
            read(str(path))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_counted(tmp_path: Path, bad: float) -> None:
    wave = tone()
    wave[[3, 5]] = bad
    soundfile.write(tmp_path / "a.wav", wave, RATE, subtype="FLOAT")
    with pytest.raises(UnreadableAudio, match="2 samples are NaN or infinite"):
        read(str(tmp_path / "a.wav"))


def test_a_command_runs_only_where_it_is_allowed(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), RATE)
    value = f"touch {tmp_path}/ran; cat {tmp_path}/a.wav |"
    with pytest.raises(
        DataError, match=r"`touch .*/a.wav \|` would run a command.*--allow_pipes true"
    ) as error:
        read(value)
    assert not isinstance(error.value, UnreadableAudio)  # max_bad_utts must not let it pass
    assert not (tmp_path / "ran").exists()
    wave, rate = read(value, allow_pipes=True, start=0.5)
    assert (len(wave), rate) == (RATE // 2, RATE)
    assert (tmp_path / "ran").exists()
    assert measure_source(AudioSource.parse(value), allow_pipes=True) == (RATE, RATE)
    with pytest.raises(UnreadableAudio, match="ended with status 3: oh no"):
        read("echo oh no >&2; exit 3 |", allow_pipes=True)
    with pytest.raises(UnreadableAudio, match="wrote no audio"):
        read("echo hello |", allow_pipes=True)


def test_archives_are_read_at_their_offsets(tmp_path: Path) -> None:
    pytest.importorskip("kaldiio")
    ark, scp = tmp_path / "ü.ark", tmp_path / "w.scp"
    pcm = (tone() * 32767).astype(np.int16)
    kaldi.write_archive(ark, scp, {"a": (RATE, pcm), "b": (8000, pcm[: RATE // 2])})
    values = dict(line.split() for line in scp.read_text().splitlines())
    wave, rate = read(values["b"])
    assert rate == 8000
    np.testing.assert_array_equal(wave, pcm[: RATE // 2].astype(np.float32) / 32768)
    assert measure_source(AudioSource.parse(values["a"]), allow_pipes=False) == (RATE, RATE)
    # Byte for byte what Kaldi writes: the id, a blank, then a RIFF file of its own.
    content = ark.read_bytes()
    wav = io.BytesIO()
    soundfile.write(wav, pcm, RATE, format="WAV")
    assert content.startswith(b"a " + wav.getvalue())
    with pytest.raises(UnreadableAudio, match="past the end of the file"):
        read(f"{ark}:{len(content)}")
    with pytest.raises(UnreadableAudio, match="missing audio"):
        read(f"{tmp_path}/none.ark:3")


def test_an_archive_of_pickles_or_matrices_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("kaldiio")
    (tmp_path / "evil.ark").write_bytes(b"a PKL\x80\x04N.")
    with pytest.raises(UnreadableAudio, match="pickle, which is code"):
        read(f"{tmp_path}/evil.ark:2")
    kaldi.write_archive(tmp_path / "m.ark", tmp_path / "m.scp", {"a": np.ones((3, 2), np.float32)})
    np.testing.assert_array_equal(kaldi.read_entry(tmp_path / "m.ark", 2), np.ones((3, 2)))
    with pytest.raises(UnreadableAudio, match="without a sample rate"):
        read(f"{tmp_path}/m.ark:2")


def test_without_kaldiio_archives_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kaldiio", None)
    monkeypatch.setitem(sys.modules, "kaldiio.matio", None)
    (tmp_path / "a.ark").write_bytes(b"a RIFF")
    with pytest.raises(ConfigError, match=r"pip install 'stxlib\[kaldi\]'"):
        read(f"{tmp_path}/a.ark:2")


def test_kaldiio_is_imported_in_one_module_only() -> None:
    sources = list((Path(__file__).parents[2] / "stxlib").rglob("*.py"))
    assert len(sources) > 10
    assert [path.name for path in sources if "import kaldiio" in path.read_text()] == ["kaldi.py"]


def test_resampling_keeps_a_tone(tmp_path: Path) -> None:
    resampled = resample_wave(tone(rate=8000), 8000, RATE)
    assert resampled.shape == (RATE,)
    np.testing.assert_allclose(resampled[500:-500], tone()[500:-500], atol=2e-3)
    assert resample_wave(resampled, RATE, RATE) is resampled


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_wave(tmp_path / "new" / "a.flac", tone(), RATE)
    np.testing.assert_allclose(read(str(tmp_path / "new" / "a.flac"))[0], tone(), atol=1e-4)
