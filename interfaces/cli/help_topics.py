"""``help``: the pages about a subject rather than a command."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent
from typing import Final

import click

from ...engine.errors import NotFound
from ...engine.hints import Hint
from ...storage.postgres.driver import GRANTS, GRANTS_TO_PURGE
from .app import App
from .command_line import takes_app
from .terminal.formatting import broken
from .terminal.pages import folded

_COLUMNS: Final = 80  # of help that goes to no terminal
_ENVIRONMENT = """\
STAYFAST_STATE_DIR     where logins are kept
STAYFAST_CONFIG_DIR    where providers are configured, and key files are kept
STAYFAST_STORE         auto, keyring, file or memory; used when the vault is made.
                       postgresql://USER@HOST/DATABASE keeps logins in a database
STAYFAST_PASSPHRASE    opens a vault that is sealed under a passphrase, or seals a new one
STAYFAST_NEW_PASSPHRASE  the passphrase that `store rekey --to passphrase` seals the vault under
STAYFAST_KEY_COMMAND   a command that prints the key of a vault sealed with its output
STAYFAST_UNLOCK_WINDOW   keeps what opens the vault in the kernel's session keyring for so long,
                       such as 15m (Linux; off by default; see storage)
STAYFAST_KEYRING       a keyring back end to use, as module:Class
STAYFAST_CLIENT_METADATA  address of your client metadata document, for servers that take one
STAYFAST_COURIER       auto, fork, spawn or inline: which process sends a request whose answer
                       must not be lost (see storage)
STAYFAST_RETENTION     how long a login that is over is kept, such as 30d; used by
                       `stayfast store purge`, and once an hour by programs that sign in
STAYFAST_VIA           auto, loopback, manual, device, or an installed transport
STAYFAST_TOKEN         a token to use instead of any stored login; a warning names it
STAYFAST_AUDIT         where the audit log goes: file (the default), stderr, syslog, journald,
                       logging, structlog or none; several with commas, each with a place
                       after a colon
STAYFAST_AUDIT_FILE    the file of the audit log as JSON lines; off writes none
STAYFAST_COLOR         auto, always or never
STAYFAST_ALLOW_NETWORK_FS   1 allows a vault on a network file system
<PROVIDER>_CLIENT_ID, <PROVIDER>_CLIENT_SECRET   the client of a provider
<PROVIDER>_DEVICE_CLIENT_ID, …_DEVICE_CLIENT_SECRET   the client of its device flow, where that has one
NO_COLOR               no colour, bold or link; FORCE_COLOR and CLICOLOR_FORCE: also in a pipe
BROWSER, HTTPS_PROXY, REQUESTS_CA_BUNDLE   as everywhere
Every other option has a variable of its long name too: STAYFAST_COMMAND_OPTION,
such as STAYFAST_TOKEN_FORMAT, STAYFAST_PROVIDER_ADD_ISSUER and STAYFAST_JSON.
"""
_EXIT_CODES = """\
0    done
1    failed; the reason is on standard error
2    wrong usage
3    the login is saved and waits for its user
4    a login is required
5    the user or the provider said no
6    timed out or expired
7    the storage cannot be used
8    stored data was changed or damaged
126  exec: the command cannot be run
127  exec: the command does not exist
130  interrupted; the login is saved
"""
_ROLE: Final = {"schema": "stayfast", "role": "the_user"}
_GRANTS: Final = indent(GRANTS.format(**_ROLE), "  ")
_GRANTS_TO_PURGE: Final = indent(GRANTS_TO_PURGE.format(**_ROLE), "  ")
_STORAGE = (
    """\
