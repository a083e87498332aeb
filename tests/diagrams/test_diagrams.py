from __future__ import annotations

import re
from datetime import timedelta, timezone
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from stayfast import diagrams
from stayfast.diagrams import Step
from stayfast.diagrams.__main__ import BEGIN, END, KEPT
from stayfast.diagrams.__main__ import main as write_kept
from stayfast.diagrams.arrows import Picture, in_order
from stayfast.diagrams.svg import read_svg, svg
from stayfast.engine.audit.events import Recorded
from stayfast.engine.errors import ConfigInvalid, Damaged
from stayfast.engine.table import TABLE, Row, State, Trigger

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"

LOGIN = "01J9ZK4Q0V7F3KTWX2A8B5C6DE"
STEPS = [
    Step("begin", "idle", "challenge", 1_772_632_918.0),
    Step("present", "challenge", "awaiting_callback", 1_772_632_919.0),
    Step("receive_callback", "awaiting_callback", "exchanging", 1_772_632_931.0),
    Step("accept_tokens", "exchanging", "authenticated", 1_772_632_932.0),
    Step("expire", "authenticated", "expired", 1_772_636_500.0),
    Step("refresh", "expired", "exchanging", 1_772_636_501.0),
    Step("postpone_refresh", "exchanging", "expired", 1_772_636_502.0),
    Step("refresh", "expired", "exchanging", 1_772_636_571.0),
    Step("accept_tokens", "exchanging", "authenticated", 1_772_636_572.0),
]


def arrow(row: Row) -> str:
    """A row as `check` spells it."""
    words = f"{row.trigger} [{row.guard}]" if row.guard else str(row.trigger)
    return f"{row.source} --> {row.dest}: {words}"


@pytest.mark.parametrize("format_", diagrams.FORMATS)
def test_every_row_once_and_nothing_else(format_):
    """Each format shows each row of the table once and nothing that is no row."""
    assert diagrams.check(diagrams.draw(format_), format_) == []


@pytest.mark.parametrize("format_", diagrams.FORMATS)
@pytest.mark.parametrize("row", TABLE, ids=arrow)
def test_a_missing_row_is_named(format_, row, monkeypatch):
    """A drawing from before a row was added is recognised, and the row is named."""
    rows = [other for other in TABLE if other is not row]
    monkeypatch.setattr("stayfast.diagrams.arrows.TABLE", tuple(rows))
    older = diagrams.draw(format_)
    monkeypatch.undo()

    assert diagrams.check(older, format_) == [f"+ {arrow(row)}"]


@pytest.mark.parametrize("format_", diagrams.FORMATS)
def test_an_arrow_that_is_no_row_is_named(format_, monkeypatch):
    """A drawing with an arrow that the table does not have is recognised, and the arrow is named."""
    extra = Row(Trigger.LOGOUT, State.EXCHANGING, State.IDLE, "never")
    monkeypatch.setattr("stayfast.diagrams.arrows.TABLE", (*TABLE, extra))
    drawn = diagrams.draw(format_)
    monkeypatch.undo()

    assert diagrams.check(drawn, format_) == [f"- {arrow(extra)}"]


@pytest.mark.parametrize("format_", diagrams.FORMATS)
def test_an_arrow_drawn_twice_is_named(format_, monkeypatch):
    """The same arrow twice is one too many."""
    monkeypatch.setattr("stayfast.diagrams.arrows.TABLE", (*TABLE, TABLE[0]))
    drawn = diagrams.draw(format_)
    monkeypatch.undo()

    assert f"- {arrow(TABLE[0])}" in diagrams.check(drawn, format_)


def test_a_guard_that_changed_is_a_difference():
    """An arrow whose guard is another one is another arrow."""
    older = diagrams.draw("mermaid").replace("accept_tokens [polls]", "accept_tokens")

    assert diagrams.check(older, "mermaid") == [
        "+ awaiting_callback --> authenticated: accept_tokens [polls]",
        "- awaiting_callback --> authenticated: accept_tokens",
    ]


