"""Importers: tokens that a user already has from another program become a login here.

What is read, by its content, whatever its name:

======================================  ==========================================================
the ``hosts.yml`` of ``gh``             :mod:`.gh`
``credentials.db`` and                  :mod:`.google`
``application_default_credentials.json``
of ``gcloud``, and the ``token.json``
that ``google-auth`` writes
the cache of MSAL, in JSON              :mod:`.msal`
a token response, with ``expires_at``   :mod:`.found`
as oauthlib, Authlib and others keep
it, or with ``issued_at`` as
:meth:`stayfast.OAuthTokens.to_dict`
writes it (``tokens/{service}.json``)
======================================  ==========================================================

What was read is only a claim of a file. A token that could end a header is refused; so are tokens of
another server than the provider's, because a refresh would send them there. An ID token is left out:
nobody has validated it, and so nobody is named as its user.

The other program keeps its copy. Where the provider replaces refresh tokens, the first of the two that
refreshes signs the other one out; so sign out there, or remove the file, but do not revoke.
"""

from __future__ import annotations

from .importing import Source, import_tokens

__all__ = ["Source", "import_tokens"]
