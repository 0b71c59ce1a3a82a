"""The folder of a run: its config, its log, its TensorBoard curves, and what a person watches."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from stxlib.atomic import written_whole
from stxlib.config import dump_config, flatten
from stxlib.train.best import FOLDER as BEST
from stxlib.train.checkpoint import BACKUP, DAMAGED, NEWEST
from stxlib.train.settings import Setting

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.tensorboard import SummaryWriter

CONFIG = "config.yaml"
LOG = "train.log"
TENSORBOARD = "tensorboard"


class RunDir:
    """`<run>/{config.yaml, train.log, tensorboard/, checkpoint*.safetensors, best/, bad_batch_*}`.

    name: the stage, `pretrain` or `train`; begins every line.
    config: the config of the whole command (a dataclass), compared key by key when the run goes on.
    sources: dotted key -> where its value came from, as `parse_config` reports.
    harmless: patterns of keys that may change between two starts of a run (`out`), beside those of settings.py.
    is_main: False on ranks that neither log nor write; their calls do nothing.
    """

    def __init__(
        self,
        path: Path | str,
        name: str,
        *,
        config: Any,
        sources: Mapping[str, str] | None = None,
        harmless: tuple[str, ...] = (),
        is_main: bool = True,
    ) -> None:
        self.path = Path(path)
        self.name = name
        self.is_main = is_main
        self.harmless = harmless
        self.sources = dict(sources or {})
        self.settings: dict[str, Setting] = {key: _plain(value) for key, value in flatten(config).items()}
        self._config_yaml = dump_config(config)
        self._bar: tqdm[Any] | None = None
        self._writer: SummaryWriter | None = None
        self._purge_after: int | None = None
        self.path.mkdir(parents=True, exist_ok=True)

    def write_config(self) -> None:
        """Write `config.yaml`, which `--config` reads back."""
        if self.is_main:
            with written_whole(self.path / CONFIG) as temporary:
                temporary.write_text(self._config_yaml, encoding="utf-8")

    def clear(self) -> None:
        """Start afresh: remove checkpoints and curves. The log is kept and goes on."""
        if self.is_main:
            for name in (NEWEST, BACKUP, DAMAGED):
                (self.path / name).unlink(missing_ok=True)
            for name in (BEST, TENSORBOARD):
                shutil.rmtree(self.path / name, ignore_errors=True)

    def log(self, message: str) -> None:
        """Lines for a person: to the screen (above the bar), and with the time to `train.log`."""
        if not self.is_main:
            return
        if self._bar is None:
            print(message, flush=True)
        else:
            self._bar.write(message, file=sys.stdout)
        self._append(message)

    def open_bar(self, start: int, stop: int) -> None:
        """Show a bar if a person watches a terminal; a file or a pipe gets plain lines instead."""
        if self.is_main and sys.stdout.isatty() and sys.stderr.isatty() and start < stop:
            self._bar = tqdm(initial=start, total=stop, desc=self.name, unit="step", dynamic_ncols=True)

    def advance_bar(self) -> None:
        """One step is done."""
        if self._bar is not None:
            self._bar.update()

    def report(self, summary: str, line: str) -> None:
        """The figures of the last steps: `summary` behind the bar, or `line` where there is none."""
        if self._bar is None:
            self.log(line)
        else:
            self._bar.set_postfix_str(summary, refresh=False)
            self._append(line)

    def purge_curves(self, after: int) -> None:
        """Curves of an earlier start of the run are cut behind this step, where this start goes on."""
        self._purge_after = after

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Points of TensorBoard curves; step: how many are done."""
        if self.is_main:
            for tag, value in values.items():
                self._tensorboard.add_scalar(tag, value, step)

    def pictures_and_texts(self, step: int, images: Mapping[str, Tensor], texts: Mapping[str, str]) -> None:
        """Images, (H, W) or (C, H, W) in 0..1, and texts, shown as they are, for TensorBoard."""
        if self.is_main:
            for tag, image in images.items():
                layout = "HW" if image.ndim == 2 else "CHW"
                self._tensorboard.add_image(tag, image.detach().float().cpu(), step, dataformats=layout)
            for tag, text in texts.items():
                # Four spaces make it preformatted: TensorBoard would read it as Markdown.
                indented = "\n".join("    " + line for line in text.splitlines())
                self._tensorboard.add_text(tag, indented, step)

    def flush(self) -> None:
        """Write out what TensorBoard's writer still holds."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Take the bar away and finish the curves."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    @property
    def _tensorboard(self) -> SummaryWriter:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # slow to import, and unused by --help

            purge = None if self._purge_after is None else self._purge_after + 1
            self._writer = SummaryWriter(str(self.path / TENSORBOARD), purge_step=purge, flush_secs=30)
        return self._writer

    def _append(self, message: str) -> None:
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.writelines(f"{now} {line}\n" for line in message.splitlines())


def _plain(value: Any) -> Setting:
    """A setting as JSON gives it back: tuples are lists, paths are strings."""
    if isinstance(value, (tuple, list)):
        return [item if isinstance(item, (bool, int, float)) or item is None else str(item) for item in value]
    return value if isinstance(value, (bool, int, float)) or value is None else str(value)
