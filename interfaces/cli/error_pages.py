"""``help AUTH_REQUIRED``: what each code of an error means, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ...engine.errors import StayfastError
from ...engine.result import ErrorCode


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPage:
    """One code.

    Attributes:
        meaning: What has happened, in one sentence or two.
        lost: What became of the login: people ask this first.
        causes: When it comes, a sentence each.
        steps: What to do: a command, and what it does. A step without a command is a sentence.
    """

    meaning: str
    lost: str
    causes: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]


_NOTHING = "Nothing was lost: the login is as it was."

PAGES: Final[dict[ErrorCode, ErrorPage]] = {
    ErrorCode.AUTH_REQUIRED: ErrorPage(
        meaning="Nobody is signed in to this provider with this account, or an API wants another sign-in than the present one.",
        lost="Nothing was lost: there was no login, or it is kept beside the one that is asked for.",
        causes=(
            "No login was made yet, or it was signed out.",
            "Another account is signed in than the one that was named.",
            "The API asks for a newer sign-in, or for further scopes (RFC 9470); the hint names them.",
        ),
        steps=(
            ("stayfast status", "who is signed in where"),
            ("stayfast login PROVIDER", "sign in"),
            ("stayfast account list", "the accounts of each provider"),
        ),
    ),
    ErrorCode.AUTH_FAILED: ErrorPage(
        meaning="The login ended without tokens, and neither you nor the provider declined it.",
        lost="This login is over; another one can begin at once. Tokens of an earlier login are still there.",
        causes=(
            "The code had expired or had been used when it was sent.",
            "The provider's ID token did not pass its checks: another issuer, client, nonce or user.",
            "The clock of this machine is wrong.",
        ),
        steps=(
            ("stayfast login PROVIDER", "try again"),
            ("stayfast doctor PROVIDER", "checks clock, network, settings and storage"),
            ("stayfast audit show --provider PROVIDER", "every step of the login that failed, with the reason"),
        ),
    ),
    ErrorCode.AUTH_CANCELLED: ErrorPage(
        meaning="You or the provider said no (access_denied), or the login was cancelled.",
        lost="This login is over. Tokens of an earlier login are still there.",
        causes=(
            "Somebody pressed Cancel or Deny on the provider's page.",
            "An administrator has not allowed this client, or this user.",
            "stayfast cancel ended it, or the program's cancel token did.",
        ),
        steps=(("stayfast login PROVIDER", "begin again"),),
    ),
    ErrorCode.TOKEN_EXPIRED: ErrorPage(
        meaning="The access token has expired, and there is no refresh token to get another one with.",
        lost="The login has ended by itself.",
        causes=(
            "The provider gives refresh tokens only for a scope such as offline_access, or for a switch of the client.",
            "The client asked for none.",
        ),
        steps=(
            ("stayfast login PROVIDER", "sign in again"),
            ("stayfast provider show PROVIDER", "which scopes are asked for"),
        ),
    ),
    ErrorCode.TOKEN_REFRESH_FAILED: ErrorPage(
        meaning="The provider refused the refresh token. Only a readable refusal counts: an outage never ends a login.",
        lost="The login has ended; a new one is needed. Its refresh token is not sent again by itself.",
        causes=(
            "It was revoked: by a logout elsewhere, a changed password, or an administrator.",
            "It was not used for too long, or its own lifetime is over.",
            "A power cut came between the provider's answer and the disk, and this provider allows no second use.",
        ),
        steps=(
            ("stayfast login PROVIDER", "sign in again"),
            ("stayfast audit show --provider PROVIDER", "when it was refused, and with which code"),
        ),
    ),
    ErrorCode.CONFIG_MISSING: ErrorPage(
        meaning="A setting is missing that is needed before anything can be sent.",
        lost=_NOTHING,
        causes=(
            "There is no client id: a provider knows programs by an id that you register there.",
            "The provider wants a client secret, or a file that holds one is not there.",
            "An endpoint is unknown, and the provider publishes none.",
        ),
        steps=(
            ("stayfast provider show PROVIDER", "the settings, and where each comes from"),
            ("stayfast provider edit PROVIDER --client-id ID", "keep the client id"),
            ("stayfast help providers", "where settings are read from"),
        ),
    ),
    ErrorCode.CONFIG_INVALID: ErrorPage(
        meaning="A setting, an argument or a file has a value that cannot work. The sentence names it.",
        lost=_NOTHING,
        causes=(
            "A typing error in an option, a variable or config.toml.",
            "A file of settings that others can write, and so could choose where secrets are sent.",
        ),
        steps=(
            ("stayfast provider show PROVIDER", "the settings, and where each comes from"),
            ("stayfast help environment", "every variable"),
        ),
    ),
    ErrorCode.NOT_FOUND: ErrorPage(
        meaning="There is no provider, account, login, page or file of that name.",
        lost=_NOTHING,
        causes=(
            "A misspelt name: the hint has the nearest one.",
            "A login that is over and was purged.",
            "A token of an unknown provider was wanted: the command ends with 4, as without a login.",
        ),
        steps=(
            ("stayfast provider list", "the providers that are known"),
            ("stayfast status", "the logins that there are"),
        ),
    ),
    ErrorCode.TIMEOUT: ErrorPage(
        meaning="The deadline of the login passed before you answered in the browser.",
        lost="This login is over. Tokens of an earlier login are still there.",
        causes=("Ten minutes passed; --timeout gives more.", "A device code lived shorter than that."),
        steps=(
            ("stayfast login PROVIDER", "begin again"),
            ("stayfast login PROVIDER --timeout 30m", "wait longer"),
        ),
    ),
    ErrorCode.NETWORK_ERROR: ErrorPage(
        meaning="No usable answer came: refused, reset, timed out, a bad certificate, or a server that is in trouble.",
        lost="The login is as it was, and tries again with the next command. A token that is still valid is given out meanwhile.",
        causes=(
            "This machine is offline, or behind a proxy that is not configured (HTTPS_PROXY).",
            "A company's certificate authority is unknown here (REQUESTS_CA_BUNDLE).",
            "The provider is down, or asked for patience.",
        ),
        steps=(
            ("stayfast doctor PROVIDER", "which part of the way fails"),
            ("stayfast refresh PROVIDER -vv", "every request and answer, without secrets"),
        ),
    ),
    ErrorCode.PROVIDER_ERROR: ErrorPage(
        meaning="The provider refused, or its answer cannot be understood.",
        lost="A refresh token or a waiting login is kept. Where a login could not begin, it is over.",
        causes=(
            "The client is not allowed what it asks for: a scope, a redirect address, a grant.",
            "The answer lacks a member, or has one of another type.",
        ),
        steps=(
            ("stayfast login PROVIDER --explain", "what is sent, step by step, without secrets"),
            ("stayfast provider show PROVIDER", "the settings, and where each comes from"),
        ),
    ),
    ErrorCode.LOGIN_PENDING: ErrorPage(
        meaning="The login is saved and waits for you. Nothing failed.",
        lost=_NOTHING,
        causes=("A script began it with --start.", "Ctrl-C paused it."),
        steps=(
            ("stayfast resume", "go on"),
            ("stayfast resume ID --callback-url -", "give the address that the browser ended on"),
            ("stayfast cancel ID", "forget it"),
        ),
    ),
    ErrorCode.LOGIN_BUSY: ErrorPage(
        meaning="Another process has this login, or a file of the program, in hand. The sentence names it where it can.",
        lost=_NOTHING,
        causes=("Two terminals resume one login.", "A refresh takes longer than this command waits."),
        steps=(("stayfast status", "which login waits, and for what"),),
    ),
    ErrorCode.CALLBACK_REFUSED: ErrorPage(
        meaning="What came back is not the answer to this login. The login goes on waiting.",
        lost=_NOTHING,
        causes=(
            "The address belongs to another login, or was pasted in part.",
            "The page had been opened before, from an older login.",
            "A web page or another program sent something to the port.",
        ),
        steps=(
            ("stayfast resume ID --callback-url -", "give the whole address"),
            ("stayfast audit show --event login.refused", "each refused answer, with the reason"),
        ),
    ),
    ErrorCode.ILLEGAL_TRANSITION: ErrorPage(
        meaning="A login cannot do that in the state that it is in.",
        lost=_NOTHING,
        causes=("Another process was faster: the login is over, or signed in by now.",),
        steps=(
            ("stayfast status", "the state of every login"),
            ("stayfast help machine", "what is possible in each state"),
        ),
    ),
    ErrorCode.TRANSPORT_UNAVAILABLE: ErrorPage(
        meaning="This way of coming back does not work here: no free port, no terminal, or no device endpoint.",
        lost="A login that was begun is kept where another way can finish it.",
        causes=(
            "Another program has the port that is registered for this client.",
            "There is no terminal to paste at, and no browser on this machine.",
        ),
        steps=(
            ("stayfast login PROVIDER --via paste", "paste the address that the browser ends on"),
            ("stayfast login PROVIDER --via device", "enter a code on another device"),
            ("stayfast help transports", "all ways, and how one is chosen"),
        ),
    ),
    ErrorCode.STORAGE_UNAVAILABLE: ErrorPage(
        meaning="The storage cannot be used: it cannot be read or written, or its key cannot be had.",
        lost="Nothing was changed. Tokens that arrive meanwhile wait, sealed, and are saved by the next command.",
        causes=(
            "The keyring is locked or does not answer.",
            "A directory or file belongs to somebody else, or others can write it.",
            "The database is away, or the file system is read-only.",
        ),
        steps=(
            ("stayfast store info", "where it is, and what is wrong"),
            ("stayfast doctor", "the same with everything around it"),
        ),
    ),
    ErrorCode.STORAGE_CONFLICT: ErrorPage(
        meaning="A newer version of the login was saved first. It was not written over.",
        lost="Nothing was lost: the newer one counts.",
        causes=("Two processes changed one login at the same moment.",),
        steps=(("stayfast status", "the login as it is now"),),
    ),
    ErrorCode.STORAGE_FENCED: ErrorPage(
        meaning="This process held the login for too long, and another one has it now.",
        lost="Nothing was lost: what this process wanted to save was not saved.",
        causes=("The process was stopped, or its machine slept.", "The connection to the database was cut."),
        steps=(("stayfast status", "the login as it is now"),),
    ),
    ErrorCode.STORAGE_FULL: ErrorPage(
        meaning="There is no space left where logins are kept.",
        lost="The change was not made. Tokens that arrive use room that was kept free, or wait sealed.",
        causes=("The disk or the quota is full.",),
        steps=(
            ("stayfast store info", "which disk it is"),
            ("stayfast store purge", "remove logins that are over"),
            ("", "Make room, then run any command: tokens that wait are saved."),
        ),
    ),
    ErrorCode.STORAGE_OUTCOME_UNKNOWN: ErrorPage(
        meaning="The disk or database failed while it saved: the change may be durable or not.",
        lost="Read again before you assume either; every command does so by itself.",
        causes=("A write to the disk failed.", "The connection to the database broke at the commit."),
        steps=(("stayfast status", "the login as it is"), ("stayfast store info", "whether the storage is in order")),
    ),
    ErrorCode.STORAGE_TOKENS_NOT_SAVED: ErrorPage(
        meaning="New tokens came and could not be saved yet. It is a warning: the token works.",
        lost="They wait, sealed, in the runtime directory; the next command saves them. A restart of the machine loses them.",
        causes=("The disk is full or read-only.", "The database is away, or another program holds the vault."),
        steps=(("stayfast store info", "what is wrong with the storage"),),
    ),
    ErrorCode.STORAGE_DAMAGED: ErrorPage(
        meaning="A record, a header or the log cannot be opened: it was edited, exchanged or cut, or has decayed.",
        lost="The other logins stay readable. Nothing is deleted, whatever you do next.",
        causes=(
            "A file was restored in part, or edited.",
            "The key is another one than the one the vault was sealed with.",
        ),
        steps=(
            ("stayfast store info", "what does not open"),
            ("stayfast store mend", "sets aside what does not open, and takes the others over"),
            ("stayfast audit verify", "what the log says of it"),
        ),
    ),
    ErrorCode.STORAGE_NEWER_FORMAT: ErrorPage(
        meaning="A newer version of Stayfast wrote it. It is refused, because half of it could be lost.",
        lost=_NOTHING,
        causes=("An older Stayfast is first in PATH, or in this environment.",),
        steps=(
            ("stayfast doctor", "which versions of Stayfast and of the vault these are"),
            ("", "Use the newer version."),
        ),
    ),
}  # fmt: skip


def exit_code_of(code: ErrorCode) -> int:
    """The exit code of the command for an error of ``code``."""
    kinds = [StayfastError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return next((kind.exit_code for kind in kinds if kind.code == code), StayfastError.exit_code)


def page_of(code: ErrorCode) -> str:
    """The page of ``help``, as :mod:`.terminal.pages` reads it."""
    one = PAGES[code]
    causes = [f"  -  {cause}" for cause in one.causes]
    steps = [f"  {command or '-'}  {what}" for command, what in one.steps]
    return "\n\n".join(
        (
            code.value,
            one.meaning,
            one.lost,
            "\n".join(("When it comes:", *causes)),
            "\n".join(("What to do:", *steps)),
            f"Exit code of the command: {exit_code_of(code)}",
        )
    )


def markdown_of(code: ErrorCode) -> str:
    """The same as a page of the documentation."""
    one = PAGES[code]
    causes = "\n".join(f"- {cause}" for cause in one.causes)
    steps = "\n".join(
        f"- `{command}`: {what}" if command else f"- {what}" for command, what in one.steps
    )
    return (
        f"# {code.value}\n\n{one.meaning}\n\n{one.lost}\n\n## When it comes\n\n{causes}\n\n"
        f"## What to do\n\n{steps}\n\n"
        f"The command ends with {exit_code_of(code)}; `stayfast help {code.value}` prints this page."
        f" In a program it is `ErrorCode.{code.name}`.\n"
    )
