"""The page of a report: one HTML file that loads nothing, runs nothing and can be printed.

Most words in it come from elsewhere: names of providers, hosts and users, error codes of servers.
They become text of elements, never markup.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ....diagrams.arrows import journey, tally
from ....diagrams.svg import svg_in_page
from ....engine.audit.findings import records
from ....engine.errors import Damaged
from ....engine.moments import moment_of
from ....engine.summary import SHORT_ID
from .elements import bar, buckets, element, html, over_time, picture, sheet, sign, swatch, table
from .facts import STEPS, Facts, LoginFacts, Share, quantile
from .style import POLICY, STYLE

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

    from ....diagrams import Step

MARK: Final = "<!-- a report of stayfast -->"
"""Near the beginning of every report: a later one may take the place of an earlier one."""
ROWS: Final = 15
"""So many rows a table has; what is left out is counted below it."""
FINDINGS: Final = 20
"""So many findings of the verification are named."""

_LATENCIES: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a report says of itself.

    Attributes:
        made: When it was made, POSIX seconds.
        program: The program that made it, with its version.
        host: The machine.
        verdict: ``good``, ``bad`` or ``unknown``: the result of the verification of the whole log.
        verified: The result in one sentence.
        findings: What is wrong, a sentence each.
        head: The number and the link of the last record, to be compared later.
        chosen: Which part of the log it is about; empty for all of it.
    """

    made: float
    program: str
    host: str
    verdict: str
    verified: str
    findings: Sequence[str] = ()
    head: str = ""
    chosen: str = ""


def render(facts: Facts, about: About) -> str:
    """The page as text."""
    title = f"Sign-ins on {about.host}"
    sections = [
        _over_time(facts),
        _failures(facts),
        _refreshes(facts),
        _shares(facts),
        _machine(facts),
        _paths(facts),
    ]
    body = element(
        "body",
        element(
            "div",
            element("header", element("h1", title), _period(facts, about)),
            element("main", _verdict(about), _figures(facts), *sections),
            _footer(facts, about),
            class_="sheet",
        ),
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width,initial-scale=1"),
        element("meta", name="robots", content="noindex"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} · Stayfast"),
        sheet(STYLE),
    )
    text = html(element("html", head, body, lang="en"))
    return text.replace("<head>", f"<head>{MARK}", 1)


# --- the beginning ---------------------------------------------------------------------------


def _period(facts: Facts, about: About) -> ET.Element:
    if not facts.events:
        return element("p", f"Nothing is recorded{about.chosen}.", class_="soft")
    first, last = _date(facts.since), _date(facts.until)
    period = first if first == last else f"{first} – {last}"
    numbers = records(facts.first, facts.last)
    return element(
        "p", f"{period}{about.chosen} · {numbers} of the audit log · times are UTC", class_="soft"
    )


def _verdict(about: About) -> ET.Element:
    said = {
        "good": "The log is sound",
        "bad": "The log cannot be trusted as a whole",
        "unknown": "The log was not checked",
    }
    shown = [element("li", _shown(one)) for one in about.findings[:FINDINGS]]
    more = len(about.findings) - len(shown)
    if more > 0:
        shown.append(element("li", f"and {more:,} more: stayfast audit verify"))
    words = element(
        "div",
        element("h2", said[about.verdict]),
        element("p", about.verified),
        element("ul", *shown) if shown else None,
        element("p", "head ", element("code", about.head), class_="soft") if about.head else None,
    )
    return element("section", sign(about.verdict), words, class_=f"verdict {about.verdict}")


def _figures(facts: Facts) -> ET.Element:
    took = sorted(one.took for one in facts.logins.values() if one.took is not None)
    refreshed = sum(one.refreshed for one in facts.providers.values())
    refused = sum(one.refused for one in facts.providers.values())
    figures = [
        (_signed_in(facts), "signed in"),
        (sum(one.failed for one in facts.providers.values()), "not signed in"),
        (refreshed, "refresh" if refreshed == 1 else "refreshes"),
        (refused, "refresh that failed" if refused == 1 else "refreshes that failed"),
        (len(facts.people), "user on one host" if len(facts.people) == 1 else "users and hosts"),
    ]
    shown = [(f"{number:,}", name) for number, name in figures]
    if took:
        shown.insert(2, (_lasted(quantile(took, 0.5)), "to sign in, as a median"))
    return element(
        "dl",
        *(element("div", element("dt", name), element("dd", number)) for number, name in shown),
        class_="figures",
    )


def _signed_in(facts: Facts) -> int:
    return sum(one.signed_in for one in facts.providers.values())


# --- the sections ----------------------------------------------------------------------------


def _section(title: str, why: str, *children: ET.Element | None) -> ET.Element:
    return element("section", element("h2", title), element("p", why, class_="soft"), *children)


