"""The report in a real browser: how it looks in every light, and that nothing in it acts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from chromium import Chromium
from stayfast.interfaces.audit.reading import every_event
from stayfast.interfaces.audit.report import gather, render
from stayfast.interfaces.audit.report.page import About
from walked_log import BEGAN, walked

pytestmark = pytest.mark.wire

ABOUT = About(
    made=BEGAN,
    program="stayfast 0",
    host="lathe",
    verdict="good",
    verified="605 records: none was changed, moved, added or cut.",
    head=f"605 sha256:{'9b1c' * 16}",
)
LOOKS = {
    f"report-{width}-{scheme}": (width, 900, 1, scheme)
    for width in (1280, 360)
    for scheme in ("light", "dark")
}
HOSTILE = "\"'></title></style><script>document.title='owned'</script><img src=http://127.0.0.1:9/x onerror=document.title='owned'>"


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium.running(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


def shown(window: Chromium, place: Path, events: int, about: About = ABOUT, **words: str) -> None:
    """Open the report of a log as a file."""
    storage = walked(events, **words)
    facts = gather(lambda unreadable: every_event(storage, unreadable=unreadable))
    page = place / "report.html"
    page.write_text(render(facts, about), encoding="utf-8")
    window.forget()
    window.open(page.as_uri())


@pytest.mark.parametrize("events", [1, 20_000])
@pytest.mark.parametrize("look", LOOKS)
def test_the_report_is_in_order(
    window: Chromium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: str, events: int
) -> None:
    """axe-core finds nothing, no line is wider than the window, and every path can be opened."""
    monkeypatch.setitem(chromium.LOOKS, look, LOOKS[look])
    shown(window, tmp_path, events)
    window.look(look)
    window.photograph(f"{look}-{events}")
    assert window.violations() == []
    assert window.run("return document.scrollingElement.scrollWidth <= innerWidth")
    is_open = "return document.querySelector('details.login:last-of-type').open"
    before = window.run(is_open)
    window.press("details.login:last-of-type > summary")
    assert window.run(is_open) is not before
    assert window.complaints() == []


def test_words_of_others_do_nothing(window: Chromium, tmp_path: Path) -> None:
    """No script ran, nothing was asked for, and no rule of the page's policy had to stop anything."""
    words = dict.fromkeys(("provider", "account", "reason", "oauth_error", "user", "host"), HOSTILE)
    about = About(
        made=BEGAN,
        program=HOSTILE,
        host=HOSTILE,
        verdict="bad",
        verified=HOSTILE,
        findings=[HOSTILE],
    )
    shown(window, tmp_path, 200, about, **words)
    assert window.title.startswith("Sign-ins on")
    assert window.run("return document.scripts.length + document.images.length") == 0
    assert window.run("return performance.getEntriesByType('resource').length") == 0
    assert window.complaints() == []


def test_a_printed_report_has_all_of_it(window: Chromium, tmp_path: Path) -> None:
    """On paper every path is open, and ink is dark on white whatever the screen prefers."""
    shown(window, tmp_path, 600)
    printed = {"media": "print", "features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    window.emulate(printed)
    assert (
        window.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    )
    closed = "return [...document.querySelectorAll('details.login:not([open]) .path')]"
    assert window.run(f"{closed}.length") > 0
    assert window.run(
        f"{closed}.every(one => one.checkVisibility({{contentVisibilityAuto: true}}))"
    )
