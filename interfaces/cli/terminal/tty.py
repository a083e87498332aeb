"""Which text goes to standard output, and which to standard error.

- Standard output carries the answer, and nothing else: a token, a table the user asked for, JSON.
- Everything else (progress, decisions and their reasons, errors) goes to standard error: a shell
  that captures the answer in a variable must not capture it.
- Colour never carries a meaning alone: every symbol has its word beside it.
- Nothing is redrawn where standard error is not a terminal.
- No secret is shown, with one exception: ``stayfast token`` prints the token, because that is its purpose.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from ....engine.foreign_text import printable
from ....engine.hints import Hint
from ....transports.terminal.standard_input import at_terminal
from .formatting import broken, columns_of, command_lines
from .streams import AnswerNotWritten, drop_answers

if TYPE_CHECKING:
    from typing import TextIO, TypeAlias

    from rich.console import Console
    from rich.style import Style
    from rich.text import Text

    from ....engine.errors import StayfastError

    Parts: TypeAlias = Sequence[tuple[str, str | Style]]
    """A text, each part of it with how it is shown where there is colour."""

_SYMBOLS: Final = {
    "good": "✓", "warn": "!", "bad": "✗", "wait": "…",
    "next": "→", "dot": "·", "hidden": "•••", "cursor": "▮",
}  # fmt: skip
_PLAIN: Final = {
    "good": "ok", "warn": "!", "bad": "x", "wait": "...",
    "next": "->", "dot": "-", "hidden": "...", "cursor": "_",
}  # fmt: skip
_DIGITS: Final = 4  # of a size of a terminal
_ASK_FOR_STYLE: Final = ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE")
"""Variables by which rich may take a pipe for a terminal."""
_SLOW: Final = 1.0  # seconds after which a person wonders
_LINKED: Final = 2000  # characters of an address that terminals take for a link
WORKING_THREAD: Final = "stayfast-working"
"""The thread that shows what takes long; it holds no lock."""
_MEASURE: Final = 76  # columns a line of words has at most
_STYLES: Final = {"good": "green", "warn": "yellow", "bad": "red", "wait": "cyan"}


class Terminal:
    """Standard output for answers, standard error for everything else.

    Attributes:
        out: The console of standard output.
        err: The console of standard error.
        json: Whether answers are JSON.
        quiet: Whether only errors are printed.
        verbose: How many details are printed.
        at_line_start: Whether Ctrl-C or Ctrl-D has ended what stood in the line of the cursor.
    """

    def __init__(
        self, *, color: str = "auto", as_json: bool = False, quiet: bool = False, verbose: int = 0
    ) -> None:
        """Open both.

        Args:
            color: ``auto``, ``always`` or ``never``.
            as_json: Whether answers are JSON.
            quiet: Whether only errors are printed.
            verbose: How many details are printed.
        """
        self._color = color
        self.json = as_json
        self.quiet = quiet
        self.verbose = verbose
        self._passage: list[str] | None = None
        self._working = False
        self.at_line_start = False

    # rich takes as long as the rest of a command, and what goes to a program needs none of it: so
    # the consoles are made, and its modules are loaded, where a terminal shows something

    @cached_property
    def out(self) -> Console:
        """The console of standard output."""
        return _console(sys.stdout, self._color)

    @cached_property
    def err(self) -> Console:
        """The console of standard error."""
        return _console(sys.stderr, self._color)

    @property
    def unicode(self) -> bool:
        """Whether both streams take every character, and the locale shows them."""
        encodings = {(stream.encoding or "").lower() for stream in (sys.stdout, sys.stderr)}
        wide = {name.replace("-", "") for name in encodings} == {"utf8"}
        return wide and (sys.platform == "win32" or utf8_locale(os.environ))

    @property
    def width(self) -> int:
        """Columns there are for words."""
        return min(self.err.width, _MEASURE)

    @property
    def columns(self) -> int | None:
        """Columns there are for the answer; ``None`` if it goes to a program or a file.

        The terminal itself is asked, also a plain one, for which rich assumes 80.
        """
        if not sys.stdout.isatty():
            return None
        given = _sizes_that_can_be(os.environ).get("COLUMNS")
        try:
            found = int(given) if given else os.get_terminal_size(sys.stdout.fileno()).columns
        except OSError:
            found = 0
        return found or self.out.width

    @property
    def rows(self) -> int | None:
        """Rows that the terminal has which the answer goes to; ``None`` if it goes elsewhere."""
        try:
            return os.get_terminal_size(sys.stdout.fileno()).lines or None
        except (OSError, ValueError):
            return None

    @property
    def colors(self) -> bool:
        """Whether colours are shown."""
        return not self._plain(sys.stderr) and self.err.color_system is not None

    @property
    def interactive(self) -> bool:
        """Whether a person sits at a terminal."""
        return at_terminal() and sys.stderr.isatty()

    def symbol(self, name: str) -> str:
        """A symbol, or its plain form where the terminal has no such character."""
        return (_SYMBOLS if self.unicode else _PLAIN)[name]

    def say(
        self,
        line: str = "",
        *,
        mark: str | None = None,
        style: str = "",
        indent: int = 0,
        hang: int | None = None,
        strong: str = "",
    ) -> None:
        """Say ``line`` on standard error; at a terminal, broken between words where it is long.

        Args:
            line: What is said.
            mark: The symbol before it.
            style: How it is shown.
            indent: Columns before the mark.
            hang: Columns before the lines that follow the first; as many as it has by itself.
            strong: The part of it that stands out.
        """
        if self.quiet:
            return
        symbol = f"{' ' * indent}{self.symbol(mark)} " if mark is not None else ""
        line = printable(line)
        if hang is None:
            hang = len(symbol) + len(line) - len(line.lstrip())
        text = "\n".join(self._broken(symbol + line, hang))
        rest = text[len(symbol) :]
        before, strong, after = rest.partition(strong) if strong else (rest, "", "")
        marked = f"{style} {_STYLES.get(mark or '', '')}".strip()
        bold = f"{style} bold".strip()
        self._show([(text[: len(symbol)], marked), (before, style), (strong, bold), (after, style)])

    def _show(self, shown: Parts | Text) -> None:
        """Print ``shown``, and remember how many rows it takes."""
        self._clear_working()
        self.at_line_start = False
        if self._passage is not None:
            self._passage += _without_style(shown).split("\n")
        self._print(shown)

    def _print(self, shown: Parts | Text) -> None:
        if self._plain(sys.stderr):
            sys.stderr.write(_without_style(shown) + "\n")
            sys.stderr.flush()
        else:
            self.err.print(_assembled(shown))

    def _plain(self, stream: TextIO) -> bool:
        """Whether ``stream`` shows no style: it is no terminal, and nobody asked for one all the same."""
        asked = self._color == "always" or any(os.environ.get(name) for name in _ASK_FOR_STYLE)
        return not asked and not stream.isatty()

    def end_line(self) -> None:
        """Go to a new line after Ctrl-C or Ctrl-D: the terminal shows ``^C`` where the cursor was.

        Once is enough, and nothing but a terminal shows it.
        """
        if not self.at_line_start and sys.stderr.isatty():
            self._write_now("\n")
        self.at_line_start = True

    def ask(self, text: str, *, hidden: bool = False, **options: Any) -> str:
        """What is typed for ``text``; see :func:`.asking.ask`."""
        from .asking import ask  # noqa: PLC0415  only whoever is asked needs it

        return ask(self, text, hidden=hidden, **options)

    def confirm(self, text: str, *, default: bool) -> bool:
        """Whether the answer to ``text`` is yes; see :func:`.asking.confirm`."""
        from .asking import confirm  # noqa: PLC0415  as above

        return confirm(self, text, default=default)

    def typed_line(self) -> str | None:
        """The next line that is typed; see :func:`.asking.typed_line`."""
        from .asking import typed_line  # noqa: PLC0415  as above

        return typed_line(self)

    def begin_passage(self) -> None:
        """Remember what is said from now on, so that it can be taken back."""
        self._passage = [] if self.interactive else None

    def keep_passage(self) -> None:
        """Leave what was said: something else may stand below it."""
        self._passage = None

    def take_back(self) -> bool:
        """Remove what was said since :meth:`begin_passage`; whether it could be removed.

        The cursor is on the row below it. What has left the screen at the top stays.
        """
        said, self._passage = self._passage, None
        if said is None or self.err.is_dumb_terminal:
            return False
        width = max(self.err.width, 1)
        rows = sum(max(1, -(-columns_of(line) // width)) for line in said)
        if rows >= self.err.height:
            return False
        if rows:
            self.send(f"\x1b[{rows}A\r\x1b[J")
        return True

    def _broken(self, line: str, hang: int) -> list[str]:
        """``line`` as the lines it makes at this terminal; a pipe gets it whole."""
        if self._plain(sys.stderr) or not self.err.is_terminal:
            return [line]
        return broken(line, self.width, hang)

    def plain(self, line: str) -> None:
        """Say ``line`` whole, however long: an address, to be compared."""
        if not self.quiet:
            self._show([(printable(line), "")])

    def draw(self, before: str, row: Text, after: Text) -> None:
        """Show a row of a picture between two texts."""
        if not self.quiet:
            self._show(_assembled([(before, "")]).append_text(row).append_text(after))

    def send(self, sequence: str) -> None:
        """Send a control sequence to the terminal; it shows nothing."""
        if sequence and sys.stderr.isatty():
            from rich.control import Control  # noqa: PLC0415  see the class
            from rich.segment import ControlType, Segment  # noqa: PLC0415  see the class

            control = Control()
            control.segment = Segment(sequence, None, [(ControlType.BELL,)])
            self.err.control(control)

    def suggest(self, command: str, why: str = "") -> None:
        """Name the command to run next."""
        before = f"  {self.symbol('next')} "
        text = "\n".join(self._command(before, command))
        parts: list[tuple[str, str]] = [(before, ""), (text[len(before) :], "bold")]
        if why:
            last = text.rpartition("\n")[2]
            whole = self._plain(sys.stderr) or not self.err.is_terminal
            fits = whole or len(last) + len(why) + 5 <= self.width
            parts.append((f"     {why}" if fits else f"\n{' ' * len(before)}{why}", ""))
        if not self.quiet:
            self._show(parts)

    def _command(self, before: str, command: str) -> list[str]:
        """A command to be copied, behind ``before``; a pipe gets it whole."""
        command = printable(command)
        if self._plain(sys.stderr) or not self.err.is_terminal:
            return [before + command]
        return command_lines(command, self.width, before)

    @contextmanager
    def working(self, what: str) -> Generator[None]:
        """Show ``what`` at a terminal while the block takes longer than a second; it is removed then."""
        if self.quiet or self.json or not sys.stderr.isatty() or self.err.is_dumb_terminal:
            yield
            return

        def show() -> None:
            self._working = True
            self._write_now(self._working_line(what))

        import threading  # noqa: PLC0415  where something may take long

        timer = threading.Timer(_SLOW, show)
        timer.name = WORKING_THREAD
        timer.daemon = True
        timer.start()
        try:
            yield
        except KeyboardInterrupt:
            timer.cancel()
            timer.join()
            self.at_line_start = self._working  # ^C goes with the line
            raise
        finally:
            timer.cancel()
            timer.join()
            self._clear_working()

    @contextmanager
    def busy(self, what: str) -> Generator[Callable[[str], None]]:
        """Show ``what`` at once; the block gets a function that puts another line in its place.

        That function may be called by the handler of a signal.
        """
        if self.quiet or self.json or not self.interactive or self.err.is_dumb_terminal:
            yield lambda _: None
            return

        def show(line: str) -> None:
            self._working = True
            self._write_now("\r\x1b[K" + self._working_line(line))

        show(what)
        try:
            yield show
        finally:
            self._clear_working()

    def _clear_working(self) -> None:
        shown, self._working = self._working, False
        if shown:
            self._write_now("\r\x1b[K")

    def _working_line(self, what: str) -> str:
        line = f"  {self.symbol('wait')} {printable(what)}"
        return line[: max(self.err.width - 1, 1)]

    def _write_now(self, text: str) -> None:
        """Write ``text`` past all buffers: a handler of a signal and a thread may, at any moment."""
        with suppress(OSError, ValueError):
            self.err.file.flush()
            os.write(self.err.file.fileno(), text.encode(self.err.encoding, "replace"))

    def detail(self, line: str) -> None:
        """Say ``line`` if ``--verbose`` was given."""
        if self.verbose:
            self.say(line, style="dim")

    def link(self, url: str, *, before: str = "", short: bool = False) -> bool:
        """Show an address on a line of its own, unwrapped, so that it can be copied whole.

        Returns whether a part of it was left out.

        Args:
            url: The address.
            before: What stands before it.
            short: Whether its host and path are enough, where a click on them opens all of it.
        """
        if self.quiet:
            return False
        url = printable(url)
        capable = self.colors and len(url) < _LINKED
        text = url
        if short and capable:
            bare, query, _ = url.partition("?")
            text = f"{bare}?{'…' if self.unicode else '...'}" if query else bare
        style: str | Style = ""
        if capable:
            from rich.style import Style  # noqa: PLC0415  see the class

            style = Style(link=url, dim=text != url)
        self._show([(before, ""), (text, style)])
        return text != url

    def answer_line(self, line: str) -> None:
        """Print a line of the answer for people, without control characters.

        A provider chooses some of its text: an escape sequence in it could rewrite the screen.
        """
        self.answer(printable(line))

    def answer_words(self, line: str, hang: int = 4) -> None:
        """Print a line of words; at a terminal, broken between them where it is long.

        Args:
            line: What is printed, without control characters.
            hang: Columns before the lines that follow the first; a narrow terminal has fewer.
        """
        line = printable(line)
        columns = self.columns or max(len(line), 1)
        for part in broken(line, columns, hang if columns >= 2 * hang + 20 else 4):
            self.answer(part)

    def answer_parts(self, parts: Parts) -> None:
        """Print a line of the answer for people, in colour where that is wanted."""
        if self._plain(sys.stdout) or self.out.color_system is None:
            self.answer(_without_style(parts))
        else:
            self.out.print(_assembled(parts))

    def answer(self, text: str) -> None:
        """Print the answer unchanged, for programs."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def answer_json(self, schema: str, members: Mapping[str, Any]) -> None:
        """Print the answer as one line of JSON, its schema first."""
        from ...json_text import document_of  # noqa: PLC0415  for programs alone

        self.answer_document(document_of(schema, members))

    def answer_document(self, text: str) -> None:
        """Print the answer for programs in UTF-8, whatever the locale is (RFC 8259 section 8.1).

        A terminal reads an encoding of its own.
        """
        if text.isascii() or sys.stdout.isatty():
            self.answer(text)
        else:
            self.answer_octets(f"{text}\n".encode("utf-8", "replace"))

    def answer_octets(self, octets: bytes) -> None:
        """Print the answer of a protocol that is of octets."""
        if not hasattr(sys.stdout, "buffer"):  # of a program that calls us
            sys.stdout.write(octets.decode("utf-8", "replace"))
            sys.stdout.flush()
            return
        sys.stdout.flush()
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()

    def error(self, error: StayfastError) -> None:
        """Print ``error`` with its hint; with ``--json`` as JSON as well."""
        if self.json:
            hint = error.hint
            members: dict[str, Any] = {"code": error.code, "error": error.message, "hint": hint}
            if hint is not None and hint.action:
                members["advice"] = hint.members()
            try:
                self.answer_json("error/1", members)
            except AnswerNotWritten:  # the sentence and the exit status still say it
                drop_answers()
        self._clear_working()
        self.at_line_start = False
        named = [("error: ", error.message), ("why:   ", error.why), ("hint:  ", error.hint)]
        for name, line in named:
            if line:
                command = isinstance(line, Hint) and line.startswith("stayfast ")
                lines = (
                    self._command(name, line)
                    if command
                    else self._broken(name + printable(line), len(name))
                )
                text = "\n".join(lines)
                style = "bold red" if name == "error: " else ""
                self._print([(text[: len(name)], style), (text[len(name) :], "")])