def test_the_same_arrows_in_another_dress_are_a_difference():
    """A drawing with the right arrows but an old look is still out of date."""
    older = diagrams.draw("dot").replace("rankdir=TB", "rankdir=LR")

    assert [line[0] for line in diagrams.check(older, "dot")] == ["~"]


@pytest.mark.parametrize("format_", diagrams.FORMATS)
def test_line_endings_are_no_difference(format_):
    """A checkout with other line endings is up to date."""
    assert diagrams.check(diagrams.draw(format_).replace("\n", "\r\n"), format_) == []


@pytest.mark.parametrize("format_", diagrams.FORMATS)
@pytest.mark.parametrize("text", ["", "\n", "hello", "idle --> challenge", "<g class='arrow'>"])
def test_what_is_no_drawing_lacks_every_row(format_, text):
    """Checking something else altogether names every row as missing."""
    assert [line for line in diagrams.check(text, format_) if line[0] == "+"] == [
        f"+ {arrow(row)}" for row in in_order(TABLE)
    ]


def test_the_order_of_the_table_does_not_matter(monkeypatch):
    """Rows may be moved about in the table; the drawings stay as they are."""
    before = {format_: diagrams.draw(format_) for format_ in diagrams.FORMATS}
    monkeypatch.setattr("stayfast.diagrams.arrows.TABLE", tuple(reversed(TABLE)))

    assert {format_: diagrams.draw(format_) for format_ in diagrams.FORMATS} == before


@pytest.mark.parametrize(("name", "format_"), KEPT.items())
def test_the_drawings_in_the_repository_are_up_to_date(name, format_):
    """What `make diagrams` wrote is what the table says; differences are named."""
    text = (ROOT / "diagrams" / name).read_text(encoding="utf-8")

    assert diagrams.check(text, format_) == []
    assert text == diagrams.draw(format_)


def test_the_readme_shows_the_machine():
    """The picture in the README is the program."""
    _, begin, rest = (ROOT / "README.md").read_text(encoding="utf-8").partition(BEGIN)
    picture, end, _ = rest.partition(END)

    assert (begin, end) == (BEGIN, END)
    assert diagrams.check(picture, "mermaid") == []
    assert picture == diagrams.draw("mermaid")


def test_writing_the_drawings_mends_the_readme(tmp_path):
    """`make diagrams` rewrites the files and the part of the README between the markers."""
    (tmp_path / "diagrams").mkdir()
    (tmp_path / "README.md").write_text(f"before\n{BEGIN}old\n{END}\nafter\n", encoding="utf-8")

    assert write_kept([str(tmp_path / "diagrams")]) == 0

    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert readme == f"before\n{BEGIN}{diagrams.draw('mermaid')}{END}\nafter\n"
    for name, format_ in KEPT.items():
        written = (tmp_path / "diagrams" / name).read_text(encoding="utf-8")
        assert written == diagrams.draw(format_)


@pytest.mark.parametrize("name", ["", "png", "Mermaid", "__init__"])
def test_an_unknown_format_is_refused(name):
    """There is no drawing in a format there is not, nor a check against one."""
    with pytest.raises(ConfigInvalid):
        diagrams.draw(name)
    with pytest.raises(ConfigInvalid):
        diagrams.path(STEPS, name)
    with pytest.raises(ConfigInvalid):
        diagrams.check("", name)


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("diagrams/login.mmd", "mermaid"),
        ("x.SVG", "svg"),
        ("a.b.dot", "dot"),
        ("a.gv", "dot"),
        ("table.md", "markdown"),
        ("tree.txt", "text"),
        ("login.png", None),
        ("login", None),
        ("", None),
    ],
)
def test_the_ending_of_a_name_says_the_format(name, format_):
    """A file's name promises a format, or none."""
    assert diagrams.format_of(name) == format_


# --- the path of one login -----------------------------------------------------------------------


