"""The pages of the embedded authorization server: consent, and the entry of a device code."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title></head><body><main><h1>{escape(title)}</h1>{body}"
        "</main></body></html>"
    )


def _hidden(members: Mapping[str, str]) -> str:
    return "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in members.items()
    )


_BUTTONS = (
    '<button name="decision" value="approve">Approve</button> '
    '<button name="decision" value="deny">Deny</button>'
)


def consent_page(client: str, scope: str, members: Mapping[str, str]) -> str:
    """The page that asks the user whether ``client`` may have ``scope``."""
    asked = f"<p>{escape(client)} asks for: {escape(scope) or 'nothing in particular'}</p>"
    form = f'<form method="post" action="/authorize">{_hidden(members)}{_BUTTONS}</form>'
    return _page("Demo sign-in", asked + form)


def device_page(user_code: str) -> str:
    """The page that asks for a user code and for consent."""
    field = (
        '<label>Code <input name="user_code" autocomplete="off" '
        f'value="{escape(user_code)}"></label> '
    )
    return _page(
        "Connect a device", f'<form method="post" action="/device">{field}{_BUTTONS}</form>'
    )


def message_page(message: str) -> str:
    """A page with one sentence."""
    return _page(message, "")


def form_post_page(address: str, members: Mapping[str, str]) -> str:
    """A page that posts ``members`` to ``address`` (OAuth 2.0 Form Post Response Mode)."""
    form = f'<form method="post" action="{escape(address)}">{_hidden(members)}'
    return _page("Going back", form + "<button>Continue</button></form>")