def _over_time(facts: Facts) -> ET.Element | None:
    begun = [one for one in facts.logins.values() if one.began is not None]
    if not begun:
        return None
    times = [one.began or 0.0 for one in begun]
    bounds = buckets(min(times), max(times))
    stacks: dict[str, list[int]] = {
        kind: [0] * (len(bounds) - 1) for kind in ("done", "open", "failed")
    }
    for one, time in zip(begun, times, strict=True):
        number = min(max(bisect_right(bounds, time) - 1, 0), len(bounds) - 2)
        stacks[_kind_of_start(one)][number] += 1
    words = {"done": "signed in", "open": "not finished", "failed": "not signed in"}
    label = "Logins over time: " + ", ".join(
        f"{sum(stacks[kind]):,} {words[kind]}" for kind in words
    )
    chart = over_time(bounds, [(kind, words[kind], stacks[kind]) for kind in words], label)
    return _section("Logins over time", "Each login stands where it began.", chart)


def _kind_of_start(login: LoginFacts) -> str:
    if login.signed_in is not None:
        return "done"
    return "failed" if login.ended else "open"


def _failures(facts: Facts) -> ET.Element | None:
    if not facts.failures:
        return None
    ranked = facts.failures.most_common()
    most = ranked[0][1]
    rows = [
        (
            _reason(why),
            what,
            bar(count, most, "open" if what == "answer" else "failed"),
            f"{count:,}",
        )
        for (what, why), count in ranked[:ROWS]
    ]
    return _section(
        "What failed, and why",
        "A sign-in that ended without tokens, a refresh that brought none, or an answer that was "
        "refused while the login went on waiting.",
        table("Failures by reason", ("reason", "of a", "share", "times"), rows, " tbn"),
        _more(len(ranked) - ROWS, "reasons"),
    )


def _refreshes(facts: Facts) -> ET.Element | None:
    all_of_them = sorted(value for values in facts.latencies.values() for value in values)
    if not all_of_them:
        return None
    counts = Counter(bisect_right(_LATENCIES, value) for value in all_of_them)
    last = max(counts)
    rows = [
        (_reach(number), bar(counts[number], max(counts.values())), f"{counts[number]:,}")
        for number in range(min(counts), last + 1)
    ]
    ranked = sorted(facts.latencies.items(), key=lambda one: -len(one[1]))
    by_provider = [
        (
            _name(name),
            f"{len(values):,}",
            *(_lasted(quantile(sorted(values), part)) for part in (0.5, 0.95, 1.0)),
        )
        for name, values in ranked[:ROWS]
    ]
    return _section(
        "How long refreshes took",
        "From the moment that the refresh token was about to be sent until the answer was saved.",
        element(
            "div",
            table("Refreshes by the time they took", ("time", "share", "refreshes"), rows, "tbn"),
            element(
                "div",
                table(
                    "Their time by provider",
                    ("provider", "refreshes", "median", "95 %", "longest"),
                    by_provider,
                    " nnnn",
                ),
                _more(len(ranked) - ROWS, "providers"),
            ),
            class_="columns",
        ),
    )


def _reach(number: int) -> str:
    if number == len(_LATENCIES):
        return f"{_LATENCIES[-1]:g} s or more"
    bound = _LATENCIES[number]
    return f"under {bound * 1000:.0f} ms" if bound < 1 else f"under {bound:g} s"


def _shares(facts: Facts) -> ET.Element | None:
    if not facts.people:
        return None
    people = {
        f"{_name(user)} on {_name(host)}": share for (user, host), share in facts.people.items()
    }
    return _section(
        "Who, from where, and how",
        "Users and hosts are those of the operating system that a program ran on.",
        _shares_of("By user and host", "user and host", people),
        element(
            "div",
            _shares_of("By transport", "transport", facts.transports),
            _shares_of("By provider", "provider", facts.providers),
            class_="columns",
        ),
    )


def _shares_of(caption: str, name: str, shares: Mapping[str, Share]) -> ET.Element:
    kept = [(key, one) for key, one in shares.items() if one.total]
    ranked = sorted(kept, key=lambda one: (-one[1].total, one[0]))
    rows = [
        (
            _name(key),
            f"{one.signed_in:,}",
            f"{one.failed:,}",
            f"{one.refreshed:,}",
            f"{one.refused:,}",
        )
        for key, one in ranked[:ROWS]
    ]
    heads = (name, "signed in", "failed", "refreshed", "refused")
    return element("div", table(caption, heads, rows, " nnnn"), _more(len(ranked) - ROWS, "rows"))


def _machine(facts: Facts) -> ET.Element | None:
    if not facts.rows:
        return None
    drawn = picture(
        svg_in_page(tally(facts.rows), "machine", "How often each transition was taken")
    )
    drawing = _drawing(drawn, "How often each transition was taken")
    drawing.set("class", "drawing whole")
    return _section(
        "The machine",
        "Every transition that a login can take. In bold, with a number: those that were taken.",
        drawing,
    )


def _drawing(drawn: ET.Element, label: str) -> ET.Element:
    return element("div", drawn, class_="drawing", role="region", aria_label=label, tabindex="0")


