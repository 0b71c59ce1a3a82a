"""Run one step of a recipe, unless it is up to date: `run_step.py --name N --exp DIR --stage S --resume true -- COMMAND...`.

utils/stages.sh calls it. The step's output goes to the terminal and to DIR/N.log, its stamp to DIR/N.stamp.json. A step whose stamp
differs is run again in stages 1, 2, 6 and 7; in stages 3-5, which may have taken days, it ends with a list of what differs.
"""

from __future__ import annotations

import argparse
import datetime
import fcntl
import json
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Any

import stamp

KEPT_STAGES = (3, 4, 5)  # what they made is never overwritten unasked
GROWING_STAGES = (1, 7)  # of a corpus, and of all that was scored, a new file counts
KEPT = 99  # exit status that tells utils/stages.sh that nothing was run


def main(argv: Sequence[str] | None = None) -> int:
    """Return the exit status: the command's own, 0 where the step is up to date, KEPT where it would overwrite a training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--exp", required=True, type=Path)
    parser.add_argument("--stage", required=True, type=int)
    parser.add_argument("--resume", required=True, choices=("true", "false"))
    parser.add_argument("command", nargs="+")
    args = parser.parse_args(argv)
    log_path = args.exp / f"{args.name}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("a", encoding="utf-8") as log:
        wait_for_others(log, args.name)
        return run_step(args, log)


def wait_for_others(log: IO[str], name: str) -> None:
    """Let runs of other seeds that share this step make it one after the other: the second then finds it up to date."""
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"{name}: another process is at it; waiting for it to end", flush=True)
        fcntl.flock(log, fcntl.LOCK_EX)
    except OSError:
        pass  # a file system without locks


def run_step(args: argparse.Namespace, log: IO[str]) -> int:
    """Decide, run and stamp."""
    stamp_path = args.exp / f"{args.name}.stamp.json"
    options = stamp.parse(args.command)
    out = Path(options["--out"]) if "--out" in options else None
    old = read_stamp(stamp_path)
    if args.resume == "false":
        old = None
        if args.stage in KEPT_STAGES and out is not None and out.exists():
            if args.exp.resolve() in out.resolve().parents:
                print(f"{args.name}: --resume false: deleting {out}", flush=True)
                shutil.rmtree(out)
            else:  # data, which the command itself replaces when it has made others
                print(f"{args.name}: --resume false: making {out} again", flush=True)
    now = stamp.describe(args.command, old)
    if old is not None:
        is_done = old["state"] == "done"
        lines = stamp.differences(old, now, new_files_count=args.stage in GROWING_STAGES)
        if not lines and is_done and all(Path(p).exists() for p in old["outputs"]):
            print(f"{args.name}: up to date", flush=True)
            return 0
        if args.stage in KEPT_STAGES and not is_done:
            # An unfinished training itself knows which of its settings may change on the way; of its data it knows nothing.
            lines = stamp.differences({**now, "inputs": old["inputs"]}, now, new_files_count=False)
        if lines and args.stage in KEPT_STAGES and out is not None and out.exists():
            print(f"{args.name}: {out} was made from something else, and is kept:", *lines, sep="\n  ")
            print(
                "undo the change, choose another --exp, or give --resume false to delete it and start afresh",
                flush=True,
            )
            return KEPT
        if lines:
            print(f"{args.name}: doing it again, because of", *lines, sep="\n  ", flush=True)
    if old is None or old["state"] == "done":
        log.truncate(0)
    write_stamp(stamp_path, {"state": "started", **now, "outputs": []})
    print(
        f"# {datetime.datetime.now().isoformat(timespec='seconds')} {shlex.join(args.command)}",
        file=log,
        flush=True,
    )
    began = time.time_ns()
    status = spawn(args.command, log)
    if status == 0:
        named = frozenset(word for words in stamp.parse_words(args.command).values() for word in words)
        done = stamp.after_run(now, stamp.describe(args.command, now), named)
        # Of a training the weights count: who deletes its checkpoints to save space does not want it again.
        outputs = stamp.outputs_of(args.command, None if args.stage in KEPT_STAGES else began)
        write_stamp(stamp_path, {"state": "done", **done, "outputs": outputs})
    return status


def read_stamp(path: Path) -> dict[str, Any] | None:
    """The stamp at `path`; None where there is none, or one that a crash has cut short."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return found if isinstance(found, dict) else None


def write_stamp(path: Path, content: dict[str, Any]) -> None:
    """Write through a temporary name, so that a stamp is whole or absent."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def spawn(command: Sequence[str], log: IO[str]) -> int:
    """Run `command` and copy what it prints to our output and to `log`; return its exit status (128 + n for signal n).

    On a terminal the command gets a terminal too, so that it draws its progress bar; the log gets whole lines only.
    """
    if sys.stdout.isatty():
        reader, writer = os.openpty()
        size = fcntl.ioctl(sys.stdout, termios.TIOCGWINSZ, b"\0" * 8)
        fcntl.ioctl(writer, termios.TIOCSWINSZ, size)
    else:
        reader, writer = os.pipe()
    parent = os.getppid()

    def stop(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            child.terminate()  # Ctrl-C reaches the child without us: it belongs to the terminal's group, as we do

    # A background job of a shell starts with SIGINT ignored; with a handler of ours here, the child starts with the default.
    signal.signal(signal.SIGINT, stop)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer)
    signal.signal(signal.SIGTERM, stop)
    os.close(writer)
    line = b""
    while True:
        ready = select.select([reader], [], [], 1.0)[0]
        if os.getppid() != parent:  # run.sh was killed: do not go on unseen
            child.terminate()
            parent = os.getppid()
        if not ready:
            continue
        try:
            chunk = os.read(reader, 65536)
        except OSError:  # a terminal whose other side has closed reads as an error
            chunk = b""
        if not chunk:
            break
        show(chunk)
        *lines, line = (line + chunk).split(b"\n")
        for text in lines:
            log.write(last_state(text) + "\n")
        log.flush()
    if line:
        log.write(last_state(line) + "\n")
        log.flush()
    os.close(reader)
    status = child.wait()
    return status if status >= 0 else 128 - status


def show(chunk: bytes) -> None:
    """Copy to our own output; a reader that has gone (`run.sh | head`) does not end the step."""
    try:
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def last_state(line: bytes) -> str:
    """What a line shows at its end: a progress bar redraws itself after each carriage return."""
    states = [state for state in line.split(b"\r") if state.strip()]
    return states[-1].decode("utf-8", "replace") if states else ""


if __name__ == "__main__":
    sys.exit(main())
