"""Audio as float32: files through soundfile, archives through kaldiio, `command |` only where it is allowed."""

from __future__ import annotations

import io
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from stxlib.data import kaldi
from stxlib.errors import DataError

# Segment times are often rounded: an end so little past the end of the recording means the end.
END_TOLERANCE_SECONDS = 0.05
_MP3_PREROLL = 16 * 1152
_ARCHIVE = re.compile(r"(.+):(\d+)")


class UnreadableAudio(DataError):
    """Audio that is missing, damaged, empty or not finite: what `max_bad_utts` may let pass."""


@dataclass(frozen=True)
class AudioSource:
    """Where a recording lies: a file, a place in an archive, or the output of a command."""

    path: str = ""
    offset: int | None = None
    command: str = ""

    @classmethod
    def parse(cls, value: str) -> AudioSource:
        """Read a value of `wav.scp`: `a.flac`, `a.ark:12`, or `sph2pipe a.sph |`."""
        if value.endswith("|"):
            return cls(command=value[:-1].strip())
        archive = _ARCHIVE.fullmatch(value)
        return cls(path=archive[1], offset=int(archive[2])) if archive else cls(path=value)

    def __str__(self) -> str:
        if self.command:
            return f"{self.command} |"
        return self.path if self.offset is None else f"{self.path}:{self.offset}"


def read_source(
    source: AudioSource, *, allow_pipes: bool, start: float = 0.0, end: float = -1.0
) -> tuple[np.ndarray, int]:
    """Mono samples (N,) float32 in [-1, 1] and their rate in Hz; channels are averaged.

    start, end: the part to read, in seconds; end -1 is the end of the recording. Only that part of a file is decoded.
    Raises `UnreadableAudio` with the cause; `DataError` for a command that is not allowed.
    """
    if source.command or source.offset is not None:
        samples, rate = _run(source.command, allow_pipes) if source.command else _read_archive(source)
        first, last = _cut(start, end, len(samples), rate)
        samples = samples[first:last]
    else:
        try:
            with soundfile.SoundFile(source.path) as file:
                rate = file.samplerate
                first, last = _cut(start, end, file.frames, rate)
                # An mp3 frame may need bits of earlier ones: after a seek the first few are noise or silence.
                before = min(first, _MP3_PREROLL) if file.format == "MP3" else 0
                if first:
                    file.seek(first - before)
                samples = file.read(before + last - first, dtype="float32")[before:]
                if len(samples) < last - first - END_TOLERANCE_SECONDS * rate:
                    read, there = (first + len(samples)) / rate, last / rate
                    raise UnreadableAudio(
                        f"{source.path}: the audio breaks off after {read:.2f} of {there:.2f} s"
                    )
        except (OSError, soundfile.SoundFileError) as error:
            raise UnreadableAudio(f"{source.path}: {_cause(source.path, error)}") from None
    if samples.ndim == 2:
        samples = samples.mean(axis=1, dtype=np.float32)
    if not len(samples):
        raise UnreadableAudio(f"{source}: zero length")
    # The sum is finite unless a sample is not (or the sum overflows), and costs a tenth of testing each sample.
    if not np.isfinite(samples.sum()) and not np.isfinite(samples).all():
        raise UnreadableAudio(f"{source}: {int((~np.isfinite(samples)).sum())} samples are NaN or infinite")
    return samples, rate


def measure_source(source: AudioSource, *, allow_pipes: bool) -> tuple[int, int]:
    """Number of samples and rate in Hz of a whole recording: from the header of a file, by reading of all else."""
    if source.command or source.offset is not None:
        samples, rate = _run(source.command, allow_pipes) if source.command else _read_archive(source)
        return len(samples), rate
    try:
        header = soundfile.info(source.path)
    except (OSError, soundfile.SoundFileError) as error:
        raise UnreadableAudio(f"{source.path}: {_cause(source.path, error)}") from None
    return int(header.frames), int(header.samplerate)


def resample_wave(wave: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Resample (N,) float32 samples; only the ratio of the two rates matters."""
    if from_rate == to_rate:
        return wave
    import torch

    from stxlib.ops.features import resample  # late: it imports torchaudio, which most runs can do without

    resampled: np.ndarray = resample(torch.from_numpy(wave), from_rate, to_rate).numpy()
    return resampled


def write_wave(path: Path | str, wave: np.ndarray, sample_rate: int) -> None:
    """Write (N,) samples in [-1, 1] as 16 bit; the name's ending (.wav, .flac) is the format."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(str(path), wave, sample_rate, subtype="PCM_16")


def _cut(start: float, end: float, num_samples: int, rate: int) -> tuple[int, int]:
    first = round(start * rate)
    last = num_samples if end == -1 else round(end * rate)
    if last > num_samples + END_TOLERANCE_SECONDS * rate or first >= max(num_samples, 1):
        seconds = num_samples / rate
        raise UnreadableAudio(
            f"segment {start:g} to {end:g} s is past the end of the recording ({seconds:.3f} s)"
        )
    return first, max(first, min(last, num_samples))


def _read_archive(source: AudioSource) -> tuple[np.ndarray, int]:
    assert source.offset is not None
    try:
        return kaldi.read_audio_entry(source.path, source.offset)
    except OSError as error:
        raise UnreadableAudio(f"{source}: {_cause(source.path, error)}") from None
    except DataError as error:
        raise UnreadableAudio(str(error)) from None


def _run(command: str, allow_pipes: bool) -> tuple[np.ndarray, int]:
    if not allow_pipes:
        raise DataError(
            f"`{command} |` would run a command, and data is not code; "
            "read it, then give --allow_pipes true, or write its output to a file"
        )
    process = subprocess.run(command, shell=True, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    if process.returncode:
        last = process.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise UnreadableAudio(f"`{command} |` ended with status {process.returncode}: {last}")
    try:
        samples: Any
        samples, rate = soundfile.read(io.BytesIO(process.stdout), dtype="float32")
    except soundfile.SoundFileError as error:
        raise UnreadableAudio(f"`{command} |` wrote no audio: {error}") from None
    return samples, int(rate)


def _cause(path: str, error: Exception) -> str:
    # libsndfile says "System error" for a file that is not there
    if not Path(path).exists():
        return "missing audio: there is no such file"
    if not Path(path).stat().st_size:
        return "the file is empty (0 bytes)"
    return getattr(error, "error_string", None) or str(error)
