"""A file that is written whole or not at all."""

import os

from tally_export.errors import ExportError


class OutputFile:
    """Checked before the work starts; written beside its place and renamed.

    Raises TLY0806 (exit 5) if the file exists and `force` is false, is a folder or an input, or
    its folder is missing.
    """

    def __init__(self, path: str, *, force: bool, inputs: tuple = ()):
        self.path = path
        folder = os.path.dirname(path) or "."
        if not path or "\0" in path:
            raise _refused(path, "no name")
        if not os.path.isdir(folder):
            raise _refused(path, "its folder does not exist", f"mkdir -p {folder}")
        if os.path.isdir(path):
            raise _refused(path, "it is a folder")
        if not os.path.exists(path):
            return
        if any(os.path.exists(other) and os.path.samefile(path, other) for other in inputs):
            raise _refused(path, "it is also an input", "choose another name")
        if not force:
            raise _refused(path, "it exists", "--force replaces it")

    def write(self, content: bytes) -> None:
        temporary = f"{self.path}.{os.getpid()}.tmp"
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except OSError as error:
            raise _refused(self.path, error.strerror) from None
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)


def _refused(path: str, why: str, help: str | None = None) -> ExportError:
    return ExportError(806, f"cannot write the file: {why}", place=path, help=help, exit=5)


def read_file(path: str) -> bytes:
    """The bytes of an input; TLY0101 (exit 5) or TLY0102 (exit 3) if there are none."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ExportError(
            101, f"cannot read the file: {error.strerror}", place=path, exit=5
        ) from None
    if not content:
        raise ExportError(102, "the file is empty (0 bytes)", place=path, exit=3)
    return content
