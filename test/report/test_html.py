"""report.html: one file that loads nothing, runs nothing, and shows what the data says as text."""

from __future__ import annotations

import base64
import io
import json
import shutil
import wave
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from stxlib.data.data_dir import DataDir
from stxlib.errors import DataError
from stxlib.report import html
from stxlib.report.environment import environment
from stxlib.report.examples import Clips, encode_wav, evenly, worst
from stxlib.report.results_md import results_md
from stxlib.report.runs import find_runs
from stxlib.score.alignment import align

ALLOWED = frozenset(
    {"html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "h4", "p", "nav", "a", "div"}
    | {
        "section",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "b",
        "i",
        "u",
        "span",
        "dl",
        "dt",
        "dd",
        "code",
    }
    | {"details", "summary", "article", "header", "footer", "audio", "figure", "figcaption"}
    | {"svg", "g", "path", "text"}
)


class Page(HTMLParser):
    """Every element with its attributes; the elements must close in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page(exp: Path) -> str:
    return html.report_html(find_runs(exp), environment(), name="<mini>", data=exp.parent / "data")


def test_nothing_is_loaded_or_run(page: str) -> None:
    seen = Page(page)
    assert {tag for tag, _ in seen.elements} <= ALLOWED
    for tag, attributes in seen.elements:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert not {"srcset", "action", "formaction", "xlink:href", "data"} & attributes.keys()
        if "src" in attributes:
            assert str(attributes["src"]).startswith("data:audio/wav;base64,")
        if "href" in attributes:
            assert str(attributes["href"]).startswith("#")
    assert "http://" not in page and "https://" not in page and "@import" not in page and "url(" not in page
    (policy,) = (a["content"] for t, a in seen.elements if t == "meta" and a.get("http-equiv"))
    assert str(policy).startswith("default-src 'none'")


def test_data_is_shown_as_text(page: str) -> None:
    seen = Page(page)
    assert "<script" not in page.lower() and "<img" not in page.lower()
    for text in ("<script>alert('x')</script>&amp;|`", "s5-<img/src=x>", "<b>gb</b>", "Results of <mini>"):
        assert text in seen.text


def test_links_lead_somewhere(page: str) -> None:
    seen = Page(page)
    ids = [attributes["id"] for _, attributes in seen.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [str(a["href"])[1:] for t, a in seen.elements if t == "a"]
    assert set(links) <= set(ids) and len(links) == 6


def test_results_of_one_and_of_several_seeds(page: str) -> None:
    """24 sentences of four words: 3, 6 and 12 wrong words of 96."""
    text = Page(page).text
    assert "9.4± 4.4, 2 seeds" in text
    assert "3.1" in text and "95 % bootstrap intervals over speakers; of several seeds" in text
    assert "RTF decoder 0.012" in text


@pytest.fixture(scope="module")
def understood(understanding: Path) -> str:
    return html.report_html(
        find_runs(understanding), environment(), name="x", data=understanding.parent / "data"
    )


def section(page: str, start: str, end: str) -> str:
    """The text of the section whose heading has `start`, up to `end` in the one after it."""
    assert page.count(start) == page.count(end) == 1
    begin = page.rindex("<h2", 0, page.index(start))
    return Page(page[begin : page.rindex("</section>", begin, page.index(end))]).text


def test_labels_are_shown(understood: str) -> None:
    seen = Page(understood)
    assert {tag for tag, _ in seen.elements} <= ALLOWED and "<script" not in understood.lower()
    # asr.multi seed 1: six of 24 wrong, two of each class of eight; two sets, three runs.
    assert "Intent: each label" in seen.text and seen.text.count("What was taken for what") == 6
    assert "alarm_set875.075.075.0" in seen.text
    cells = [
        attributes for tag, attributes in seen.elements if tag == "td" and attributes.get("class") == "hit"
    ]
    assert len(cells) == 3 * 2 * 3 and cells[0]["style"] == f"--share:{round(0.15 + 0.45 * 0.75, 2)}"
    assert "Intent: 6 of 24 utterances wrong" in seen.text and "Intent: all 3 figures" in seen.text


def test_summary_of_understanding(understood: str) -> None:
    text = Page(understood).text
    assert "intent accuracy, % higher is better" in text and "WER, % lower is better" in text
    assert "62.5± 17.7, 2 seeds" in text and "83.3" in text


def test_a_run_without_audio_and_words(understood: str) -> None:
    text = section(understood, ' id="run2"', "<footer")
    assert "nlu seed 1" in text and "intent accuracy" in text and "WER" not in text and "RTF" not in text
    # What was said is shown beside what was understood.
    assert "the word19 of" in text


def test_sentences_where_systems_differ(understood: str) -> None:
    text = section(understood, ' id="differences"', ' id="run0"')
    assert "test, Intent" in text and "test_rare, Intent" in text and "test, WER" not in text
    # asr.multi is wrong in 0-5, nlu in 4-7, of 24.
    assert "utterancesasr.multi seed 1nlu16rightright4wrongright2wrongwrong2rightwrong" in text.replace(
        "\n", ""
    )
    assert "wrong asr.multi seed 1alarm_queryright nlualarm_set" in text


def test_words_where_systems_differ(page: str) -> None:
    text = section(page, ' id="differences"', ' id="run0"')
    assert "test, WER" in text and "test, CER" not in text
    # asr is wrong in 0-5, lasyn.random in 0-2.
    assert "utterancesasr seed 1lasyn.random18rightright3wrongwrong3wrongright" in text
    assert "wrong asr seed 1" in text and "right lasyn.random" in text and "substituted" in text


def test_seeds_that_were_not_scored_alike(exp: Path, tmp_path: Path) -> None:
    """Rare words were counted for seed 1 only, and for test_rare there were none: its figure is null."""
    shutil.copytree(exp / "asr", tmp_path / "exp" / "asr")
    for seed, name in ((2, "test"), (1, "test_rare"), (2, "test_rare")):
        path = tmp_path / f"exp/asr/seed{seed}/train/decode_joint_{name}/score.json"
        scores = json.loads(path.read_text())
        if seed == 2:
            del scores["wer"]["figures"]["rare_word_miss"]
        else:
            scores["wer"]["figures"]["rare_word_miss"] = {"value": None, "low": None, "high": None}
        path.write_text(json.dumps(scores))
    runs = find_runs(tmp_path / "exp")
    text = Page(html.report_html(runs, environment(), name="x", data=None)).text
    assert "missed rare words, %" in text and "4.4, 2 seeds" in text
    assert "|asr|joint|1|" in results_md(runs, environment())


def test_audio_is_embedded_up_to_the_budget(exp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def players() -> list[str]:
        text = html.report_html(find_runs(exp), environment(), name="x", data=None)
        return [str(a["src"]) for t, a in Page(text).elements if t == "audio"]

    sources = players()
    # The audio of a set is on the page once, with the first run that shows it.
    assert 4 <= len(sources) <= 24
    with wave.open(io.BytesIO(base64.b64decode(sources[0].split(",")[1]))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (16_000, 1, 16_000)
    size = len(sources[0].split(",")[1])
    monkeypatch.setattr(html, "AUDIO_BUDGET", 2 * size + 10)
    assert len(players()) == 2


def test_no_curves_without_matplotlib(exp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "has_matplotlib", lambda: False)
    text = html.report_html(find_runs(exp), environment(), name="x", data=None)
    assert "matplotlib is not installed" in text and "<svg" not in text


def test_unreadable_audio_is_said(exp: Path, tmp_path: Path) -> None:
    (item,) = align({"u": "a"}, {"u": "b"})
    (tmp_path / "wav.scp").write_text(f"u touch {tmp_path}/ran |\n")
    (tmp_path / "text").write_text("u a\n")
    from stxlib.report.html_decode import utterance

    shown = Page(utterance(item, Clips(10**6), DataDir(tmp_path))).text
    assert "No audio:" in shown and "allow_pipes" in shown and not (tmp_path / "ran").exists()


def test_a_damaged_alignment_is_named(exp: Path, tmp_path: Path) -> None:
    shutil.copytree(exp / "asr", tmp_path / "exp" / "asr")
    path = tmp_path / "exp/asr/seed1/train/decode_joint_test/alignment.wer.jsonl"
    for damage in ("{broken\n", '{"utt": "u"}\n', "[1]\n"):
        path.write_text(damage)
        with pytest.raises(DataError, match=r"alignment\.wer\.jsonl: not written by stxlib.bin.score"):
            html.report_html(find_runs(tmp_path / "exp"), environment(), name="x", data=None)


def test_examples() -> None:
    references = {f"u{i}": "a b c d" for i in range(9)}
    predictions = {f"u{i}": " ".join("abcd"[: 4 - i % 4]) for i in range(9)}
    alignments = align(references, predictions)
    assert [item.utt for item in worst(alignments, 3)] == ["u3", "u7", "u2"]
    assert all(item.num_errors for item in worst(alignments, 9)) and len(worst(alignments, 9)) == 6
    assert [item.utt for item in evenly(alignments, 3)] == ["u1", "u4", "u7"]
    assert len(evenly(alignments, 100)) == 9


def test_wav_clips_at_full_scale() -> None:
    with wave.open(io.BytesIO(encode_wav(np.array([0.0, 2.0, -2.0, 0.5]), 8000))) as file:
        assert np.frombuffer(file.readframes(4), "<i2").tolist() == [0, 32767, -32767, 16384]
