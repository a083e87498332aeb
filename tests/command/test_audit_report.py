"""The report: what it says, that nothing in it acts, and that it takes no other file's place."""

from __future__ import annotations

import os
import re
import stat
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from command import World, events_of
from stayfast.engine.audit.events import Event, EventKind, Origin
from stayfast.engine.errors import Damaged, StorageError
from stayfast.engine.table import TABLE
from stayfast.interfaces.audit.reading import every_event
from stayfast.interfaces.audit.report import Facts, gather, render
from stayfast.interfaces.audit.report.elements import buckets
from stayfast.interfaces.audit.report.facts import DRAWN
from stayfast.interfaces.audit.report.page import About
from stayfast.interfaces.cli.commands.report import check_place
from stayfast.storage import MemoryStorage
from walked_log import BEGAN, walked

HOSTILE = (
    "<script>top.location='//evil.test'</script>",
    '"><img src=//evil.test/x onerror=alert(1)>',
    "'--><svg onload=alert(1)><style>*{display:none}</style>",
    "</title></style></code></svg><iframe src=//evil.test>",
    "javascript:alert(1)//\u202e\u0000\x1b[2J&lt;b&gt;\ud800",
)
ABOUT = About(
    made=BEGAN,
    program="stayfast 0",
    host="lathe",
    verdict="good",
    verified="All records are there.",
)


def facts_of(storage: MemoryStorage) -> Facts:
    return gather(lambda unreadable: every_event(storage, unreadable=unreadable))


class Seen(HTMLParser):
    """The elements of a page with their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def kinds(self) -> set[tuple[str, str]]:
        """Every element and attribute there is."""
        return {(tag, name) for tag, names in self.elements for name in {"": "", **names}}


def without_blanks(text: str) -> str:
    return "".join(text.split())


@pytest.fixture
def logged(world: World) -> World:
    """A login that was finished, and one that was given up."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    started = world.run(
        "login", "demo", "--start", "--json", "--via", "manual", "--account", "work"
    )
    assert world.run("cancel", started.json["login"]).code == 0
    return world


def test_the_report_is_of_the_log(logged: World) -> None:
    """Its figures are those of the log, and it is written for its user alone."""
    done = logged.run("audit", "report", "-o", str(logged.place / "report.html"), "--json")
    assert done.code == 0
    answer = done.json
    assert answer["events"] == len(events_of(logged))
    assert answer["sound"] is True
    assert answer["failures"] == [{"of": "sign-in", "reason": "user_cancelled", "count": 1}]
    assert [(one["signed_in"], one["failed"]) for one in answer["providers"]] == [(1, 1)]
    page = Path(answer["file"])
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert page.stat().st_size == answer["bytes"]


def test_no_secret_is_in_the_report(logged: World) -> None:
    """Neither a token nor a fingerprint of one is in the page."""
    page = logged.run("audit", "report", "-o", "-").out
    (login,) = [one for one in logged.logins() if one.tokens]
    assert login.tokens is not None
    assert login.tokens.access_token not in page
    assert str(login.tokens.refresh_token) not in page
    for event in events_of(logged):
        for name in (name for name in event if name.endswith("_fp")):
            assert str(event[name]) not in page


def test_a_report_of_a_part_is_of_that_part(logged: World) -> None:
    """``--since`` leaves out what was before; the verification is of the whole log."""
    last = len(events_of(logged))
    answer = logged.run("audit", "report", "--since", str(last), "-o", "-", "--json").json
    assert (answer["events"], answer["logins"], answer["sound"]) == (1, 1, True)
    assert answer["file"] is None


def test_a_log_without_logins_has_a_report(world: World) -> None:
    """Nothing was recorded: the page says so."""
    answer = world.run("audit", "report", "-o", "-", "--json").json
    assert (answer["events"], answer["since"]) == (0, None)


def test_an_earlier_report_is_replaced(world: World) -> None:
    """The same command twice gives the newer one, private again, whatever was made of the first."""
    place = world.place / "report.html"
    for _ in range(2):
        assert world.run("audit", "report", "-o", str(place)).code == 0
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        place.chmod(0o644)


