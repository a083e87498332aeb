"""The site in a real browser, opened as files: nothing is fetched from elsewhere, and the search works."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from chromium import Chromium

pytestmark = pytest.mark.wire

SITE = Path(__file__).resolve().parents[2] / "build" / "site"
LOOKS = {
    f"site-{width}-{scheme}": (width, 900, 1, scheme)
    for width in (1280, 360)
    for scheme in ("light", "dark")
}
PAGES = ["index", "guides/remote", "providers", "reference/machine"]
LOOKED_AT = [
    *((page, look) for page in PAGES for look in LOOKS),
    # axe-core takes as long for this page as for all others together, and the parts of it are the same
    ("reference/api", "site-1280-light"),
    ("reference/api", "site-360-dark"),
]
OF_THE_THEME = ("scrollable-region-focusable:", "landmark-unique:", "aria-dialog-name:")
"""What axe-core finds in the parts that the theme brings: its sidebars scroll, and its search has no name."""


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if not (SITE / "index.html").is_file():
        missing = "the site is not built: make docs"
        if os.environ.get("STAYFAST_REQUIRE_ALL"):
            pytest.fail(missing)
        pytest.skip(missing)
    with chromium.running(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.mark.parametrize(("page", "look"), LOOKED_AT)
def test_a_page_is_in_order(
    window: Chromium, monkeypatch: pytest.MonkeyPatch, page: str, look: str
) -> None:
    """axe-core finds nothing, nothing is wider than the window, and nothing came from elsewhere."""
    monkeypatch.setitem(chromium.LOOKS, look, LOOKS[look])
    window.look(look)
    window.open((SITE / f"{page}.html").as_uri())
    window.run("localStorage.clear()")  # the page keeps the scheme that it was first seen in
    window.reload()
    scheme = "slate" if look.endswith("dark") else "default"
    assert window.run("return document.body.dataset.mdColorScheme") == scheme
    window.photograph(f"{look}-{page.replace('/', '-')}")
    found = [one for one in window.violations() if not one.startswith(OF_THE_THEME)]
    assert found == []
    assert window.run("return document.scrollingElement.scrollWidth <= innerWidth")
    loaded = window.run("return performance.getEntriesByType('resource').map(one => one.name)")
    assert [one for one in loaded if not one.startswith(("file:", "data:", "blob:"))] == []


def test_the_search_finds_an_error_by_its_code(window: Chromium) -> None:
    """Without a server and without a network."""
    window.open((SITE / "index.html").as_uri())
    window.run("document.querySelector('[data-md-toggle=search]').click()")
    window.wait_for("[data-md-component=search]:not([hidden])")
    window.fill("[data-md-component=search-query]", "STORAGE_FULL")
    window.wait_for(".md-search-result__item a[href*='STORAGE_FULL']")
