from __future__ import annotations

from stxlib.data.data_dir import DataDir
from stxlib.data.dropped import LIST, Dropped, read_dropped
from stxlib.data.tables import write_table


def test_rows_are_counted_by_reason_and_listed_by_id(tmp_path, capsys):
    dropped = Dropped()
    for number in (7, 3, 1, 2, 5, 6):
        dropped.add(f"u{number}", "sentiment Disagreement", where=f"dev.tsv:{number}")
    dropped.add("u4", "no words")
    dropped.report(tmp_path / "dev")
    assert capsys.readouterr().out.splitlines() == [
        "dev: 6 left out: sentiment Disagreement (u7 u3 u1 u2 u5 ...)",
        "dev: 1 left out: no words (u4)",
    ]
    assert len(dropped) == 7
    lines = (tmp_path / "dev" / LIST).read_text().splitlines()
    assert lines == [
        f"u{number} sentiment Disagreement (dev.tsv:{number})" if number != 4 else "u4 no words"
        for number in range(1, 8)
    ]
    assert read_dropped(tmp_path / "dev")["u4"] == "no words"


def test_an_id_with_blanks_or_left_out_twice_still_makes_one_line(tmp_path):
    dropped = Dropped()
    dropped.add("a b", "no words")
    dropped.add("a b", "audio is missing")
    dropped.add(" ", "no id")
    dropped.write(tmp_path)
    assert read_dropped(tmp_path) == {"(none)": "no id", "a_b": "no words; audio is missing"}


def test_the_list_is_no_stream_and_is_absent_where_nothing_was_left_out(tmp_path):
    write_table(tmp_path / "text", {"u1": "yes"})
    Dropped().report(tmp_path)
    assert not (tmp_path / LIST).exists()
    assert read_dropped(tmp_path) == {}
    dropped = Dropped()
    dropped.add("u2", "no words")
    dropped.report(tmp_path)
    assert DataDir(tmp_path).streams == {"text"}
