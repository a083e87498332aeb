"""Auth objects: what a program gives its HTTP library, so that each request carries a good token.

Theory of operation
===================

An auth object asks the service for the access token before each request. The service refreshes a
token shortly before its end, once for all threads and processes (:mod:`stayfast.engine.flows.refresh`),
so an auth object keeps no token and no clock of its own.

A resource server may refuse a token that still counts as good: it was revoked, or a clock is wrong.
After a 401 to a request that carried our token the service is asked for another one
(``refresh_tokens(rejected=…)``: one refresh, however many requests were refused at once). The request
is sent once more with it.

- A body that can be read only once (a generator, a pipe) is not sent again: the 401 is the program's,
  and the next request carries the new token. Forms and files in memory or on disk are sent again whole;
  ``httpx`` cannot wind back a file that is a body by itself.
- A token fresh from a refresh that is refused as well shows that refreshing does not help. This origin
  then causes no further refresh until the service hands out another token.
- Without a refresh token nothing can be done about a 401: it is the program's.

A token that is bound to a key of its login goes with a proof for each request (RFC 9449). Where a
401 is about the proof, a new one is sent first: with the nonce that the server wants, or for the
address that a redirect led to. The nonces of each server are remembered. A proof follows no redirect
to another origin.

An answer that asks for more scopes (RFC 6750 §3.1), or for a stronger sign-in (RFC 9470 §3), is a
:class:`stayfast.StepUpRequired`: no refresh helps, and signing in is the program's to decide::

    except StepUpRequired as more:
        service.authenticate("acme", challenge=more.challenge)

A token goes only where it belongs. With ``hosts`` it is attached to requests to these hosts, and all
other requests go out without it. Plain ``http`` to another machine is refused (RFC 6750 §5.3), unless
``hosts`` names that origin with its scheme. Both libraries drop the header where a redirect leaves the
origin, and a 401 to a request that does not carry our token is never answered with one.

:mod:`.bearer` holds these rules; a module per HTTP library speaks its language.
"""
