"""What comes from data cannot become markup."""

from __future__ import annotations

from stxlib.report.markdown import escape as escape_markdown
from stxlib.report.markdown import table as markdown_table
from stxlib.report.markup import Markup, join, table, tag


def test_text_is_escaped_everywhere() -> None:
    evil = "<script>\"'&"
    assert tag("p", evil) == "<p>&lt;script&gt;&quot;&#x27;&amp;</p>"
    assert tag("p", title=evil) == '<p title="&lt;script&gt;&quot;&#x27;&amp;"></p>'
    assert tag("p", [evil, [evil]]).count("&lt;script") == 2
    assert "<script" not in table([evil], [[evil, evil]])


def test_markup_stays_and_formatting_it_makes_it_text() -> None:
    bold = tag("b", "x")
    assert tag("p", bold) == "<p><b>x</b></p>"
    assert isinstance(join(bold, bold), Markup)
    assert tag("p", f"{bold}") == "<p>&lt;b&gt;x&lt;/b&gt;</p>"
    assert tag("p", bold + "<i>") == "<p>&lt;b&gt;x&lt;/b&gt;&lt;i&gt;</p>"


def test_attributes() -> None:
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert tag("audio", controls=True, src=None, open=False) == "<audio controls></audio>"
    assert tag("p", class_="a", aria_hidden="true") == '<p class="a" aria-hidden="true"></p>'


def test_control_characters_are_shown() -> None:
    assert tag("p", "a\x00\x1b[31mb") == "<p>a\ufffd\ufffd[31mb</p>"


def test_markdown() -> None:
    assert escape_markdown("a|b <script> `c` [d](e)") == "a\\|b &lt;script&gt; \\`c\\` \\[d](e)"
    assert markdown_table(["x", "n"], [["a|b", "1"]]) == "|x|n|\n|---|---:|\n|a\\|b|1|\n"
