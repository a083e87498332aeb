"""The page in the browser: says what happened, and what to do next; no script, nothing fetched."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from http import HTTPStatus
from typing import Final

from .http_message import render_response

_STYLE: Final = (
    ":root{color-scheme:light dark;--ink:#1b1f24;--dim:#4b5563;--paper:#fbfbf9;--good:#1a6b3c;"
    "--bad:#a1260d}"
    "@media(prefers-color-scheme:dark){:root{--ink:#eceff2;--dim:#b4bcc6;--paper:#15181c;"
    "--good:#6fd39b;--bad:#ff9d85}}"
    "body{margin:0;background:var(--paper);color:var(--ink);"
    "font:1.125rem/1.6 system-ui,sans-serif}"
    "main{max-width:34rem;margin:16vh auto 0;padding:0 1.5rem}"
    "h1{font-size:1.6rem;line-height:1.25;margin:0 0 .75rem}"
    ".good h1{color:var(--good)}.bad h1{color:var(--bad)}"
    "p{margin:.5rem 0;overflow-wrap:anywhere}.dim{color:var(--dim)}"
    "code{font:1em ui-monospace,monospace}"
)
_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
)


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says.

    Attributes:
        title: What happened, in a few words.
        lines: What it means, and what to do next.
        mood: ``good``, ``bad`` or empty; colour never carries the meaning alone.
        command: A command to run in the terminal, if there is one.
    """

    title: str
    lines: tuple[str, ...]
    mood: str = ""
    command: str | None = None

    def render(self) -> str:
        """The page as HTML."""
        said = "".join(f"<p>{escape(line)}</p>" for line in self.lines if line)
        run = f"<p>Run <code>{escape(self.command)}</code>.</p>" if self.command else ""
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            '<meta name="robots" content="noindex">'
            f"<title>{escape(self.title)} · Holdfast</title><style>{_STYLE}</style></head>"
            f'<body><main class="{self.mood}"><h1>{escape(self.title)}</h1>{said}{run}'
            '<p class="dim">Holdfast, on this computer</p></main></body></html>\n'
        )


def respond(page: Page, status: HTTPStatus = HTTPStatus.OK, *, head_only: bool = False) -> bytes:
    """``page`` as an answer."""
    headers = (("Content-Security-Policy", _POLICY),)
    return render_response(status, page.render(), headers, head_only=head_only)


def redirect(path: str) -> bytes:
    """Sends the browser on to ``path``, so that the code leaves the address bar."""
    return render_response(HTTPStatus.SEE_OTHER, headers=(("Location", path),))


_BACK: Final = "You can close this tab and go back to your terminal."


def signed_in(provider: str, who: str | None) -> Page:
    """Tokens are saved."""
    name = f" as {who}" if who else ""
    return Page(f"Signed in to {provider}{name}", (_BACK,), "good")


def denied(provider: str, service: str) -> Page:
    """The user or the provider said no."""
    lines = (f"You, or {provider}, declined the request. Nothing was stored.",)
    return Page("Not signed in", lines, "bad", f"holdfast login {service}")


def failed(provider: str, why: str) -> Page:
    """The answer was right, and came to nothing."""
    lines = (f"{provider} sent you back, but the login could not be finished: {why}.",)
    return Page("Not signed in", (*lines, "Your terminal says how to go on."), "bad")


def refused(why: str) -> Page:
    """An answer that is not the login's."""
    lines = (f"{why[:1].upper()}{why[1:]}.", "The login is still waiting for its own answer.")
    return Page("Not the answer this login waits for", lines, "bad")


def finishing(provider: str) -> Page:
    """The exchange is taking long."""
    return Page("Received", (f"The login to {provider} is being finished in your terminal.",))


def over() -> Page:
    """Somebody came back later."""
    return Page("This login is over", (_BACK,))