@pytest.mark.parametrize(
    "what", ["file", "link", "dangling link", "link to a report", "directory", "pipe"]
)
def test_nothing_else_is_replaced(tmp_path: Path, what: str) -> None:
    """Whatever is there stays as it is: a report is not written over it, or through it."""
    place, other = tmp_path / "page.html", tmp_path / "other"
    if what == "file":
        place.write_text("mine")
    elif what == "directory":
        place.mkdir()
    elif what == "pipe":
        os.mkfifo(place)
    else:
        if what == "link":
            other.write_text("mine")
        elif what == "link to a report":
            other.write_text(render(facts_of(walked(1)), ABOUT))
        place.symlink_to(other)
    with pytest.raises(StorageError) as refused:
        check_place(str(place))
    assert refused.value.hint == "stayfast audit report -o FILE"


@pytest.mark.parametrize("place", ["missing/report.html", "file/x", "x" * 300, "zero\0"])
def test_a_place_that_cannot_be_is_an_error(tmp_path: Path, place: str) -> None:
    """It is said before the log is read."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        check_place(str(tmp_path / place))


def test_a_file_that_is_no_report_stays(world: World) -> None:
    """One error and one hint; the file is as it was."""
    place = world.place / "notes.html"
    place.write_text("mine")
    done = world.run("audit", "report", "-o", str(place))
    assert done.code == 7
    assert done.err.count("error: ") == done.err.count("hint: ") == 1
    assert place.read_text() == "mine"


def test_a_report_is_opened_in_the_browser(world: World) -> None:
    """``--open`` gives the browser the address of the file."""
    seen = world.place / "seen"
    script = world.place / "browser"
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > {seen}.new && mv {seen}.new {seen}\n')
    script.chmod(0o700)
    place = world.place / "a b.html"
    done = world.run("audit", "report", "--open", "-o", str(place), env={"BROWSER": str(script)})
    assert done.code == 0
    assert seen.read_text() == place.as_uri()
    refused = world.run("audit", "report", "--open", "-o", "-", env={"BROWSER": str(script)})
    assert refused.code == 2


def test_a_log_that_was_changed_says_so(logged: World) -> None:
    """The page's verdict is that of ``audit verify``; the report is made all the same."""
    storage = logged.assembly.storage
    storage.note(
        Event(
            time=BEGAN, event=EventKind.TRANSITION, origin=Origin(pid=1, host="h", user="u", app_version="0"),
            login="0" * 26, provider="demo", account="default", version=1, trigger="logout",
            source="idle", dest="exchanging",
        )
    )  # fmt: skip
    done = logged.run("audit", "report", "-o", str(logged.place / "report.html"), "--json")
    assert done.code == 0
    assert done.json["sound"] is False
    page = (logged.place / "report.html").read_text()
    assert 'class="verdict bad"' in page
    assert "is not a transition of this machine" in page or "idle ─ logout ─▶ exchanging" in page


@pytest.mark.parametrize("value", HOSTILE)
def test_words_of_others_are_text(value: str) -> None:
    """Whatever a provider, a host or a reason is called, the page has the same kinds of elements."""
    honest = Seen(render(facts_of(walked(300)), ABOUT))
    words = dict.fromkeys(
        ("provider", "account", "reason", "oauth_error", "transport", "user", "host"), value
    )
    facts = facts_of(walked(300, **words))
    about = About(
        made=BEGAN,
        program=value,
        host=value,
        verdict="bad",
        verified=value,
        findings=[value],
        chosen=value,
    )
    page = render(facts, about)
    seen = Seen(page)
    assert seen.kinds <= honest.kinds | {("p", ""), ("ul", ""), ("li", "")}
    assert not {name for _, name in seen.kinds} & {
        "href",
        "src",
        "style",
        "onload",
        "onerror",
        "action",
    }
    assert not {tag for tag, _ in seen.kinds} & {
        "script",
        "iframe",
        "img",
        "link",
        "form",
        "object",
        "a",
    }
    assert without_blanks(value.split("\u202e", maxsplit=1)[0]) in without_blanks(seen.text)
    assert not any(bad in page for bad in ("\u202e", "\x00", "\x1b", "\ud800"))


def test_odd_transitions_are_listed_and_not_drawn() -> None:
    """A row that the machine does not have is in the list of steps, in a page that is whole."""
    storage = walked(20)
    storage.note(
        Event(
            time=float("inf"), event=EventKind.TRANSITION, origin=Origin(pid=1, host="", user="", app_version=""),
            login="Z" * 26, provider="p", account="a", version=1, trigger="jump<b>", source="idle", dest="nowhere",
        )
    )  # fmt: skip
    page = render(facts_of(storage), ABOUT)
    assert "jump&lt;b&gt;" in page
    assert "It cannot be drawn" in page


