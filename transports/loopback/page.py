"""The pages in the browser: what happened, and what to do next.

A page has no script and fetches nothing: its address may hold a code, and whatever it loaded could
read that. All text is escaped, and the Content-Security-Policy allows nothing but our own style.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, replace
from hashlib import sha256
from html import escape
from http import HTTPStatus
from typing import Final

from ...engine.hints import Hint
from .http_message import render_response

_STYLE: Final = (
    ":root{color-scheme:light dark;--ink:#1b1f24;--dim:#4b5563;--paper:#f4f4f1;--card:#fff;"
    "--line:#d9d9d3;--edge:#6b7280;--good:#1a6b3c;--bad:#a1260d}"
    "@media(prefers-color-scheme:dark){:root{--ink:#eceff2;--dim:#b4bcc6;--paper:#101317;"
    "--card:#1a1e24;--line:#343b44;--edge:#8b95a1;--good:#6fd39b;--bad:#ff9d85}}"
    "*{box-sizing:border-box}"
    "body{margin:0;padding:1rem;background:var(--paper);color:var(--ink);"
    "font:1.125rem/1.55 system-ui,sans-serif}"
    "main{max-width:36rem;margin:12vh auto 0;padding:1.5rem 1.75rem;background:var(--card);"
    "border:1px solid var(--line);border-top:.3rem solid var(--edge);border-radius:.4rem;"
    "overflow-wrap:anywhere}"
    ".good{border-top-color:var(--good)}.bad{border-top-color:var(--bad)}"
    ".who{margin:0 0 .5rem;color:var(--dim);font-size:.9375rem}"
    "h1{font-size:1.5rem;line-height:1.3;margin:0 0 1rem}"
    ".good h1{color:var(--good)}.bad h1{color:var(--bad)}"
    '.good h1::before{content:"\u2713\u00a0";content:"\u2713\u00a0"/""}'
    '.bad h1::before{content:"\u2717\u00a0";content:"\u2717\u00a0"/""}'
    "p{margin:.75rem 0}"
    "code{display:block;margin-top:.4rem;padding:.5rem .75rem;background:var(--paper);"
    "border-radius:.3rem;font:1rem/1.5 ui-monospace,monospace}"
    ".dim{margin:1.5rem 0 0;padding-top:.75rem;border-top:1px solid var(--line);"
    "color:var(--dim);font-size:.9375rem}"
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
        command: What to run in the terminal next.
        program: Who shows it.
        login: Which login it is about, and for which account.
    """

    title: str
    lines: tuple[str, ...]
    mood: str = ""
    command: str | None = None
    program: str = "Stayfast"
    login: str = ""

    def render(self) -> str:
        """The page as HTML."""
        text = "".join(f"<p>{escape(line)}</p>" for line in self.lines if line)
        if self.command is not None:
            what = "Next" if self.mood == "good" else "To try again"
            text += f"<p>{what}, run <code>{escape(self.command)}</code></p>"
        foot = f"{self.program}, on this computer"
        if self.login:
            foot += f" · {self.login}"
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            '<meta name="robots" content="noindex">'
            f"<title>{escape(self.title)} · {escape(self.program)}</title>"
            f"<style>{_STYLE}</style></head>"
            f'<body><main class="{self.mood}"><p class="who">{escape(self.program)}</p><h1>{escape(self.title)}</h1>{text}'
            f'<p class="dim">{escape(foot)}</p></main></body></html>\n'
        )


def respond(
    page: Page,
    status: HTTPStatus = HTTPStatus.OK,
    headers: tuple[tuple[str, str], ...] = (),
    *,
    head_only: bool = False,
) -> bytes:
    """``page`` as an answer."""
    safe = (("Content-Security-Policy", _POLICY), *headers)
    return render_response(status, page.render(), safe, head_only=head_only)


@dataclass(frozen=True, slots=True)
class Site:
    """The pages of one program.

    Attributes:
        program: Its name.
        command: Whether its users have the command, and can be sent to it.
    """

    program: str = "Stayfast"
    command: bool = True

    def respond(
        self,
        page: Page,
        status: HTTPStatus = HTTPStatus.OK,
        headers: tuple[tuple[str, str], ...] = (),
        *,
        head_only: bool = False,
    ) -> bytes:
        """``page`` of this program as an answer."""
        command = page.command if self.command else None
        own = replace(page, program=self.program, command=command)
        return respond(own, status, headers, head_only=head_only)

    def not_found(self, method: str) -> bytes:
        """The answer for an unknown path."""
        return self.respond(elsewhere(), HTTPStatus.NOT_FOUND, head_only=method == "HEAD")

    def not_allowed(self, methods: str, method: str) -> bytes:
        """The answer for a ``method`` that is not among ``methods`` (RFC 9110 §15.5.6)."""
        allow = (("Allow", methods),)
        head_only = method == "HEAD"
        return self.respond(elsewhere(), HTTPStatus.METHOD_NOT_ALLOWED, allow, head_only=head_only)


def redirect(path: str) -> bytes:
    """Redirect the browser to ``path``, so that the code leaves the address bar.

    The status is 303: after a posted form (``form_post``), the browser must use GET.
    """
    return render_response(HTTPStatus.SEE_OTHER, headers=(("Location", path),))


_BACK: Final = "You can close this tab and go back to your terminal."


def signed_in(
    provider: str, who: str | None, account: str | None = None, service: str | None = None
) -> Page:
    """The page of a login whose tokens are saved.

    Args:
        provider: The provider's title.
        who: Who signed in, if known.
        account: The account under which the tokens are kept.
        service: The provider's name, for the command that uses them.
    """
    name = f" as {who}" if who else ""
    kept = f"The tokens are kept as account {account}." if account else ""
    command = str(Hint("token", service, account=account)) if service else None
    return Page(f"Signed in to {provider}{name}", (kept, _BACK), "good", command)


def signed_out(provider: str) -> Page:
    """The browser has come back from the provider, where its session has ended."""
    return Page("Signed out", (f"{provider} has ended the session of this browser.",), "good")


def denied(provider: str, service: str) -> Page:
    """The page of a login that the user or the provider declined."""
    lines = (f"The request was declined, by you or by {provider}. Nothing was stored.",)
    return Page("Not signed in", lines, "bad", str(Hint("login", service)))


def failed(provider: str, why: str) -> Page:
    """The page of a login whose answer was right and whose exchange failed."""
    lines = (f"{provider} sent you back, but the login could not be finished: {why}.",)
    return Page("Not signed in", (*lines, "Your terminal says how to go on."), "bad")


def refused(why: str) -> Page:
    """The page for an answer that does not belong to the login that waits."""
    lines = (f"{why[:1].upper()}{why[1:]}.", "The login is still waiting for its own answer.")
    return Page("Not the answer this login waits for", lines)


def stray_return(why: str) -> Page:
    """The page for a return that does not belong to the logout that waits."""
    lines = (f"{why[:1].upper()}{why[1:]}.", "The logout is still waiting for its own browser.")
    return Page("Not the return this logout waits for", lines)


def finishing(provider: str) -> Page:
    """The page while the exchange still goes on."""
    return Page("Received", (f"The login to {provider} is being finished in your terminal.",))


def elsewhere() -> Page:
    """The page for an unknown path."""
    lines = ("This program waits here for one login to come back, and has no other page.",)
    return Page("Nothing is here", lines)


def over() -> Page:
    """The page for a browser that comes back after the login has ended."""
    return Page("This login is over", (_BACK,))