def _console(stream: TextIO, color: str) -> Console:
    from rich.console import Console  # noqa: PLC0415  see the class

    options: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    options["_environ"] = _sizes_that_can_be(os.environ)
    options |= _colors_wanted(color, os.environ)
    return Console(file=stream, soft_wrap=True, **options)


def _assembled(shown: Parts | Text) -> Text:
    from rich.text import Text  # noqa: PLC0415  see the class

    return shown if isinstance(shown, Text) else Text.assemble(*shown)


def _without_style(shown: Parts | Text) -> str:
    return "".join(text for text, _ in shown) if isinstance(shown, list | tuple) else str(shown)


def _colors_wanted(color: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """What a console is to be made with for ``--color`` and the variables that speak of colours.

    Without a colour system it writes no style at all: rich's own ``no_color`` leaves bold, dim and links.
    The option goes before ``NO_COLOR``, and that before those that ask for colours.
    """
    if color == "always":
        return {"force_terminal": True, "no_color": False}
    if color == "never" or environ.get("NO_COLOR"):
        return {"color_system": None}
    if environ.get("CLICOLOR_FORCE", "0") not in {"", "0"}:
        return {"force_terminal": True}
    return {}


def _sizes_that_can_be(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` without a ``COLUMNS`` or ``LINES`` that is no size, such as 0.

    Emacs and some containers set 0 for unknown; rich takes it literally, and shows nothing.
    """
    return {
        name: value
        for name, value in environ.items()
        if name not in {"COLUMNS", "LINES"}
        or (value.isascii() and value.isdigit() and len(value) <= _DIGITS and int(value) > 0)
    }


def utf8_locale(environ: Mapping[str, str]) -> bool:
    """Whether the locale that ``environ`` asks for is one of UTF-8.

    Python replaces the plain ``C`` locale by ``C.UTF-8`` for itself, and says so in ``LC_CTYPE``.
    """
    asked = [environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")]
    if sys.flags.utf8_mode and asked[1] in {"C.UTF-8", "C.utf8", "UTF-8"} and not asked[0]:
        asked[1] = ""
    named = next((name for name in asked if name), "").lower().replace("-", "")
    return "utf8" in named or environ.get("PYTHONUTF8") == "1"