def test_a_page_loads_and_runs_nothing() -> None:
    """Its policy allows its own style alone, which is unchanged in the page."""
    seen = Seen(render(facts_of(walked(50)), ABOUT))
    (policy,) = [names["content"] for _, names in seen.elements if names.get("http-equiv")]
    assert policy is not None
    assert re.fullmatch(
        r"default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-[\w+/=]+'",
        policy,
    )
    assert "url(" not in seen.text
    assert "@import" not in seen.text


@pytest.mark.parametrize("events", [1, 20_000])
def test_a_page_is_bounded(events: int) -> None:
    """However long the log is, the page stays small, and counts what it leaves out."""
    facts = facts_of(walked(events))
    page = render(facts, ABOUT)
    seen = Seen(page)
    assert len(page) < 1_500_000
    drawn = [names for tag, names in seen.elements if tag == "details"]
    assert len(drawn) == len(facts.shown) == min(len(facts.logins), len(drawn))
    assert DRAWN <= len(drawn) <= 2 * DRAWN or len(facts.logins) < DRAWN
    assert sum(1 for one in drawn if "open" in one) == 1
    if events > 1000:
        assert f"{len(drawn)} of {len(facts.logins):,}" in seen.text


def test_a_path_of_many_steps_is_cut_in_the_middle() -> None:
    """A login that was refreshed for years has its beginning and its end in the page."""
    storage = MemoryStorage()
    refresh = [row for row in TABLE if row.trigger.value in {"refresh", "accept_tokens"}]
    pair = [
        next(one for one in refresh if one.source.value == "authenticated"),
        next(one for one in refresh if one.source.value == "exchanging"),
    ]
    for number in range(4000):
        row = pair[number % 2]
        storage.note(
            Event(
                time=BEGAN + 1800 * number, event=EventKind.TRANSITION,
                origin=Origin(pid=1, host="h", user="u", app_version="0"), login="1" * 26, provider="p",
                account="default", version=number + 9, trigger=row.trigger.value,
                source=row.source.value, dest=row.dest.value, duration=0.25,
            )
        )  # fmt: skip
    facts = facts_of(storage)
    page = render(facts, ABOUT)
    assert len(page) < 100_000
    assert len(facts.latencies["p"]) == 2000
    assert facts.providers["p"].refreshed == 2000
    assert "3,960 steps more" in page


def test_unreadable_records_are_named() -> None:
    """What cannot be read is in the footer with its numbers, and the rest is counted."""
    storage = walked(30)

    class Torn(MemoryStorage):
        def events(self, *, after: int = 0, limit: int = 100):
            found = storage.events(after=after, limit=limit)
            if any(one.seq in {7, 8} for one in found):
                raise Damaged("torn")
            return found

    facts = facts_of(Torn())
    assert facts.unreadable == [(7, 8)]
    assert "Records 7-8 cannot be read" in Seen(render(facts, ABOUT)).text


@pytest.mark.parametrize("reach", [0, 59, 3600, 86400, 40 * 86400, 400 * 86400, 2e9, 3e11])
def test_the_spans_of_a_chart_hold_all_of_it(reach: float) -> None:
    """They are equal, some dozens, and hold the first and the last moment, at any length."""
    bounds = buckets(BEGAN, BEGAN + reach)
    assert bounds[0] <= BEGAN <= BEGAN + reach <= bounds[-1]
    assert 24 <= len(bounds) - 1 <= 80
    widths = [after - before for before, after in pairwise(bounds)]
    assert max(widths) - min(widths) < 1


def test_a_login_that_came_from_elsewhere_is_no_sign_in(logged: World) -> None:
    """It was moved there and back: nobody signed in, and no transport of a login carried its refresh."""
    there = str(logged.place / "there")
    for state, target in ((str(logged.state), there), (there, str(logged.state))):
        moved = logged.run("--state-dir", state, "store", "migrate", target)
        assert moved.code == 0, moved.err
    before = gather(lambda unreadable: every_event(logged.assembly.storage, unreadable=unreadable))
    assert logged.run("refresh", "demo").code == 0
    facts = gather(lambda unreadable: every_event(logged.assembly.storage, unreadable=unreadable))
    assert [(one.signed_in, one.failed) for one in facts.providers.values()] == [(1, 1)]
    assert "import" not in facts.transports
    assert facts.providers["demo"].refreshed == before.providers["demo"].refreshed + 1
    moved_in = [one for one in facts.logins.values() if one.transport == "import"]
    assert [(one.took, one.began, one.failed) for one in moved_in] == [(None, None, False)]
