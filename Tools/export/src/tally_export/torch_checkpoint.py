"""Weights of a PyTorch checkpoint, and how they are put into a module."""

import re
import zipfile

from tally_export.errors import ExportError
from tally_export.libraries import library
from tally_export.output import read_file

# Where training scripts keep the weights among other things.
CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "module")
# What wrappers put in front of every name.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "backbone.")
SHOWN = 8
# Modules whose functions do things when an unpickler calls them.
ACTING_MODULES = (
    "os", "posix", "nt", "subprocess", "sys", "builtins", "__builtin__", "shutil", "socket",
    "runpy", "importlib", "pty", "webbrowser", "ctypes",
)  # fmt: skip

SNIPPET = (
    "where the model's code is: torch.save(model.state_dict(), 'weights.pt'), then "
    "--checkpoint weights.pt"
)


def read_weights(path: str) -> tuple:
    """Name → tensor, and notes on what was unwrapped. No code of the file is run."""
    content = read_file(path)
    if _is_safetensors(content):
        loaded = library("safetensors.torch", purpose="to read .safetensors files")
        try:
            return dict(loaded.load(content)), []
        except Exception as error:
            raise _unreadable(path, error) from None
    loaded = _load(path)
    notes = []
    while isinstance(loaded, dict) and not _is_weights(loaded):
        inner = next(
            (key for key in CONTAINERS if isinstance(loaded.get(key), dict)), None
        )
        if inner is None:
            keys = ", ".join(str(key) for key in list(loaded)[:SHOWN])
            raise ExportError(
                407, "the checkpoint holds no weights", place=path,
                note=f"its keys: {keys}" if keys else "it is an empty dictionary",
                help=SNIPPET, exit=2,
            )  # fmt: skip
        notes.append(f"weights taken from the checkpoint's '{inner}'")
        loaded = loaded[inner]
    if not isinstance(loaded, dict):
        raise ExportError(
            407, f"the checkpoint is a {type(loaded).__name__}, not a dictionary of weights",
            place=path, help=SNIPPET, exit=2,
        )  # fmt: skip
    return {str(key): value for key, value in loaded.items() if hasattr(value, "shape")}, notes


def _is_safetensors(content: bytes) -> bool:
    length = int.from_bytes(content[:8], "little")
    return len(content) > 9 and content[8:9] == b"{" and length <= len(content) - 8


def _is_weights(loaded: dict) -> bool:
    """Mostly tensors: some scripts keep a number or two among them."""
    import torch

    return any(isinstance(value, torch.Tensor) for value in loaded.values()) and not any(
        isinstance(loaded.get(key), dict) for key in CONTAINERS
    )


def _load(path: str):
    import pickle

    import torch

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
            raise ExportError(
                405, "this is a TorchScript program, not a checkpoint", place=path,
                help="load it where it was made and save its weights: " + SNIPPET, exit=4,
            )  # fmt: skip
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "weights_only" in str(error) or "Unsupported global" in str(error):
            raise _refused(path, str(error)) from None
        raise _unreadable(path, error) from None
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, AttributeError) as error:
        raise _unreadable(path, error) from None


def _refused(path: str, text: str) -> ExportError:
    """What the safe loader refused: a function that would act (TLY0402), or a class (TLY0401)."""
    found = re.search(r"GLOBAL ([\w.]+)", text)
    name = found.group(1) if found else "a Python object"
    if name.split(".")[0] in ACTING_MODULES:
        return ExportError(
            402, f"refused: the file would call {name}; nothing was executed", place=path,
            note="no checkpoint needs that", help="do not load it; ask where it comes from", exit=3,
        )  # fmt: skip
    return ExportError(
        401, f"the file holds Python objects, perhaps a whole model: {name}", place=path,
        note="reading them would run code of the file, so only weights are read",
        help=SNIPPET, exit=4,
    )  # fmt: skip


def _unreadable(path: str, error: Exception) -> ExportError:
    text = str(error).strip().splitlines()
    first = (text[0] if text else type(error).__name__)[:200]
    is_missing = "failed locating file data/" in first
    return ExportError(
        404 if is_missing else 403,
        "a tensor of the checkpoint has no storage" if is_missing else
        "PyTorch cannot read the checkpoint",
        place=path, note=first, help="copy or download it again", exit=3,
    )  # fmt: skip


def load_into(module, weights: dict, path: str, *, ignore_unexpected: bool) -> list:
    """Puts the weights into the module; returns notes. TLY0407 (exit 2) names what does not fit."""
    expected = module.state_dict()
    weights, notes = _without_prefixes(weights, expected)
    # Counters of batches seen: they matter to training alone, and old checkpoints lack them.
    counters = {name for name in expected if name.endswith("num_batches_tracked")}
    missing = [name for name in expected if name not in weights and name not in counters]
    unexpected = [
        name for name in weights
        if name not in expected and not name.endswith("num_batches_tracked")
    ]  # fmt: skip
    differing = [
        f"{name} {tuple(weights[name].shape)}, the module has {tuple(expected[name].shape)}"
        for name in expected if name in weights and weights[name].shape != expected[name].shape
    ]  # fmt: skip
    lines = _listed("missing in the checkpoint", missing) + _listed("of another shape", differing)
    if not ignore_unexpected:
        lines += _listed("not in the module", unexpected)
    elif unexpected:
        notes.append(f"{len(unexpected)} tensors of the checkpoint were not used: "
                     + ", ".join(unexpected[:SHOWN]))  # fmt: skip
    if lines:
        only_more = not missing and not differing
        raise ExportError(
            407, "the checkpoint does not fit the module", place=path + "".join(lines),
            help="--ignore-unexpected loads it all the same" if only_more else
            "check the factory and its arguments (--argument NAME=VALUE)", exit=2,
        )  # fmt: skip
    module.load_state_dict(
        {name: weights.get(name, value) for name, value in expected.items()}, strict=True
    )
    return notes


def _without_prefixes(weights: dict, expected: dict) -> tuple:
    """Strips what wrappers put in front of all names, as long as that makes more of them known."""
    notes = []
    while weights and not set(weights) & set(expected):
        prefix = next(
            (prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in weights)),
            None,
        )
        if prefix is None:
            break
        weights = {name.removeprefix(prefix): value for name, value in weights.items()}
        notes.append(f"'{prefix}' stripped from all names of the checkpoint")
    return weights, notes


def _listed(what: str, names: list) -> list:
    if not names:
        return []
    more = f"\n      and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    shown = "".join(f"\n      {name}" for name in names[:SHOWN])
    return [f"\n    {what} ({len(names)}):{shown}{more}"]
