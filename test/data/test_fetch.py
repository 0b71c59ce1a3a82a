"""Downloads, from a server on this machine that breaks off, refuses, and changes its files."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import re
import shutil
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from stxlib.data.corpus_source import SOURCES, Asked
from stxlib.data.fetch import fetch, md5_of, read_md5sums
from stxlib.errors import ConfigError, DataError

ROOT = Path(__file__).parents[2]
CONTENT = bytes(range(256)) * 12_000  # 3 MB


class Server(ThreadingHTTPServer):
    """Files by path, and how it misbehaves."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"/a.bin": CONTENT}
        self.breaks_after: list[int] = []  # bytes, for one answer after the other
        self.refusals: list[int] = []  # statuses, likewise
        self.has_ranges = True
        self.has_tags = True
        self.has_lengths = True
        self.is_chunked = False
        self.requests: list[tuple[str, str]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *words: object) -> None:
        pass

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range", "")
        server.requests.append((self.path, wanted))
        content = server.files.get(self.path)
        if content is None or server.refusals:
            self.send_error(server.refusals.pop(0) if content is not None else 404)
            return
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        found = re.fullmatch(r"bytes=(\d+)-", wanted)
        start = 0
        if found and server.has_ranges and self.headers.get("If-Range", tag) == tag:
            start = int(found[1])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if server.has_tags:
            self.send_header("ETag", tag)
        stop = start + server.breaks_after.pop(0) if server.breaks_after else None
        if server.is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(
                b"%x\r\n%s\r\n" % (len(content[start:stop]), content[start:stop]) if stop != start else b""
            )
            self.wfile.write(b"0\r\n\r\n" if stop is None else b"")
        else:
            if server.has_lengths:
                self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:stop])
        self.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def get(server: Server, path: Path, **options: object) -> str:
    return fetch(f"{server.address}/a.bin", path, **{"pause_seconds": 0.0, **options})  # type: ignore[arg-type]


def ranges(server: Server) -> list[str]:
    return [wanted for _, wanted in server.requests]


def test_a_file_comes_whole_and_once(server: Server, tmp_path: Path) -> None:
    seen = []
    path = tmp_path / "new" / "a.bin"
    get(
        server,
        path,
        md5=hashlib.md5(CONTENT).hexdigest().upper(),
        progress=lambda *counts: seen.append(counts),
    )
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    get(server, path)
    assert len(server.requests) == 1
    assert [child.name for child in path.parent.iterdir()] == ["a.bin"]


def test_it_goes_on_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.breaks_after = [1_000_000, 500_000]
    get(server, tmp_path / "a.bin", md5=hashlib.md5(CONTENT).hexdigest())
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert ranges(server) == ["", "bytes=1000000-", "bytes=1500000-"]


