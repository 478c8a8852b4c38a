"""The one error of the exporter, printed in the shape of the tally command's."""


class ExportError(Exception):
    """What was found, where, why it is refused, what helps; and the exit status.

    Codes up to 0999 mean what they mean to `tally`; those of the exporter's own begin with 10.
    """

    def __init__(self, code, message, *, place=None, note=None, help=None, exit):
        super().__init__(message)
        self.code = f"TLY{code:04}"
        self.message = message
        self.place = place
        self.note = note
        self.help = help
        self.exit = exit

    def __str__(self):
        return diagnostic("error", self.code, self.message, self.place, self.note, self.help)

    def parts(self) -> dict:
        """The parts that are present, for --json."""
        named = {key: getattr(self, key) for key in ("code", "message", "place", "note", "help")}
        return {key: value for key, value in named.items() if value is not None}


def diagnostic(severity, code, message, place=None, note=None, help=None) -> str:
    """The text of an error or a warning."""
    text = f"{severity}[{code}]: {message}"
    if place:
        text += f"\n  --> {place}"
    if note:
        text += f"\n  note: {note}"
    if help:
        text += f"\n  help: {help}"
    return text


class Unsupported(Exception):
    """One layer or operator that has no form here; the exporter goes on and lists them all."""


class Blockers:
    """Everything that stands in the way of an export, each once, in the order it was found."""

    def __init__(self):
        self.lines = []

    def add(self, what: str, where: str, why) -> None:
        line = f"{what} '{where}': {why}"
        if line not in self.lines:
            self.lines.append(line)

    def check(self, place: str, help: str) -> None:
        """Raises TLY0304 if there is any."""
        if not self.lines:
            return
        count = len(self.lines)
        what = "1 layer is not supported" if count == 1 else f"{count} layers are not supported"
        listed = "".join(f"\n    {line}" for line in self.lines)
        raise ExportError(304, what, place=place + listed, help=help, exit=4)
