"""Where corpora are had: what may be fetched by a command, and for the others the place and the terms."""

from __future__ import annotations

from dataclasses import dataclass

OPENSLR = "https://www.openslr.org/resources"
_SLUE = "https://github.com/asappresearch/slue-toolkit (scripts/download_datasets.sh), or asapp/slue on Hugging Face"


@dataclass(frozen=True)
class Fetched:
    """A corpus of files at one address."""

    address: str
    """of the folder that the files are in"""
    files: tuple[str, ...]
    default: tuple[str, ...]
    """those that are fetched where none are named"""
    licence: str
    checksums: str = ""
    """the publisher's list of md5 sums beside the files; empty where there is none"""


@dataclass(frozen=True)
class Asked:
    """A corpus that is not fetched by a command here."""

    where: str
    licence: str
    why: str


SOURCES: dict[str, Fetched | Asked] = {
    "librispeech": Fetched(
        address=f"{OPENSLR}/12",
        files=tuple(
            f"{part}.tar.gz"
            for part in (
                "train-clean-100",
                "train-clean-360",
                "train-other-500",
                "dev-clean",
                "dev-other",
                "test-clean",
                "test-other",
            )
        ),
        default=tuple(
            f"{part}.tar.gz"
            for part in ("train-clean-100", "dev-clean", "dev-other", "test-clean", "test-other")
        ),
        licence="CC BY 4.0",
        checksums="md5sum.txt",
    ),
    "mini_librispeech": Fetched(
        address=f"{OPENSLR}/31",
        files=("train-clean-5.tar.gz", "dev-clean-2.tar.gz"),
        default=("train-clean-5.tar.gz", "dev-clean-2.tar.gz"),
        licence="CC BY 4.0",
        checksums="md5sum.txt",
    ),
    "librispeech_lm": Fetched(
        address=f"{OPENSLR}/11",
        files=(
            "librispeech-lm-norm.txt.gz",
            "librispeech-vocab.txt",
            "librispeech-lexicon.txt",
            "3-gram.pruned.3e-7.arpa.gz",
            "3-gram.pruned.1e-7.arpa.gz",
            "3-gram.arpa.gz",
            "4-gram.arpa.gz",
        ),
        default=("librispeech-lm-norm.txt.gz", "librispeech-lexicon.txt"),
        licence="public domain",
    ),
    "libri_light": Fetched(
        address="https://dl.fbaipublicfiles.com/librilight/data",
        files=("librispeech_finetuning.tgz",),
        default=("librispeech_finetuning.tgz",),
        licence="a part of LibriSpeech, CC BY 4.0",
    ),
    "slurp": Asked(
        where="text: https://github.com/pswietojanski/slurp (dataset/slurp); audio: https://zenodo.org/record/4274930 "
        "(slurp_real.tar.gz, slurp_synth.tar.gz)",
        licence="text CC BY 4.0, audio CC BY-NC 4.0",
        why="its audio is for non-commercial use, which is yours to agree to",
    ),
    "slue": Asked(
        where=_SLUE, licence="VoxCeleb CC BY 4.0, VoxPopuli CC0", why="part of it is behind a form"
    ),
    "slue_voxceleb": Asked(where=_SLUE, licence="CC BY 4.0", why="part of it is behind a form"),
    "slue_voxpopuli": Asked(
        where=_SLUE, licence="CC0", why="it comes with slue_voxceleb, part of which is behind a form"
    ),
    "stop": Asked(
        where="https://dl.fbaipublicfiles.com/stop/stop.tar.gz",
        licence="its own, the STOP Dataset License Agreement (https://dl.fbaipublicfiles.com/stop/LICENSE.txt); TOPv2, its text, CC BY-SA 4.0",
        why="its agreement is yours to read and agree to",
    ),
    "fsc": Asked(
        where="https://fluent.ai/fluent-speech-commands-a-dataset-for-spoken-language-understanding-research/",
        licence="its own: research, no redistribution",
        why="its licence has to be agreed to there",
    ),
}
