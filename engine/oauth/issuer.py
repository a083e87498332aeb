"""Which issuer an answer may name, where every tenant of a provider has an issuer of its own.

Some servers serve many organisations at one address. Their metadata name the issuer with a placeholder,
``https://login.example/{tenantid}/v2.0``, and an ID token names that of its user's own organisation: the
placeholder is filled by its claim ``tid``. Everywhere else an issuer is compared to the letter
(RFC 8414 §3.3, RFC 9207 §2.4, OpenID Connect Core §3.1.3.7).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .provider import OAuthProvider

_PLACE: Final = "{tenantid}"
_TENANT: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""What a tenant is known by: a GUID (RFC 9562 §4). No name of a tenant counts: it may change hands."""


def issuer_of_tenant(template: str, tenant: object) -> str | None:
    """The issuer of ``tenant``; ``None`` if that is no tenant's id."""
    if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
        return None
    return template.replace(_PLACE, tenant)


def is_of_tenant(template: str, issuer: object) -> bool:
    """Whether ``issuer`` is that of one tenant."""
    before, _, after = template.partition(_PLACE)
    if not isinstance(issuer, str) or not (issuer.startswith(before) and issuer.endswith(after)):
        return False
    tenant = issuer[len(before) : len(issuer) - len(after)]
    return bool(_TENANT.fullmatch(tenant)) and issuer == f"{before}{tenant}{after}"


def published_issuer(asked: str, named: object, template: str | None) -> str | None:
    """The issuer whose metadata name ``named``, where ``asked`` was asked for; ``None``: another one's.

    Where ``asked`` stands for many tenants, the metadata may name the placeholder; then it goes on
    standing for all of them. Where it is another word for one tenant, they name that tenant, and
    from then on no other one will do.
    """
    if named == asked:
        return asked
    if template is None or is_of_tenant(template, asked):
        return None
    if named == template:
        return asked
    return str(named) if is_of_tenant(template, named) else None


def accepts_issuer(provider: OAuthProvider, named: object, *, tenant: object = None) -> bool:
    """Whether an answer of ``provider`` may name the issuer ``named``.

    Args:
        provider: It has an issuer.
        named: What the answer says.
        tenant: The tenant that an ID token names beside it; an authorization response names none.
    """
    template = provider.issuer_template
    if named == provider.issuer:
        return True
    if not provider.issuer or not template or is_of_tenant(template, provider.issuer):
        return False
    if tenant is None:
        return is_of_tenant(template, named)
    expected = issuer_of_tenant(template, tenant)
    return expected is not None and named == expected
