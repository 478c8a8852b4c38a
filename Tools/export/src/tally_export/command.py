"""The command line: one verb per source format."""

import argparse
import json
import sys
import traceback

from tally_export import __version__
from tally_export.errors import ExportError, diagnostic
from tally_export.libraries import library
from tally_export.output import OutputFile

EXIT_CODES = """exit codes: 0 done; 1 the export does not compute what the source computes; 2 usage;
3 malformed input; 4 valid but unsupported, or a library is missing; 5 input or output;
101 internal error; 130 interrupted"""


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise ExportError(802, message, help=f"{self.prog} --help", exit=2)


def _shape(text: str) -> tuple:
    sizes = tuple(int(part) if part.isdecimal() else 0 for part in text.split(","))
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a shape such as 1,3,32,32")
    return sizes


def parser() -> argparse.ArgumentParser:
    top = _Parser(
        prog="tally-export", description=__doc__.splitlines()[0], epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    top.description = "Write a model of another tool as an ONNX file for `tally convert`."
    top.add_argument("--version", action="version", version=f"tally-export {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-o", "--output", required=True, metavar="FILE", help="the ONNX file")
    common.add_argument("--force", action="store_true", help="replace an existing output")
    common.add_argument(
        "--no-check", action="store_true", help="do not run both models on random inputs"
    )
    common.add_argument("--json", action="store_true", help="print exactly one JSON object")
    common.add_argument("-q", "--quiet", action="store_true", help="no notes")

    pytorch = verbs.add_parser(
        "pytorch", parents=[common], help="a module and its checkpoint (.pt, .pth, .safetensors)",
        description="Build a torch.nn.Module, load its checkpoint, and export it.",
    )  # fmt: skip
    pytorch.add_argument(
        "factory", metavar="MODULE:FACTORY",
        help="what gives the module when called: package.module:name, or file.py:name",
    )  # fmt: skip
    pytorch.add_argument("--checkpoint", metavar="FILE", help="its weights")
    pytorch.add_argument(
        "--input", required=True, type=_shape, metavar="1,3,32,32", help="shape, batch first"
    )
    pytorch.add_argument(
        "--argument", action="append", default=[], metavar="NAME=VALUE",
        help="an argument of the factory, the value in JSON; may be repeated",
    )  # fmt: skip
    pytorch.add_argument(
        "--exporter", choices=("dynamo", "torchscript"), default="dynamo",
        help="which of PyTorch's two exporters (default dynamo)",
    )  # fmt: skip
    pytorch.add_argument("--opset", type=int, metavar="N", help="ONNX operator set (default 18)")
    pytorch.add_argument(
        "--ignore-unexpected", action="store_true",
        help="load a checkpoint that holds more than the module has",
    )  # fmt: skip

    keras = verbs.add_parser(
        "keras", parents=[common], help="a .keras or .h5 model",
        description="Export a Keras model: Sequential or functional, from Keras 2 or 3.",
    )  # fmt: skip
    keras.add_argument("model", metavar="MODEL", help="the .keras or .h5 file")
    keras.add_argument(
        "--input", type=_shape, metavar="1,96,96,3", help="for a model with open sizes"
    )

    tflite = verbs.add_parser(
        "tflite", parents=[common], help="a TensorFlow Lite model, float or int8",
        description="Export a .tflite file; int8 keeps its scales, zero points and integers.",
    )  # fmt: skip
    tflite.add_argument("model", metavar="MODEL", help="the .tflite file")
    return top


def _export(options):
    for module in ("numpy", "onnx"):
        library(module, purpose="to write ONNX files")
    if options.verb == "pytorch":
        from tally_export import torch_module

        return torch_module.export(options)
    if options.verb == "keras":
        from tally_export import keras_model

        return keras_model.export(options.model, options.input)
    from tally_export import tflite_model

    return tflite_model.export(options.model)


def run(options) -> dict:
    """Exports, checks, writes; returns the result object."""
    source = options.checkpoint if options.verb == "pytorch" else options.model
    inputs = (source,) if source else ()
    output = OutputFile(options.output, force=options.force, inputs=inputs)
    exported = _export(options)
    import onnx

    content = exported.model.SerializeToString()
    onnx.checker.check_model(exported.model, full_check=True)
    result = {
        "output": options.output, "bytes": len(content),
        "input": list(exported.input_shape), "axes": exported.axes, "notes": exported.notes,
    }  # fmt: skip
    verdict = None
    if not options.no_check:
        library("onnxruntime", purpose="to hold the export against its source")
        from tally_export.verification import verify

        verdict = verify(exported)
        result["check"] = {
            "inputs": verdict.inputs, "largestDifference": verdict.difference,
            "largestOutput": verdict.largest, "relativeDifference": verdict.relative,
        }  # fmt: skip
    output.write(content)
    if not options.quiet:
        _say(options, exported, verdict, len(content))
    return result


def _say(options, exported, verdict, size: int) -> None:
    stream = sys.stderr if options.json else sys.stdout
    shape = "×".join(str(part) for part in exported.input_shape)
    print(f"wrote {options.output}, {size} bytes", file=stream)
    print(verdict or "not checked against the source (--no-check)", file=stream)
    print(f"input: batch × {shape} ({exported.axes})", file=stream)
    for note in exported.notes:
        print(f"note: {note}", file=stream)
    print(
        f"next: tally convert {options.output} -o model.tally --calibrate DATA", file=stream
    )


def main(arguments: list | None = None) -> int:
    """Runs the command and returns its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    try:
        result = run(parser().parse_args(arguments))
    except ExportError as error:
        print(error, file=sys.stderr)
        if as_json:
            print(json.dumps({"error": error.parts(), "exit": error.exit}))
        return error.exit
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 (the last resort)
        traceback.print_exc()
        text = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        help = "this is a fault of the exporter; please report it with the model"
        print(diagnostic("error", "TLY0999", f"internal: {text}", help=help), file=sys.stderr)
        return 101
    if as_json:
        print(json.dumps(result))
    return 0
