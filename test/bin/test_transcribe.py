"""stxlib.bin.transcribe: the text that stxlib.bin.decode gives, for any file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from toy_network import speech

from stxlib.bin import decode
from stxlib.bin.transcribe import Transcriber, main
from stxlib.data.tables import read_table, write_table
from stxlib.decode.ctc_greedy import CtcGreedyConfig
from stxlib.decode.recognizer import keep_decoder
from stxlib.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Short files of other formats, rates and numbers of channels."""
    folder = tmp_path_factory.mktemp("files")
    soundfile.write(folder / "a.wav", speech(1.2, 1), 16000)
    soundfile.write(folder / "b.flac", np.stack([speech(0.8, 2, 22050), speech(0.8, 3, 22050)], 1), 22050)
    soundfile.write(folder / "c.ogg", speech(1.5, 4, 8000), 8000)
    soundfile.write(folder / "d.mp3", speech(1.0, 5, 44100), 44100)
    return sorted(folder.iterdir())


@pytest.mark.parametrize("kept", [None, CtcGreedyConfig()])
def test_the_text_is_that_of_decode(
    model: Path,
    files: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kept: CtcGreedyConfig | None,
) -> None:
    if kept:
        keep_decoder(model, kept)
    try:
        write_table(tmp_path / "data" / "wav.scp", {path.stem: str(path) for path in files})
        how = ["--decoder.kind", "default"] if kept else []
        decode.main(
            ["--model", str(model), "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), *how]
        )
        expected = read_table(tmp_path / "out" / "text", allow_empty=True)
        assert len(set(expected.values())) == 4, expected
        capsys.readouterr()
        main(["--model", str(model), *map(str, files)])
        assert capsys.readouterr().out == "".join(f"{path}\t{expected[path.stem]}\n" for path in files)
    finally:
        (model / "decode.yaml").unlink(missing_ok=True)


def test_from_python(model: Path, files: list[Path]) -> None:
    transcriber = Transcriber(model, device="cpu")
    transcript = transcriber.transcribe(files[0])
    (segment,) = transcript.segments
    assert transcript.text == segment.text and transcript.score == segment.score
    assert segment.start == 0 and segment.end == pytest.approx(1.2)
    wave, rate = soundfile.read(files[0], dtype="float32")
    assert transcriber.transcribe_wave(wave, rate) == transcript


def test_a_long_file_is_cut_at_pauses(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silence = np.zeros(8000, dtype=np.float32)
    parts = [speech(2.0, 1), silence, speech(1.5, 2), silence, speech(2.2, 3), silence, speech(0.8, 4)]
    soundfile.write(tmp_path / "long.wav", np.concatenate(parts), 16000)
    main(["--model", str(model), str(tmp_path / "long.wav"), "--segments", "true", "--max_seconds", "3"])
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert {line[0] for line in lines} == {str(tmp_path / "long.wav")}
    ends = [float(line[2]) for line in lines]
    assert [float(line[1]) for line in lines] == [0.0, *ends[:-1]] and ends[-1] == pytest.approx(8.0)
    assert len(lines) == 4
    for end, (first, last) in zip(ends, [(2.0, 2.5), (4.0, 4.5), (6.7, 7.2)], strict=False):
        assert first < end < last
    main(["--model", str(model), str(tmp_path / "long.wav"), "--max_seconds", "3"])
    text = capsys.readouterr().out.rstrip("\n").split("\t")[1]
    assert text == " ".join(line[3] for line in lines if line[3])
    # In batches of one piece the text is the same.
    alone = Transcriber(model, max_seconds=3, batch_seconds=0.1).transcribe(tmp_path / "long.wav")
    assert alone.text == text


def test_a_file_that_cannot_be_read_does_not_keep_back_the_others(
    model: Path, files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    with pytest.raises(
        DataError,
        match=r"2 of 3 files cannot be read: .*none\.wav.*no such file.*broken\.wav.*; give audio files",
    ):
        main(["--model", str(model), str(tmp_path / "none.wav"), str(tmp_path / "broken.wav"), str(files[0])])
    assert capsys.readouterr().out.startswith(f"{files[0]}\t")


def test_mistakes_have_messages(model: Path, files: list[Path]) -> None:
    with pytest.raises(ConfigError, match="no file is given"):
        main(["--model", str(model)])
    with pytest.raises(ConfigError, match="max_seconds 1"):
        main(["--model", str(model), str(files[0]), "--max_seconds", "1"])
    with pytest.raises(DataError, match=r"network\.yaml: not there"):
        main(["--model", str(files[0].parent), str(files[0])])
