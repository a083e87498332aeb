"""A scripted browser that goes through the pages of an authorization server like a user.

As a library for tests, and as a command for the ``BROWSER`` variable::

    BROWSER='python -m stayfast.testing.user_agent approve' stayfast login demo
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import requests

_STEPS: Final = 20  # pages; a server whose pages lead in a circle must not hang a test
_PATIENCE: Final = 20.0  # seconds for a page


@dataclass
class Form:
    """A form of a page: its target, fields and buttons."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict[str, str])
    buttons: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.ways_out: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get").lower()))
        elif self.forms and tag == "input" and given.get("name"):
            self.forms[-1].fields[given["name"]] = given.get("value", "")
        elif tag == "a" and given.get("href", "").rstrip("/").endswith("/abort"):
            self.ways_out.append(given["href"])
        elif self.forms and tag == "button" and given.get("name"):
            self.forms[-1].buttons.append((given["name"], given.get("value", "")))


class UserAgent:
    """One browser session with its cookies."""

    def __init__(self, answers: Mapping[str, str] | None = None) -> None:
        """Fill fields named in ``answers`` with their values."""
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy: everything is on this machine
        self._answers = {"login": "ada", "password": "demo", **(answers or {})}

    def walk(self, url: str, *, approve: bool) -> str:
        """Sign in and decide. Gives the callback address without calling it.

        Args:
            url: The authorization URL.
            approve: Whether to approve or to decline.

        Raises:
            LookupError: The pages did not lead to a callback.
        """
        home = urlsplit(url).netloc
        response = self._session.get(url, allow_redirects=False, timeout=_PATIENCE)
        for _ in range(_STEPS):
            if response.is_redirect:
                target = urljoin(response.url, response.headers["Location"])
                if urlsplit(target).netloc != home:
                    return target
                response = self._session.get(target, allow_redirects=False, timeout=_PATIENCE)
                continue
            way_out = None if approve else self._way_out(response.text)
            if way_out is not None:
                target = urljoin(response.url, way_out)
                response = self._session.get(target, allow_redirects=False, timeout=_PATIENCE)
                continue
            form = self._form(response.text, approve=approve)
            target = urljoin(response.url, form.action)
            if urlsplit(target).netloc != home:  # a form_post answer
                return f"{target}?{urlencode(form.fields)}"
            response = self._submit(form, target)
        raise LookupError("the pages go round in circles")

    def decide_device(self, url: str, user_code: str, *, approve: bool) -> int:
        """Enter ``user_code`` at ``url`` and decide. Gives the status of the last page.

        Raises:
            LookupError: The pages do not end.
        """
        self._answers["user_code"] = user_code
        response = self._session.get(url, timeout=_PATIENCE)
        seen: set[tuple[str, frozenset[str]]] = set()
        for _ in range(_STEPS):
            parser = _Forms()
            parser.feed(response.text)
            if not parser.forms:
                return response.status_code
            form = self._form(response.text, approve=approve)
            place = (form.action, frozenset(form.fields))
            if place in seen:  # some servers end with the empty entry page again
                return response.status_code
            seen.add(place)
            response = self._submit(form, urljoin(response.url, form.action), follow=True)
        raise LookupError("the pages go round in circles")

    def deliver(self, callback: str) -> requests.Response:
        """Call ``callback`` as a browser does: follow redirects, then fetch the icon."""
        response = self._session.get(callback, timeout=_PATIENCE)
        icon = urlunsplit(urlsplit(callback)._replace(path="/favicon.ico", query=""))
        try:
            self._session.get(icon, timeout=_PATIENCE)
        except requests.RequestException:  # the port has closed by now
            return response
        return response

    def _way_out(self, text: str) -> str | None:
        """The link that declines, on a page without a button for it."""
        parser = _Forms()
        parser.feed(text)
        return parser.ways_out[0] if parser.ways_out else None

    def _form(self, text: str, *, approve: bool) -> Form:
        parser = _Forms()
        parser.feed(text)
        if not parser.forms:
            raise LookupError("no form is on the page")
        form = parser.forms[0]
        form.fields.update({n: v for n, v in self._answers.items() if n in form.fields})
        for name, value in form.buttons:
            no = value == "deny" or name == "abort"
            if no is not approve:
                form.fields[name] = value
        return form

    def _submit(self, form: Form, target: str, *, follow: bool = False) -> requests.Response:
        if form.method == "post":
            return self._session.post(
                target, data=form.fields, allow_redirects=follow, timeout=_PATIENCE
            )
        return self._session.get(
            target, params=form.fields, allow_redirects=follow, timeout=_PATIENCE
        )


def fetch_only(url: str, *, approve: bool = True) -> str:
    """Decide, and give the callback address that a user would paste."""
    return UserAgent().walk(url, approve=approve)


def approve(url: str) -> requests.Response:
    """Approve and go back to the program. Gives its page."""
    agent = UserAgent()
    return agent.deliver(agent.walk(url, approve=True))


def deny(url: str) -> requests.Response:
    """Decline and go back to the program. Gives its page."""
    agent = UserAgent()
    return agent.deliver(agent.walk(url, approve=False))


def deliver_twice(url: str) -> tuple[requests.Response, requests.Response | None]:
    """Approve and call the callback twice, as a reload does. The second answer may be missing."""
    agent = UserAgent()
    callback = agent.walk(url, approve=True)
    first = agent.deliver(callback)
    try:
        return first, agent.deliver(callback)
    except requests.RequestException:
        return first, None


def tampered(callback: str, **changes: str | None) -> str:
    """``callback`` with other values for some parameters; ``None`` removes one."""
    parts = urlsplit(callback)
    merged: dict[str, str | None] = {**dict(parse_qsl(parts.query)), **changes}
    query = urlencode({name: value for name, value in merged.items() if value is not None})
    return urlunsplit(parts._replace(query=query))


def decide_device(url: str, user_code: str, *, approve: bool = True) -> int:
    """Enter a device code and decide; gives the last page's status."""
    return UserAgent().decide_device(url, user_code, approve=approve)


def main(arguments: list[str]) -> int:
    """The command: ``approve URL``, ``deny URL``, ``fetch URL`` (prints the callback)."""
    if len(arguments) != 2 or arguments[0] not in {"approve", "deny", "fetch"}:
        print("usage: user_agent approve|deny|fetch URL", file=sys.stderr)  # noqa: T201  a command
        return 2
    if arguments[0] == "fetch":
        print(fetch_only(arguments[1]))  # noqa: T201  a command
        return 0
    (approve if arguments[0] == "approve" else deny)(arguments[1])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