def test_the_steps_of_one_login_are_read_from_the_audit_log():
    """Only transitions count, and only those of the login that is asked for."""
    events = [
        recorded(1, LOGIN, "login.transition", STEPS[0]),
        recorded(2, "SOMEBODY ELSE", "login.transition", STEPS[0]),
        recorded(3, LOGIN, "login.refused", None),
        recorded(4, LOGIN, "login.transition", STEPS[1]),
    ]

    assert diagrams.steps_of(events, LOGIN) == STEPS[:2]


def recorded(seq: int, login: str, event: str, step: Step | None) -> Recorded:
    """An event as a storage returns it."""
    members: dict[str, str | float] = {"login": login, "event": event, "time": 1.0}
    if step:
        members |= {"trigger": step.trigger, "from": step.source, "to": step.dest}
        members["time"] = step.time
    return Recorded(seq, members)


@pytest.mark.parametrize("format_", diagrams.FORMATS)
def test_a_path_shows_the_whole_machine_and_the_times(format_):
    """A path is the machine with times on the arrows that were taken, and only on those."""
    drawn = diagrams.path(STEPS, format_)
    arrows = [line for line in diagrams.check(drawn, format_) if line[0] != "~"]
    stamps = {stamp.replace(".", ":") for stamp in re.findall(r"\d\d[:.]\d\d[:.]\d\d", drawn)}

    assert arrows == []
    assert stamps == {
        "14:01:58",
        "14:01:59",
        "14:02:11",
        "15:01:40",
        "15:01:42",
        "15:02:51",
        "15:02:52",
    }


def test_an_empty_path_is_the_machine():
    """A login without a step (or a log without it) leaves the machine as it is."""
    for format_ in diagrams.FORMATS:
        assert diagrams.path([], format_) == diagrams.draw(format_)


def test_times_are_written_in_the_zone_that_is_asked_for():
    """Times are UTC unless another zone is given."""
    drawn = diagrams.path(STEPS[:1], "text", zone=timezone(timedelta(hours=2)))

    assert "16:01:58" in drawn
    assert "14:01:58" not in drawn


def test_in_the_picture_exactly_the_taken_arrows_are_bold():
    """Bold arrows are the steps, each once; touched states are bold too."""
    picture = ET.fromstring(diagrams.path(STEPS, "svg"))
    bold = {
        (g.get("data-trigger"), g.get("data-from"), g.get("data-to"))
        for g in picture.iter(f"{SVG}g")
        if "taken" in (g.get("class") or "").split()
    }
    visited = {
        g.get("data-state")
        for g in picture.iter(f"{SVG}g")
        if "visited" in (g.get("class") or "").split()
    }

    assert bold == {(step.trigger, step.source, step.dest) for step in STEPS}
    assert visited == {str(state) for state in State} - {"refresh_failed"}


def test_a_step_the_table_does_not_have_is_not_drawn():
    """A log with a transition that is not a row is damaged or newer; nothing is drawn."""
    jump = Step("receive_callback", "authenticated", "exchanging", 0.0)

    with pytest.raises(Damaged):
        diagrams.path([*STEPS, jump], "svg")


# --- the picture ---------------------------------------------------------------------------------

Extent = tuple[float, float, float, float]

WIDTH = {"": 12 * 0.605, "note": 10.5 * 0.605, "time": 10.5 * 0.62}
"""Width of a character of the widest of the fonts named, by class of text."""


def texts(picture: ET.Element) -> list[tuple[str, Extent]]:
    """What is written on arrows and where, estimated generously."""
    found = []
    for group in picture.iter(f"{SVG}g"):
        if "arrow" in (group.get("class") or ""):
            for text in group.iter(f"{SVG}text"):
                x, y = float(text.get("x", 0)), float(text.get("y", 0))
                wide = len(text.text or "") * WIDTH[text.get("class") or ""]
                found.append(
                    (f"{group.get('data-from')}: {text.text}", (x, y - 9, x + wide, y + 2))
                )
    return found