Logins are sealed in one file, vault.db, in the state directory. Its key is in the system keyring
if one answered when the vault was made; else in a key file in the configuration directory, or
under a passphrase if STAYFAST_PASSPHRASE was set. The vault keeps this choice. No storage keeps
tokens in clear.

  stayfast store info               where the vault is, what opens it, whether it is in order
  stayfast store rekey --to KIND    another key, kept in: keyring, passphrase, keyfile,
                                    systemd-creds (credential `stayfast`), command
  stayfast store lock               ends the unlock windows of this session
  stayfast store mend               sets aside what does not open; deletes nothing
  stayfast store purge              removes logins that have been over for long; see STAYFAST_RETENTION
  stayfast store migrate WHERE      moves finished logins to another directory or database

UNLOCK WINDOW. A system keyring, a passphrase or a key command makes each command slow. On Linux,
STAYFAST_UNLOCK_WINDOW=15m keeps what opened the vault in the kernel's keyring of this session for 15
minutes (24h at most); commands with the same setting then open it without asking, a locked system
keyring included. It is off by default, because every program of this session can use that key
until it ends: after the time, by `stayfast store lock`, at the end of the session, or by `store rekey`,
which makes it useless everywhere. Nothing is written to disk. The time counts from the
unlocking, and use does not prolong it. `stayfast logout` does not end it. Where the kernel keeps no
keys (other systems, many containers, processes without a session), everything works without
it, and `stayfast doctor` says why.

A directory or file that other users could read, write or replace is an error, and the hint is the
command that mends it. A directory may be a link of your own. A vault that cannot be read is an
error (7) and never counts as empty. If a vault does not open (8), `store mend` moves it into a
directory set-aside-… and takes the logins that still open into a new vault. If only its key is
missing, look at STAYFAST_CONFIG_DIR first: `store mend` moves the vault only with --without-key or
a yes at the terminal. A vault in set-aside-… that opens again is taken back by `store mend`.
A record that was changed or put back is an error that names it; the others stay readable.
vault.header is a copy of the vault's header: keep both files. If you restore the vault from a
backup, Stayfast reports it: the provider may have replaced its refresh tokens since.

A child process sends each request whose answer must not be lost, and saves the answer even if the
command is killed. If the disk is full, tokens use vault.reserve; if that is not enough, they wait,
sealed, in XDG_RUNTIME_DIR.

For many users on many hosts, STAYFAST_STORE=postgresql://USER@HOST/DATABASE keeps logins in a
PostgreSQL database (in a clone of Stayfast: pip install '.[postgres]'). They are sealed in the
same way: the database sees neither tokens nor names. The first user makes the tables, in schema
stayfast or the one that ?schema=NAME in the address names, and the key: a key file, to be copied
to every other host, or one passphrase for all. Keep a password in PGPASSFILE. The connection to
another machine is encrypted; sslmode=verify-full in the address also checks the server's name.
`?patience=SECONDS` says how long to wait for a server that went away, `?pool=N` how many connections
a process may have. PgBouncer works, in transaction mode, too. Two schemas are two stores, such as one
for each tenant. `store info`, `store mend`, `store rekey` and `audit prune` work as with a vault; all
but the first need the rights of the owner of the tables. After `store rekey` the programs at work go
on; copy a new key file to every other host. `stayfast help postgresql` is for those who run one.

A role that only uses the tables needs:

"""
    + _GRANTS
    + """
To remove logins that are over (`store purge`, STAYFAST_RETENTION), it also needs:

"""
    + _GRANTS_TO_PURGE
    + "\n"
)
_POSTGRESQL = (
    """\
For a service whose users sign in through several workers or hosts.
STAYFAST_STORE=postgresql://USER@HOST/DATABASE keeps all logins in one database, which sees neither
tokens nor names.

SET UP. The owner of the schema makes the tables with a first command, such as `stayfast store
info`, and uses a new version first. Programs use a role that cannot rewrite the log:

"""
    + _GRANTS
    + _GRANTS_TO_PURGE
    + """

The last is only for `store purge` and STAYFAST_RETENTION. `store rekey`, `store mend` and `audit
prune` need the owner.

