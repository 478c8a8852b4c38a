"""PyTorch modules as ONNX, by either of PyTorch's own exporters."""

import importlib
import importlib.util
import json
import logging
import os
import sys
import tempfile
import warnings

from tally_export.errors import ExportError
from tally_export.exported import Exported, axes_words
from tally_export.libraries import library
from tally_export.torch_checkpoint import load_into, read_weights

PURPOSE = "to export PyTorch modules"


def export(options) -> Exported:
    torch = library("torch", purpose=PURPOSE, also=("onnxscript",))
    if options.exporter == "dynamo":
        library("onnxscript", purpose="by PyTorch's exporter; --exporter torchscript does without")
    module, notes = _build(torch, options.factory, _arguments(options.argument))
    if options.checkpoint is None:
        notes.append("no --checkpoint: the weights are those the factory gave")
    else:
        weights, unwrapped = read_weights(options.checkpoint)
        ignores = options.ignore_unexpected
        fitted = load_into(module, weights, options.checkpoint, ignore_unexpected=ignores)
        notes += unwrapped + fitted
    # Dropout off, batch normalization by its stored statistics.
    module.eval().to("cpu", torch.float32)
    _check_output(torch, module, options.input)
    opset = options.opset or 18
    model, batch = _exported(torch, module, options.input, options.exporter, opset, notes)
    _strip_source_paths(model)
    sample = options.input[1:]

    def reference(inputs):
        size = batch or len(inputs)
        with torch.no_grad():
            parts = [module(part) for part in torch.from_numpy(inputs).split(size)]
        return torch.cat(parts).numpy()

    return Exported(
        model, reference, sample, axes_words(sample, channels_first=True), batch=batch, notes=notes
    )


def _arguments(texts: list) -> dict:
    arguments = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name.isidentifier():
            raise ExportError(
                802, f"'{text}' is not NAME=VALUE", place="--argument",
                help="--argument num_classes=10", exit=2,
            )  # fmt: skip
        try:
            arguments[name] = json.loads(value)
        except json.JSONDecodeError:
            # A word is more often meant than misspelt JSON.
            arguments[name] = value
    return arguments


def _build(torch, factory: str, arguments: dict) -> tuple:
    """The module that MODULE:FACTORY gives."""
    origin, separator, name = factory.rpartition(":")
    if not separator or not origin or not name:
        raise ExportError(
            802, f"'{factory}' is not MODULE:FACTORY", place="MODULE:FACTORY",
            help="package.module:name or file.py:name", exit=2,
        )  # fmt: skip
    try:
        made = _imported(origin)
        for part in name.split("."):
            made = getattr(made, part)
        if not isinstance(made, torch.nn.Module):
            made = made(**arguments)
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(
            1002, f"the factory failed: {type(error).__name__}: {_first_line(error)}",
            place=factory, help="--argument NAME=VALUE gives it arguments", exit=2,
        ) from error  # fmt: skip
    if not isinstance(made, torch.nn.Module):
        raise ExportError(
            1002, f"the factory gives a {type(made).__name__}, not a torch.nn.Module",
            place=factory, exit=2,
        )  # fmt: skip
    return made, []


def _imported(origin: str):
    sys.path.insert(0, os.getcwd())
    if not origin.endswith(".py"):
        return importlib.import_module(origin)
    if not os.path.isfile(origin):
        raise ExportError(101, "cannot read the file: there is no such file", place=origin, exit=5)
    sys.path.insert(0, os.path.dirname(os.path.abspath(origin)))
    name = os.path.splitext(os.path.basename(origin))[0]
    spec = importlib.util.spec_from_file_location(name, origin)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:300] if text else ""


def _check_output(torch, module, shape: tuple) -> None:
    """Runs the module once: a wrong --input is found before the exporter wraps the message."""
    try:
        with torch.no_grad():
            output = module(torch.zeros(shape))
    except Exception as error:
        raise ExportError(
            1002, f"the module does not run on this input: {_first_line(error)}",
            place=f"--input {','.join(map(str, shape))}", note="the batch comes first", exit=2,
        ) from error  # fmt: skip
    if not isinstance(output, torch.Tensor):
        raise ExportError(
            304, f"the module gives a {type(output).__name__}, not one tensor",
            note="Tally runs networks with one output",
            help="write a factory whose module returns the logits alone", exit=4,
        )  # fmt: skip


def _exported(torch, module, shape, exporter: str, opset: int, notes: list) -> tuple:
    """The ONNX model, and its batch if that had to be fixed."""
    try:
        return _run_exporter(torch, module, shape, exporter, opset, is_open=True), None
    except Exception as error:
        first = error
    try:
        model = _run_exporter(torch, module, shape, exporter, opset, is_open=False)
    except Exception as error:
        other = "torchscript" if exporter == "dynamo" else "dynamo"
        raise ExportError(
            1002, f"PyTorch's exporter failed: {type(error).__name__}: {_first_line(error)}",
            help=f"--exporter {other}", exit=4,
        ) from error  # fmt: skip
    notes.append(
        f"the batch is fixed at {shape[0]}; with an open one the exporter failed "
        f"({type(first).__name__}: {_first_line(first)[:100]})"
    )
    return model, shape[0]


def _run_exporter(torch, module, shape, exporter: str, opset: int, *, is_open: bool):
    import onnx

    # An example batch of 1 would be taken for a constant by the newer exporter.
    example = torch.zeros((max(shape[0], 2) if is_open else shape[0], *shape[1:]))
    names = {"input_names": ["input"], "output_names": ["output"]}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        path = os.path.join(folder, "model.onnx")
        if exporter == "dynamo":
            shapes = ({0: torch.export.Dim("batch")},) if is_open else None
            torch.onnx.export(
                module, (example,), path, dynamo=True, external_data=False, verbose=False,
                opset_version=opset, dynamic_shapes=shapes, **names,
            )  # fmt: skip
        else:
            axes = {"input": {0: "batch"}, "output": {0: "batch"}} if is_open else None
            torch.onnx.export(
                module, (example,), path, dynamo=False, opset_version=opset, dynamic_axes=axes,
                **names,
            )  # fmt: skip
        return onnx.load(path)


def _strip_source_paths(model) -> None:
    """The newer exporter records where in the user's files every node comes from."""
    for node in model.graph.node:
        kept = [item for item in node.metadata_props if not item.key.endswith("stack_trace")]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
        node.ClearField("doc_string")
