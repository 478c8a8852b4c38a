"""The formats' official libraries, imported when they are first needed."""

import importlib

from tally_export.errors import ExportError

# What `pip install` calls the module, where it differs.
PACKAGES = {"ai_edge_litert": "ai-edge-litert"}


def library(module: str, *, purpose: str, also: tuple = ()):
    """The module of that name.

    Raises TLY1001 (exit 4) with the pip command if it is missing; `also` are packages that the
    same purpose needs.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = module.split(".")[0]
        if error.name is not None and error.name.split(".")[0] != top:
            missing = error.name.split(".")[0]
        else:
            missing = top
        packages = " ".join(dict.fromkeys((PACKAGES.get(missing, missing), *also)))
        raise ExportError(
            1001, f"the Python package '{PACKAGES.get(missing, missing)}' is not installed",
            note=f"it is needed {purpose}", help=f"pip install {packages}", exit=4,
        ) from None  # fmt: skip


def has_library(module: str) -> bool:
    """Whether it could be imported, without doing so."""
    return importlib.util.find_spec(module) is not None