ADDRESS. ?schema=NAME: one for each tenant, with its own role, key and log. ?pool=N: connections of
one process (8), and as many for its courier. ?patience=SECONDS: the wait for a server that went
away (10). sslmode=verify-full also checks the server's name. With standbys:
USER@A,B/DATABASE?target_session_attrs=read-write. The password goes into PGPASSFILE. PgBouncer
needs no setting.

KEY. Each host needs what opens the root key: the key file (vault-*.key in the configuration
directory), one passphrase, the systemd credential `stayfast`, or the output of
STAYFAST_KEY_COMMAND. A host without it gets one error, and writes nothing. To change the key:

  1  Where a command, a credential or a passphrase keeps it, put the new value there first.
  2  `stayfast store rekey [--to KIND]`, as the owner; programs go on with their work.
  3  Copy a new key file to every other host at once. Tokens that arrive there meanwhile wait
     sealed, and are saved later.
  4  `stayfast store info` says how many logins are still under the former key, if any are.

If it was killed, `stayfast store mend` finishes it. The former key still opens older backups.

BACKUP. Back up the database, and the key apart from it. After a restore, commands say that an
older copy was put back, `audit verify` reports it, and the next commit records it. Users whose
refresh token was replaced since the backup sign in again. Keep the rollback markers
(vault-*.generation in the configuration directory) of each host.

RETENTION. STAYFAST_RETENTION=30d, or `stayfast store purge --older-than 30d` from a timer, removes
logins that are over; `stayfast audit prune` removes old records of the log.

HEALTH. service.check(within=3.0) tries a write, rolls it back, and answers in time.
`stayfast store info --json` has the logins by state, the oldest that waits, the key and the size.
Watch for exit codes 7 and 8 of it, and in the log for reason=interrupted.
"""
)
_FILES = """\
~/.local/state/stayfast/vault.db       logins and their audit log, sealed
~/.local/state/stayfast/vault.header   a second copy of the vault's header
~/.local/state/stayfast/audit.jsonl    the audit log as JSON lines; holds no secret
~/.local/state/stayfast/locks/         one lock file per login in use; its process removes it
~/.config/stayfast/config.toml         your providers
~/.config/stayfast/accounts            the accounts that `account use` chose
~/.local/state/stayfast/vault.reserve  room kept free for tokens
~/.local/state/stayfast/vault.list     what lists of many logins show, sealed; may be removed
~/.config/stayfast/vault-*.key         the key file, where there is one
~/.config/stayfast/vault-*.generation  the number of the vault's last commit
"""
_AUDIT = """\
Every change of a login is one record in the vault, saved together with it or not at all. The
first refused answers of a login are records, too; later ones are counted, once a minute. A key of
the vault links each record to all before it.

What is refused before a login begins has no record, for there is no login that it could be of: an
unknown provider, a client id that is missing, a setting that no request can be made with. The error
and the exit status say it to whoever ran the command, and nothing was sent.

stayfast audit show             what happened, a line each
stayfast audit verify           no record was changed, moved, added or cut; the machine allows every
                                transition; every login is in the state of its last record
stayfast audit report           one page for a browser: logins over time, failures, who, every path
stayfast audit checkpoint       prints a signed note of the last record, to be kept elsewhere.
                                verify --checkpoint then shows whether a person with the vault's
                                key cut or rewrote the log
stayfast audit forward-secure   erases the key of each record once it is written, so that not even
                                the vault's key can rewrite it
stayfast audit prune            removes old records; the rest can still be verified
stayfast audit set-aside        begins a new segment after a damaged one

audit.jsonl in the state directory has the same records; verify --file checks it.
verify exits with 8 if anything is wrong, and names the record.

A file of 32 MiB is renamed to audit.jsonl.1, in place of the one before; the vault has every record.
Another program may rename, empty or remove the file at any time: the next line is the next record.
For logrotate, run by you; or by root, with the whole path and the line `su YOU YOUR-GROUP`:

    ~/.local/state/stayfast/audit.jsonl {
        weekly
        rotate 8
        maxsize 16M
        dateext
        compress
        missingok
        notifempty
        nocreate
    }

