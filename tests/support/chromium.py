"""A real, headless Chromium: driven as its user would, photographed, and judged by axe-core."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wire_provider
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

AXE = wire_provider.FOLDER / "node_modules" / "axe-core" / "axe.min.js"
PATIENCE = 120  # seconds after which a page has hung
LOOKS = {  # width, height, pixels per CSS pixel, colour scheme
    "light": (1000, 640, 1, "light"),
    "dark": (1000, 640, 1, "dark"),
    "narrow": (320, 560, 1, "light"),
    "zoomed": (500, 320, 2, "dark"),  # 1000 x 640 at 200 %
}


def require() -> tuple[str, str]:
    """The paths of Chromium and its driver; skips, or fails where everything is required."""
    found = shutil.which("chromium"), shutil.which("chromedriver")
    missing = None
    if found[0] is None or found[1] is None:
        missing = "chromium and chromium-driver are not installed"
    elif not AXE.is_file():
        missing = "axe-core is not installed: make wire"
    if missing is None:
        return str(found[0]), str(found[1])
    if os.environ.get("STAYFAST_REQUIRE_ALL"):
        pytest.fail(missing)
    pytest.skip(missing)


class Chromium:
    """One browser window."""

    def __init__(self, driver: Any, pictures: Path) -> None:
        self._driver = driver
        self._pictures = pictures
        self._axe = AXE.read_text(encoding="utf-8")

    def open(self, address: str) -> None:
        self._driver.get(address)

    def forget(self) -> None:
        """Be a browser that has never been anywhere."""
        self._driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self.open("about:blank")
        self._driver.execute_cdp_cmd("Page.resetNavigationHistory", {})
        self._driver.get_log("browser")

    def show(self, html: bytes) -> None:
        """Show a page that no address leads to."""
        self.open(f"data:text/html;base64,{base64.b64encode(html).decode()}")

    def reload(self) -> None:
        """As F5 does; a page that cannot be loaded is no error."""
        with contextlib.suppress(WebDriverException):
            self._driver.refresh()

    @property
    def address(self) -> str:
        return self._driver.current_url

    @property
    def title(self) -> str:
        return self._driver.title

    def press(self, selector: str) -> None:
        """Click what ``selector`` finds, once it is there."""
        self._find(selector).click()

    def fill(self, selector: str, text: str) -> None:
        self._find(selector).send_keys(text)

    def run(self, script: str) -> Any:
        return self._driver.execute_script(script)

    def _find(self, selector: str) -> Any:
        wait = WebDriverWait(self._driver, PATIENCE)
        return wait.until(lambda driver: driver.find_element("css selector", selector))

    def wait_for(self, selector: str) -> None:
        self._find(selector)

    def history(self) -> list[str]:
        """Every address the back button knows."""
        answer = self._driver.execute_cdp_cmd("Page.getNavigationHistory", {})
        return [entry["url"] for entry in answer["entries"]]

    def complaints(self) -> list[str]:
        """What the console complains of since last asked: a style or resource that was blocked."""
        answer = [entry["message"] for entry in self._driver.get_log("browser")]
        return [line for line in answer if "Content Security Policy" in line]

    def look(self, name: str) -> None:
        """Put on one of the :data:`LOOKS`."""
        width, height, scale, scheme = LOOKS[name]
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def emulate(self, media: dict[str, Any]) -> None:
        """Be a medium: paper, or another than the screen that :meth:`look` chose."""
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def photograph(self, name: str) -> Path:
        path = self._pictures / f"{name}.png"
        assert self._driver.save_screenshot(str(path))
        return path

    def violations(self) -> list[str]:
        """What axe-core finds wrong with the page as it is now."""
        self.run(self._axe)
        answer = self._driver.execute_async_script(
            "const done = arguments[0]; axe.run().then(done, e => done({failed: String(e)}))"
        )
        assert "failed" not in answer, answer
        assert answer["passes"]
        return [f"{one['id']}: {one['help']}" for one in answer["violations"]]


@contextlib.contextmanager
def running(place: Path) -> Iterator[Chromium]:
    """A window for as long as the block; pictures go to STAYFAST_ARTIFACTS, or to ``place``."""
    chromium, driver_path = require()
    pictures = Path(os.environ.get("STAYFAST_ARTIFACTS") or place)
    pictures.mkdir(parents=True, exist_ok=True)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        f"--user-data-dir={place / 'profile'}",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--no-proxy-server",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        *(["--no-sandbox"] if os.getuid() == 0 else []),  # Chromium refuses root otherwise
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_path))
    try:
        driver.set_page_load_timeout(PATIENCE)
        driver.set_script_timeout(4 * PATIENCE)  # axe-core reads a long page
        yield Chromium(driver, pictures)
    finally:
        driver.quit()