def boxes(picture: ET.Element) -> list[tuple[str, Extent]]:
    """The states and where they stand."""
    found = []
    for group in picture.iter(f"{SVG}g"):
        if "state" in (group.get("class") or "").split():
            rect = group.find(f"{SVG}rect")
            assert rect is not None
            x, y, w, h = (float(rect.get(name, 0)) for name in ("x", "y", "width", "height"))
            found.append((group.get("data-state") or "", (x, y, x + w, y + h)))
    return found


def overlap(a: Extent, b: Extent) -> bool:
    """Whether two rectangles share a point."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@pytest.mark.parametrize("drawn", [diagrams.draw("svg"), diagrams.path(STEPS, "svg")])
def test_nothing_written_in_the_picture_overlaps(drawn):
    """Labels stand clear of one another, of the states, and inside the picture."""
    picture = ET.fromstring(drawn)
    placed = [*texts(picture), *boxes(picture)]
    page = (0.0, 0.0, float(picture.get("width", 0)), float(picture.get("height", 0)))

    assert [(a[0], b[0]) for a, b in combinations(placed, 2) if overlap(a[1], b[1])] == []
    assert all(box[0] >= 0 and box[2] <= page[2] and box[3] <= page[3] for _, box in placed)


def test_every_arrow_ends_at_its_states():
    """The tip of each arrow touches the state it leads to, the tail the one it leaves."""
    picture = ET.fromstring(diagrams.draw("svg"))
    edges = dict(boxes(picture))
    for group in picture.iter(f"{SVG}g"):
        if "arrow" not in (group.get("class") or ""):
            continue
        path, tip = group.find(f"{SVG}path"), group.find(f"{SVG}polygon")
        assert path is not None
        assert tip is not None
        tail = tuple(map(float, (path.get("d") or "")[1:].split(" ")[0].split(",")))
        point = tuple(map(float, (tip.get("points") or "").split(" ")[0].split(",")))
        assert on_edge(tail, edges[group.get("data-from") or ""]), group.attrib
        assert on_edge(point, edges[group.get("data-to") or ""]), group.attrib


def on_edge(point: tuple[float, ...], box: Extent) -> bool:
    """Whether a point lies on the outline of a rectangle."""
    x, y = point
    beside = min(abs(x - box[0]), abs(x - box[2])) < 0.2 and box[1] <= y <= box[3]
    above = min(abs(y - box[1]), abs(y - box[3])) < 0.2 and box[0] <= x <= box[2]
    return beside or above


def test_the_picture_can_be_heard():
    """A screen reader gets a title, and every arrow in words."""
    picture = ET.fromstring(diagrams.draw("svg"))
    title, desc = picture.find(f"{SVG}title"), picture.find(f"{SVG}desc")

    assert title is not None
    assert desc is not None
    assert picture.get("role") == "img"
    assert picture.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert (desc.text or "").count(" by ") == len(TABLE)


class Newcomer(StrEnum):
    PARKED = "parked"
    TOWED = "towed"


@pytest.mark.parametrize("source", [State.IDLE, State.EXPIRED, Newcomer.PARKED])
@pytest.mark.parametrize(
    "dest", [State.IDLE, State.AWAITING_CALLBACK, Newcomer.PARKED, Newcomer.TOWED]
)
def test_a_state_nobody_planned_for_gets_a_place(source, dest):
    """A new state, or an arrow to itself, is drawn like any other and covers nothing."""
    new = Row(Trigger.LOGOUT, source, dest, "new", guard=None)
    drawn = svg(Picture([*in_order(TABLE), new]))
    picture = ET.fromstring(drawn)
    placed = boxes(picture)

    assert read_svg(drawn) == [arrow(row) for row in [*in_order(TABLE), new]]
    assert {name for name, _ in placed} == {str(s) for s in State} | {str(source), str(dest)}
    assert not any(overlap(a[1], b[1]) for a, b in combinations(placed, 2))