dateext keeps its names apart from audit.jsonl.1; instead of nocreate, copytruncate works as well.
store info says which place does not get the log, since when, and why.
"""
_PROVIDERS = """\
stayfast provider list WORDS                    finds what is known by name, title or group
stayfast provider add KIND                      asks what it needs, says how to register a client
stayfast provider add KIND NAME --set domain=acme.okta.com --client-id ID   asks nothing
stayfast provider check NAME                    compares with what is published now
stayfast provider add NAME --issuer https://…   finds the endpoints by discovery
stayfast provider add NAME --auth-url … --token-url …   names the endpoints
stayfast provider edit NAME --redirect-uri http://127.0.0.1:8765/callback   fixes the port

The client id and secret come from --client-id, from <NAME>_CLIENT_ID and <NAME>_CLIENT_SECRET,
or from config.toml. Settings are in [providers.NAME]; every field of OAuthProvider is a setting.
kind names the entry of the catalogue that a provider is one of, and template what it was asked.
A client proves itself by what it has: --client-cert before --client-key before the secret; or as
--client-auth says. --par pushes the authorization request, --request-object signs it, --dpop binds
the tokens to a key of the login: auto does so where the provider, or the registration, asks for it.
login takes the same options, and --resource, --prompt, --max-age and others, for one login alone.

A redirect address without a port uses port 8080, 3000 or 57548; with :0, any free port.