def test_it_goes_on_in_another_run(server: Server, tmp_path: Path) -> None:
    server.breaks_after = [1_000_000, 0]
    with pytest.raises(DataError, match=r"broke off at 1000000 of 3072000 bytes; run it again to go on"):
        get(server, tmp_path / "a.bin", attempts=1)
    assert not (tmp_path / "a.bin").exists()
    get(server, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert ranges(server)[-1] == "bytes=1000000-"


def test_a_file_that_has_changed_meanwhile_is_not_mixed_with_the_old_one(
    server: Server, tmp_path: Path
) -> None:
    server.breaks_after = [1_000_000, 0]
    with pytest.raises(DataError):
        get(server, tmp_path / "a.bin", attempts=1)
    server.files["/a.bin"] = CONTENT[::-1]
    get(server, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT[::-1]


def test_a_server_without_ranges_sends_it_all_again(server: Server, tmp_path: Path) -> None:
    server.has_ranges, server.breaks_after = False, [1_000_000]
    get(server, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_what_was_all_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    get(server, tmp_path / "a.bin", md5=hashlib.md5(CONTENT).hexdigest())
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert ranges(server) == [f"bytes={len(CONTENT)}-"]


def test_more_than_the_file_has_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT + b"more")
    get(server, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    wrong = "0" * 32
    found = hashlib.md5(CONTENT).hexdigest()
    with pytest.raises(
        DataError, match=f"its md5 is {found}, and the publisher says {wrong}; what came is rem"
    ):
        get(server, tmp_path / "a.bin", md5=wrong)
    assert not [*tmp_path.iterdir()]


def test_a_file_that_is_there_is_checked_and_stays(server: Server, tmp_path: Path) -> None:
    path, right = tmp_path / "a.bin", hashlib.md5(CONTENT).hexdigest()
    path.write_bytes(CONTENT[:-1])
    found = hashlib.md5(CONTENT[:-1]).hexdigest()
    with pytest.raises(DataError, match=f"its md5 is {found}, and the publisher says {right}; delete it"):
        get(server, path, md5=right)
    assert path.read_bytes() == CONTENT[:-1] and not server.requests
    assert get(server, path).startswith("not checked")
    path.write_bytes(CONTENT)
    assert get(server, path, md5=right) == "md5 as published"


@pytest.mark.parametrize("name", ["a.gz", "a.tgz"])
def test_a_page_in_place_of_a_packed_file_is_not_taken(server: Server, tmp_path: Path, name: str) -> None:
    server.files["/" + name] = b"<html>log in</html>"
    with pytest.raises(DataError, match=r"it begins with b'<html>log in</html>', as no gzip file does"):
        fetch(f"{server.address}/{name}", tmp_path / name, pause_seconds=0)
    assert not [*tmp_path.iterdir()]
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"as no gzip file does.*; delete it, and run it again"):
        fetch(f"{server.address}/{name}", tmp_path / name, pause_seconds=0)


def test_without_a_length_a_broken_answer_is_not_taken_for_whole(server: Server, tmp_path: Path) -> None:
    server.is_chunked, server.has_ranges, server.breaks_after = True, False, [1_000_000] * 2
    with pytest.raises(DataError, match="the connection broke off; run it again to go on"):
        get(server, tmp_path / "a.bin", attempts=1)
    assert not (tmp_path / "a.bin").exists()
    server.breaks_after = [500_000]
    assert get(server, tmp_path / "a.bin").startswith("not checked")  # said by the end of the chunks alone
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_what_was_checked_is_told(server: Server, tmp_path: Path) -> None:
    assert get(server, tmp_path / "a.bin", md5=hashlib.md5(CONTENT).hexdigest()) == "md5 as published"
    assert get(server, tmp_path / "b.bin").startswith("as long as the server says")
    server.has_lengths = False
    assert get(server, tmp_path / "c.bin").startswith("not checked")
    for name in "abc":
        assert (tmp_path / f"{name}.bin").read_bytes() == CONTENT


def test_later_is_waited_for_and_no_is_taken_for_no(server: Server, tmp_path: Path) -> None:
    server.refusals = [503, 429]
    get(server, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").exists()
    server.refusals = [403]
    with pytest.raises(DataError, match="the server says 403 Forbidden; check the address, or name a mirror"):
        get(server, tmp_path / "b.bin")
    server.refusals = [503] * 9
    with pytest.raises(DataError, match=r"503 Service Unavailable; run it again to go on \(0 bytes"):
        get(server, tmp_path / "b.bin", attempts=3)
    assert len(server.refusals) == 6


def test_no_server_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="refused; run it again"):
        fetch("http://127.0.0.1:9/a.bin", tmp_path / "a.bin", attempts=2, pause_seconds=0)


def test_checksums_are_read_as_md5sum_writes_them() -> None:
    text = f"{'a' * 32}  x.tar.gz\n{'B' * 32} *dir/y.tar.gz\n\n"
    assert read_md5sums(text, "u") == {"x.tar.gz": "a" * 32, "y.tar.gz": "b" * 32}
    with pytest.raises(DataError, match=r"^u:1: '<html>' is no md5 and file name"):
        read_md5sums("<html>\n", "u")


# ---- the command


@pytest.fixture
def download(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "utils")
    monkeypatch.delitem(sys.modules, "download", raising=False)
    import download  # type: ignore[import-not-found]

    return download


def archive(names: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in names.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def publish(server: Server, part: str, content: bytes) -> None:
    server.files[f"/{part}.tar.gz"] = content
    sums = server.files.get("/md5sum.txt", b"").decode()
    server.files["/md5sum.txt"] = (sums + f"{hashlib.md5(content).hexdigest()}  {part}.tar.gz\n").encode()


def test_parts_are_fetched_checked_and_unpacked_once(
    server: Server, tmp_path: Path, download: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("dev-clean", "test-clean"):
        publish(
            server,
            part,
            archive(
                {"LibriSpeech/README.TXT": b"x", f"LibriSpeech/{part}/1/2/1-2.trans.txt": b"1-2-0000 A\n"}
            ),
        )
    words = ["librispeech", "--out", str(tmp_path), "--files", "dev-clean", "test-clean.tar.gz"]
    words += ["--address", server.address + "/"]
    download.main(words)
    for part in ("dev-clean", "test-clean"):
        assert (tmp_path / "LibriSpeech" / part / "1" / "2" / "1-2.trans.txt").read_bytes() == b"1-2-0000 A\n"
    assert "md5 as published" in capsys.readouterr().out
    assert not [path for path in tmp_path.iterdir() if path.name.endswith((".unpacking", ".part"))]
    server.requests.clear()
    download.main(words)
    assert [path for path, _ in server.requests] == ["/md5sum.txt"]
    assert capsys.readouterr().out.count("is unpacked in") == 2
    shutil.rmtree(tmp_path / "LibriSpeech" / "dev-clean")
    download.main(words)
    printed = capsys.readouterr().out
    assert (
        printed.count("is unpacked in") == 1 and f"delete {tmp_path}/.test-clean.tar.gz.unpacked" in printed
    )
    assert f"dev-clean.tar.gz: was unpacked in {tmp_path}, and is not there any more" in printed
    assert (tmp_path / "LibriSpeech" / "dev-clean" / "1" / "2" / "1-2.trans.txt").exists()


def flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


def damaged(how: str) -> bytes:
    """An archive of three files of noise, with something wrong in its middle or at its end."""
    noise = random.Random(1).randbytes(90_000)
    whole = archive({f"x/{number}": noise[number * 30_000 :][:30_000] for number in range(3)})
    if how == "header":  # of the second file: packed again, with the checksum of what it was
        tar = gzip.decompress(whole)
        packed = gzip.compress(flip(tar, tar.index(b"x/1")), 0)
        return packed[:-8] + whole[-8:]
    if how == "stream":  # the middle of what is packed
        return flip(whole, len(whole) // 2)
    return whole[:-100] if how == "cut off" else flip(whole, len(whole) - 6)


@pytest.mark.parametrize("how", ["header", "stream", "cut off", "checksum"])
def test_a_damaged_archive_leaves_nothing(
    server: Server, tmp_path: Path, download: ModuleType, how: str
) -> None:
    server.files["/librispeech_finetuning.tgz"] = damaged(how)  # of those without a published checksum
    words = ["libri_light", "--out", str(tmp_path), "--address", server.address]
    for _ in range(2):  # it is not taken for done the second time
        with pytest.raises(
            DataError, match=r"librispeech_finetuning.tgz: cannot be unpacked: .*; delete it, and"
        ):
            download.main(words)
        assert [path.name for path in tmp_path.iterdir()] == ["librispeech_finetuning.tgz"]


def test_a_damaged_archive_that_is_there_is_told_by_its_checksum(
    server: Server, tmp_path: Path, download: ModuleType
) -> None:
    right = archive({"LibriSpeech/a": b"x"})
    publish(server, "dev-clean", right)
    (tmp_path / "dev-clean.tar.gz").write_bytes(right[:-1])
    words = ["librispeech", "--out", str(tmp_path), "--address", server.address, "--files", "dev-clean"]
    sums = f"its md5 is {hashlib.md5(right[:-1]).hexdigest()}, and the publisher says {hashlib.md5(right).hexdigest()}"
    with pytest.raises(DataError, match=sums):
        download.main(words)
    assert [path.name for path in tmp_path.iterdir()] == ["dev-clean.tar.gz"]


def test_a_file_without_a_published_checksum_stops_where_others_have_one(
    server: Server, tmp_path: Path, download: ModuleType
) -> None:
    publish(server, "dev-clean", archive({"LibriSpeech/a": b""}))
    words = ["librispeech", "--out", str(tmp_path), "--address", server.address, "--files"]
    with pytest.raises(DataError, match=r"md5sum.txt: has no line for dev-other.tar.gz"):
        download.main([*words, "dev-other"])
    server.files["/dev-clean.tar.gz"] += b"x"
    with pytest.raises(DataError, match="and the publisher says"):
        download.main([*words, "dev-clean"])
    del server.files["/md5sum.txt"]
    with pytest.raises(DataError, match=r"md5sum.txt: the server says 404"):
        download.main([*words, "dev-clean"])


def test_a_publisher_without_checksums_is_said(
    server: Server, tmp_path: Path, download: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files["/librispeech-vocab.txt"] = b"A\n"
    words = ["librispeech_lm", "--out", str(tmp_path), "--address", server.address]
    download.main([*words, "--files", "librispeech-vocab.txt"])
    assert "the publisher has no checksums: only lengths are checked" in capsys.readouterr().out
    assert (tmp_path / "librispeech-vocab.txt").read_bytes() == b"A\n"


@pytest.mark.parametrize("name", ["../evil", "/evil"])
def test_an_archive_cannot_write_elsewhere(
    server: Server, tmp_path: Path, download: ModuleType, name: str
) -> None:
    publish(server, "dev-clean", archive({name: b"x"}))
    out = tmp_path / "out"
    words = ["librispeech", "--out", str(out), "--address", server.address, "--files", "dev-clean"]
    try:
        download.main(words)
    except DataError as error:
        assert "cannot be unpacked" in str(error)
    assert not (tmp_path / "evil").exists()
    assert not Path("/evil").exists()


def test_every_recipe_of_a_corpus_has_a_source_by_its_name() -> None:
    recipes = {path.parent.name for path in (ROOT / "egs").glob("*/run.sh")} - {"custom", "mini"}
    assert len(recipes) >= 7 and recipes <= SOURCES.keys()


@pytest.mark.parametrize("corpus", [name for name, source in SOURCES.items() if isinstance(source, Asked)])
def test_where_terms_forbid_it_the_place_is_named(download: ModuleType, tmp_path: Path, corpus: str) -> None:
    with pytest.raises(ConfigError, match=r"is not fetched: .*; get it from .*https://"):
        download.main([corpus, "--out", str(tmp_path)])
    assert not [*tmp_path.iterdir()]


def test_what_cannot_be_meant_is_told(download: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such corpus is known here; choose from librispeech"):
        download.main(["librispeach"])
    with pytest.raises(ConfigError, match="give --out DIR"):
        download.main(["librispeech"])
    with pytest.raises(ConfigError, match=r"--files dev-cleen: librispeech has no such file; choose from"):
        download.main(["librispeech", "--out", str(tmp_path), "--files", "dev-cleen"])
    with pytest.raises(ConfigError, match="is no address of the web"):
        download.main(["librispeech", "--out", str(tmp_path), "--address", "file:///etc"])


def test_md5_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert md5_of(tmp_path / "a") == "900150983cd24fb0d6963f7d28e17f72"  # RFC 1321, A.5
