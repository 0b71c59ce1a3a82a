"""The part of report.html about labels: F1 of each, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

from stxlib.report.labels import MAX_LABELS, Confusion, LabelScore, number, read_confusion, read_labels
from stxlib.report.markup import Child, Markup, join, table, tag
from stxlib.report.rows import metric_title
from stxlib.report.runs import Decode
from stxlib.score.table import percentage


def label_sections(decode: Decode) -> list[Markup]:
    """One closed section for each metric of a set that says something of single labels."""
    found = []
    for metric, entry in decode.scores.items():
        source = str(decode.path / "score.json")
        scores, confusion = read_labels(entry, source), read_confusion(entry, source)
        content = [
            *([label_table(scores)] if scores else []),
            *([matrix(confusion)] if confusion is not None else []),
        ]
        if content:
            found.append(
                tag(
                    "details",
                    tag("summary", f"{metric_title(metric)}: each label"),
                    *content,
                    class_="labels",
                )
            )
    return found


def label_table(scores: Sequence[LabelScore]) -> Markup:
    """Labels down, most frequent first; how often, precision, recall, F1."""
    rows: list[list[Child]] = [
        [
            score.label,
            number(score.support),
            percentage(score.precision),
            percentage(score.recall),
            join(tag("b", percentage(score.f1)), _meter(score.f1)),
        ]
        for score in scores
    ]
    return table(["label", "n", "precision %", "recall %", "F1 %"], rows)


def matrix(confusion: Confusion) -> Markup:
    """References down, predictions across, darker for a larger share of the row; of many labels the most confused ones."""
    chosen = confusion.most_confused(MAX_LABELS)
    totals = [sum(row) for row in confusion.rows]
    predicted = [sum(row[place] for row in confusion.rows) for place in range(len(confusion.labels))]
    down = [place for place in chosen if totals[place]]
    across = [place for place in chosen if predicted[place]]
    is_part = len(chosen) < len(confusion.labels)
    head = tag(
        "tr",
        tag("th", "reference ↓ taken for →", scope="col"),
        tag("th", "n", scope="col"),
        tag("th", "recall %", scope="col"),
        [tag("th", tag("span", confusion.labels[place]), scope="col", class_="up") for place in across],
        tag("th", tag("span", "other labels"), scope="col", class_="up") if is_part else None,
    )
    body = []
    for place in down:
        row = confusion.rows[place]
        other = totals[place] - sum(row[column] for column in across)
        body.append(
            tag(
                "tr",
                tag("th", confusion.labels[place], scope="row"),
                tag("td", str(totals[place]), class_="n"),
                tag("td", percentage(100 * row[place] / totals[place]), class_="n"),
                [_cell(row[column], totals[place], is_right=column == place) for column in across],
                _cell(other, totals[place], is_right=False) if is_part else None,
            )
        )
    note = (
        f"The {len(chosen)} of {len(confusion.labels)} labels that are most often confused."
        if is_part
        else None
    )
    return join(
        tag("h4", "What was taken for what"),
        tag("p", note, class_="note") if note else None,
        tag("div", tag("table", tag("thead", head), tag("tbody", body), class_="matrix"), class_="scroll"),
    )


def _cell(times: int, total: int, *, is_right: bool) -> Markup:
    if not times:
        return tag("td")
    share = round(0.15 + 0.45 * times / total, 2)
    return tag("td", str(times), class_="hit" if is_right else "miss", style=f"--share:{share}")


def _meter(value: float | None) -> Markup | None:
    if value is None:
        return None
    return tag("span", tag("i", style=f"width:{round(value, 1)}%"), class_="meter", aria_hidden="true")