What a provider does otherwise than the RFCs is said by settings of config.toml, each by the RFC's name.
`provider add` and `provider edit` take them, too: `--set refresh_lifetime=86400`,
`--set parameter_names.scope=scopes`, `--set "repeats_scope=poll refresh"`. A value that is empty
takes one out again: `provider edit NAME --set refresh_lifetime=`.

  parameter_names = { scope = "scopes" }           what its requests call a parameter
  member_names = { error = "error.error_subcode" }   where its answers have a member
  error_codes = { 1349174 = "authorization_pending" }   what its own errors mean
  device_grant_type, device_lifetime, scopes_for_device, client_id_for_device   its device flow
  secret_for, empty_secret, sends_scope, repeats_scope, refresh_url   what it wants and where
  revocation_method, revocation_auth, revocation_parameters, revocation_ends   how a token ends
  refresh_rotates, refresh_lifetime, api_url_member, callback_extras   what status shows of it
      (the API's address that an answer says is also in `token --json`; `exec --api-url-var` hands it on)
  token_lists, token_resource_member   further tokens of one answer, for token --resource NAME
  pkce = "off"   for a server that refuses PKCE; each login then warns, and the audit log says so

Two parameters cannot have one name, and state and the checks of an answer cannot be switched off.
`stayfast provider show NAME` prints what a provider of the catalogue has.
"""
_MCP = """\
stayfast login https://mcp.acme.dev/mcp      signs in to the MCP server at that address
stayfast mcp auth ADDRESS|NAME               the same, and refuses an address that asks for no token
stayfast token https://mcp.acme.dev/mcp      prints a token for it, refreshed if need be

The server is asked without a token, and its answer says where its users sign in (RFC 9728). There
Stayfast takes the first client of these that exists:

1  --client-id, or the client of your provider with that very issuer (`stayfast provider list`)
2  your client metadata document, where the server takes one: STAYFAST_CLIENT_METADATA has its
   address, and `stayfast client-metadata ADDRESS` prints what to host there
3  a client that is registered by itself, once, and kept sealed; a forgotten one is registered anew
4  else login says which redirect address to register by hand

--issuer chooses among several servers. --scope replaces what the MCP server asks for; tokens are for
its address alone (--resource). After a 403 that asks for more, `login ADDRESS --challenge 'HEADER'`
asks for what you had and that.

What a server says is believed only so far: its metadata lie on its own host and are about its own
address; the authorization server promises PKCE with S256; and a public server names nothing in a
private network, neither by its form nor by where its name leads when we connect. Behind a proxy, the
proxy looks names up. A server on this machine, or in your network, may name others there. Nothing is
followed elsewhere. If something is wrong, no browser opens, and the audit log says why:
`stayfast audit show --event resource.refused`

Programs use stayfast.interfaces.auth.mcp: McpAuth for the HTTP client of the mcp package.
"""
_CREDENTIALS = """\
git, kubectl, docker and Bazel ask for a token each time they need one. `stayfast setup` shows the
configuration that tells them whom to ask; --write writes it, --undo takes it back to the letter.

  stayfast setup git --provider acme --url https://git.acme.dev
  stayfast setup kubectl --provider acme
  stayfast setup docker --provider acme --url registry.acme.dev
  stayfast setup bazel --provider acme --url cache.acme.dev

For kubectl add `--id-token` where the cluster trusts an OpenID provider. All of them then run `stayfast credential KIND --provider acme`. It asks nobody anything and opens no
browser; it refreshes the token without a word. If a login is needed, one line on standard error
says so. No token is sent by http, but to this machine. A refresh token is never handed out.

For curl, which reads the header from its standard input:

  stayfast token acme --format header | curl -H @- https://api.acme.dev/me

For AWS, the ID token becomes a key of a role that trusts the provider. ~/.aws/config has
credential_process = /home/you/bin/acme-aws, and that program is:

  #!/bin/sh
  token=$(stayfast credential kubectl --provider acme --id-token |
    jq -r .status.token) || exit 1
  aws sts assume-role-with-web-identity --no-sign-request \\
    --role-arn arn:aws:iam::123456789012:role/dev \\
    --role-session-name stayfast --web-identity-token "$token" \\
    --query Credentials | jq '. + {Version: 1}'

For Terraform and OpenTofu, ~/.terraformrc has `credentials_helper "stayfast" { args = [] }`, and
~/.terraform.d/plugins/terraform-credentials-stayfast is:

  #!/bin/sh
  [ "$1" = get ] || exit 0
  token=$(stayfast token acme) && printf '{"token":"%s"}\\n' "$token"

For pip (--keyring-provider subprocess) and uv (--keyring-provider subprocess), with an index such as
https://oauth2accesstoken@pypi.acme.dev/simple, a program keyring that is first in PATH is:

  #!/bin/sh
  [ "$1" = get ] && exec stayfast token acme
"""


def _installed() -> list[str]:
    """The transports that other packages bring."""
    from ...engine.foreign_text import printable  # noqa: PLC0415  for this page alone
    from ...transports.plugins import installed  # noqa: PLC0415  as above

    lines = [f"{one.name:<8}  {one.summary or 'no summary'} ({one.package})" for one in installed()]
    return [printable(line) for line in lines]  # the summary is a text of somebody else


def _transports() -> str:
    from ...transports.choice import TABLE as CHOICES  # noqa: PLC0415  for this page alone

    lines = [
        "loopback  the browser comes back to a port of this machine; at a terminal you can paste",
        "          the address, too",
        "manual    you paste the address the browser ends on; also called paste",
        "device    you enter a code on any other device",
        *_installed(),
        "Packages can add others by an entry point in the group stayfast.transports.",
        "",
        "While a login waits at a terminal, single keys act at once:",
        "",
        "  c  copies the address, or the code, to the clipboard of the terminal you sit at",
        "  p  takes a pasted address instead",
        "  d  shows a code for a phone instead",
        "  o  opens a browser here for the code",
        "  Ctrl-C  pauses; `stayfast resume` goes on",
        "",
        "Pasted text is never shown, only its length. Ctrl-Z and fg work as everywhere.",
        "",
        "Without --via or STAYFAST_VIA the first fitting row decides; `login -v` names it:",
        "",
    ]
    lines += [f"  {row.number:>2}  {row.reason}" for row in CHOICES]
    return "\n".join(lines) + "\n"


def _machine() -> str:
    from ...engine.table import TABLE, State  # noqa: PLC0415  for this page alone

    lines: list[str] = []
    for state in State:
        lines.append(state.value)
        lines += [
            f"  {row.trigger.value}  to {row.dest.value}: {row.meaning}"
            for row in TABLE
            if row.source is state
        ]
    return "\n".join(lines) + "\n"


def _errors() -> str:
    from ...engine.result import ErrorCode  # noqa: PLC0415  for this page alone
    from .error_pages import exit_code_of  # noqa: PLC0415  as above

    lines = [f"{code.value:<26}{exit_code_of(code)}" for code in ErrorCode]
    return (
        "Each error has a code, which --json and programs see, and the command an exit code:\n\n"
        + "\n".join(lines)
        + "\n\n`stayfast help CODE` says what it means, and what to do.\n"
    )


TOPICS: Final = {
    "audit": lambda: _AUDIT,
    "credentials": lambda: _CREDENTIALS,
    "environment": lambda: _ENVIRONMENT,
    "errors": _errors,
    "exit-codes": lambda: _EXIT_CODES,
    "files": lambda: _FILES,
    "machine": _machine,
    "mcp": lambda: _MCP,
    "postgresql": lambda: _POSTGRESQL,
    "providers": lambda: _PROVIDERS,
    "storage": lambda: _STORAGE,
    "transports": _transports,
}
"""The pages as :mod:`.terminal.pages` reads them, which lays them out."""


@click.command("help")
@click.argument("topic", nargs=-1)
@takes_app
def help_command(app: App, *, topic: tuple[str, ...]) -> None:
    """Show a page on storage, transports, exit codes or another subject, on an error, or on a command.

    At a terminal, a page that is longer than it is shown in the program that PAGER names.
    """
    root = click.get_current_context().find_root()
    columns = app.terminal.columns or _COLUMNS
    if not topic:
        pages = broken(f"Pages: stayfast help {' | '.join(TOPICS)}", columns - 1, 7)
        _show(app, "\n".join([root.get_help(), "", *pages]))
    else:
        page = _page_of(topic)
        _show(app, folded(page, columns - 1) if page else _help_of(root, topic))


def _page_of(topic: Sequence[str]) -> str | None:
    """The page about ``topic``, if it is a subject or the code of an error."""
    if len(topic) != 1:
        return None
    if topic[0] in TOPICS:
        return TOPICS[topic[0]]()
    from ...engine.result import ErrorCode  # noqa: PLC0415  no other page needs the codes
    from .error_pages import page_of  # noqa: PLC0415  as above

    code = topic[0].upper()
    return page_of(ErrorCode(code)) if code in set(ErrorCode) else None


def _show(app: App, page: str) -> None:
    """Print a page; in a pager, if it is longer than the terminal that it goes to."""
    rows = app.terminal.rows
    if app.terminal.interactive and rows is not None and page.count("\n") + 1 >= rows:
        click.echo_via_pager(f"{page}\n")
    else:
        app.terminal.answer(page)


def _help_of(root: click.Context, words: Sequence[str]) -> str:
    """The help of a command: ``audit show`` is named as it is typed."""
    context, command = root, root.command
    for word in words:
        below = command.get_command(context, word) if isinstance(command, click.Group) else None
        if below is None:
            from difflib import get_close_matches  # noqa: PLC0415  for a mistake alone

            from ...engine.result import ErrorCode  # noqa: PLC0415  as above

            names = _names(command)
            if command is root.command:
                names |= {*TOPICS, *(code.value for code in ErrorCode)}
            similar = get_close_matches(word, names, n=1)
            shown = " ".join(words)
            raise NotFound(
                f"there is no page {shown[:40]!r}",
                hint=Hint("help", None, *words[: words.index(word)], *similar),
            )
        context = click.Context(below, info_name=word, parent=context)
        command = below
    return command.get_help(context)


def _names(command: click.Command) -> set[str]:
    return set(command.commands) if isinstance(command, click.Group) else set()