def _paths(facts: Facts) -> ET.Element | None:
    shown = facts.shown
    if not shown:
        return None
    left = len(facts.logins) - len(shown)
    why = "The path of each login through the machine, the latest first."
    if left > 0:
        why = (
            f"The latest logins, and the latest of those that failed: {len(shown)} of {len(facts.logins):,}. "
            "stayfast diagram --login ID draws any other."
        )
    paths = [_path(one, facts.steps.get(one.id, []), number) for number, one in enumerate(shown)]
    return _section("The path of each login", why, *paths)


def _path(login: LoginFacts, steps: Sequence[Step], number: int) -> ET.Element:
    kind, how = _how(login)
    short = login.id[:SHORT_ID]
    account = "" if login.account in {"", "default"} else f" as {login.account}"
    began = login.began if login.began is not None else (steps[0].time if steps else login.last)
    moment = moment_of(began)
    details = [f"{moment.day} {moment:%b %H:%M}"]
    if login.transport:
        details.append(login.transport)
    if login.took is not None:
        details.append(_lasted(login.took))
    summary = element(
        "summary",
        element("code", short, class_="id"),
        element("span", f"{_name(login.provider)}{account}"),
        element("span", swatch(kind), how, class_="how"),
        element("span", " · ".join(details), class_="soft"),
    )
    try:
        travelled = journey(steps).travelled
        drawn = picture(svg_in_page(travelled, f"path{number}", f"The path of login {login.id}"))
        drawing = _drawing(drawn, f"The path of login {login.id}")
    except Damaged as error:
        drawing = element("p", f"It cannot be drawn: {_shown(error.message)}.")
    path = element("div", _steps(steps, login.id), drawing, class_="path")
    opened = {"open": "open"} if number == 0 else {}
    return element("details", summary, path, class_="login", **opened)


def _how(login: LoginFacts) -> tuple[str, str]:
    """How a login stands, as a colour and in words."""
    reason = _reason(login.reason)
    if login.failed:
        what = "refresh refused" if login.had_tokens else "not signed in"
        return "failed", f"{what}: {reason}" if reason and reason != what else what
    if login.ended:
        return "open", reason or "over"
    if login.had_tokens:
        return "done", "signed in"
    return "open", "not finished"


def _reason(text: str) -> str:
    """A reason as words; the provider's own code behind it stays as it is."""
    ours, code = text.partition(" (")[::2]
    return ours.replace("_", " ") + (f" ({code}" if code else "")


def _steps(steps: Sequence[Step], name: str) -> ET.Element:
    listed: list[Step | None] = list(steps)
    if len(listed) > STEPS:
        half = STEPS // 2
        listed = [*steps[:half], None, *steps[-half:]]
    begun = f", from {_date(steps[0].time)}" if steps else ""
    rows: list[Sequence[str]] = []
    before: float | None = None
    day = None
    for step in listed:
        if step is None:
            rows.append(("…", f"{len(steps) - STEPS:,} steps more", "", ""))
            before = None
            continue
        moment = moment_of(step.time)
        if moment.date() != day and day is not None:
            rows.append((_date(step.time), "", "", ""))
        day = moment.date()
        after = "" if before is None else f"+ {_lasted(max(0.0, step.time - before))}"
        rows.append((f"{moment:%H:%M:%S}", _shown(step.trigger), _shown(step.dest), after))
        before = step.time
    return table(
        f"Steps of login {name}{begun}", ("time", "transition", "state", "after"), rows, "t  n"
    )


# --- the end ---------------------------------------------------------------------------------


def _footer(facts: Facts, about: About) -> ET.Element:
    notes = [
        f"{records(first, last)} cannot be read".capitalize()
        for first, last in facts.unreadable[:ROWS]
    ]
    if len(facts.unreadable) > ROWS:
        notes.append(f"and {len(facts.unreadable) - ROWS:,} more series of records")
    others = ", ".join(
        f"{_shown(name)} {count:,}" for name, count in facts.others.most_common(ROWS)
    )
    if others:
        notes.append(f"Events that belong to no login: {others}")
    made = moment_of(about.made)
    return element(
        "footer",
        *(element("p", f"{note}.") for note in notes),
        element(
            "p",
            f"Made on {made.day} {made:%B %Y at %H:%M} UTC by {about.program}. "
            "The page has no token and no script, and loads nothing. It names users, hosts and accounts.",
        ),
    )


def _more(count: int, what: str) -> ET.Element | None:
    return (
        element("p", f"{count:,} more {what} are left out.", class_="soft") if count > 0 else None
    )


def _name(text: str) -> str:
    return text or "unknown"


def _shown(text: str) -> str:
    return text[:400]


def _date(time: float) -> str:
    moment = moment_of(time)
    return f"{moment.day} {moment:%b %Y}"


def _lasted(seconds: float) -> str:
    """A length of time, in few words."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    for length, name in ((60, "min"), (3600, "h")):
        if seconds < 90 * length:
            return f"{seconds / length:.0f} {name}"
    return f"{seconds / 86400:,.0f} days"
