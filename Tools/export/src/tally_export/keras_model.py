"""Keras models (.keras, .h5) as ONNX: the layer list is walked and written node by node.

Keras's own ONNX export turns ten layers into 23 kinds of operators, with padding computed at run
time. Here every layer becomes the one or two operators that it is. The files are read by Keras
itself, with safe mode on, under whichever of its backends is installed.
"""

import os
import warnings
import zipfile

from tally_export.errors import Blockers, ExportError, Unsupported
from tally_export.exported import Exported, axes_words
from tally_export.libraries import has_library, library
from tally_export.output import read_file

PURPOSE = "to read Keras models"


def export(path: str, input_shape: tuple | None) -> Exported:
    keras = _keras()
    model = _load(keras, path)
    from tally_export.graph import Graph

    source = _input(model, path)
    shape = input_shape or tuple(source.shape)
    if len(shape) != len(source.shape) or any(
        size not in (None, given) for size, given in zip(source.shape[1:], shape[1:])
    ):
        raise ExportError(
            802, f"the input is {_shape_words(source.shape)}", place="--input", exit=2
        )
    if any(size is None for size in shape[1:]):
        raise ExportError(
            308, f"the model's input is open: {_shape_words(shape)}", place=path,
            note="only the batch may stay open", help="--input 1,96,96,3", exit=2,
        )  # fmt: skip

    graph = Graph(model.name)
    blockers = Blockers()
    walk = _Walk(graph, blockers)
    value = graph.input(source.name, (None, *shape[1:]))
    output = walk.model(model, [value])
    blockers.check(path, "the layers that are supported are listed in Tools/export/README.md")
    exported = Exported(
        graph.model(output), _reference(keras, model), tuple(shape[1:]),
        axes_words(shape[1:], channels_first=False),
    )  # fmt: skip
    return exported


def _keras():
    """Keras under a backend that is there: TensorFlow's is its default."""
    if "KERAS_BACKEND" not in os.environ:
        for backend, module in (("tensorflow", "tensorflow"), ("torch", "torch"), ("jax", "jax")):
            if has_library(module):
                os.environ["KERAS_BACKEND"] = backend
                break
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    keras = library("keras", purpose=PURPOSE, also=("h5py", "torch"))
    library("h5py", purpose=PURPOSE)
    if int(keras.__version__.split(".")[0]) < 3:
        raise ExportError(
            1001, f"Keras {keras.__version__} is too old", note="Keras 3 reads the files of 2",
            help="pip install -U keras", exit=4,
        )  # fmt: skip
    return keras


def _load(keras, path: str):
    content = read_file(path)
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in (".keras", ".h5", ".hdf5"):
        raise ExportError(
            504, "a Keras model's name ends in .keras or .h5", place=path,
            note="a SavedModel folder is neither: model.save('m.keras') writes one", exit=4,
        )  # fmt: skip
    is_whole = (
        zipfile.is_zipfile(path) if suffix == ".keras"
        else content.startswith(b"\x89HDF\r\n\x1a\n")
    )  # fmt: skip
    if not is_whole:
        raise ExportError(
            504, f"the content is not that of a {suffix} file", place=path,
            note=f"it starts with {content[:8].hex()} and has {len(content)} bytes", exit=3,
        )  # fmt: skip
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ExportError(
            504, "Keras cannot read the file", place=path, note=_first_line(error),
            help="copy or download it again", exit=3,
        ) from None  # fmt: skip
    except (TypeError, ValueError, ImportError, AttributeError) as error:
        text = _first_line(error)
        if "No model config" in str(error) or "model config" in str(error).lower():
            raise ExportError(
                408, "the file holds weights without a model", place=path, note=text,
                help="save the whole model: model.save('m.keras')", exit=4,
            ) from None  # fmt: skip
        raise ExportError(
            501, "Keras cannot build the model", place=path, note=text,
            help="layers and functions of your own, and Lambda layers, cannot be exported",
            exit=4,
        ) from None  # fmt: skip


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__)[:300]


def _shape_words(shape) -> str:
    return ",".join("batch" if i == 0 else str(size or "?") for i, size in enumerate(shape))


def _input(model, path: str):
    """The one input; Keras gives none to a model that was never built."""
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if not inputs or not outputs:
        raise ExportError(
            304, "the model's layers are in Python code, not in the file", place=path,
            note="only Sequential and functional models have a graph", exit=4,
        )  # fmt: skip
    if len(inputs) != 1 or len(outputs) != 1:
        raise ExportError(
            304, f"the model has {len(inputs)} inputs and {len(outputs)} outputs", place=path,
            note="Tally runs networks with one of each", exit=4,
        )  # fmt: skip
    return inputs[0]


def _reference(keras, model):
    def run(inputs):
        with warnings.catch_warnings():
            # That one tensor is given where the model lists its inputs.
            warnings.simplefilter("ignore")
            return keras.ops.convert_to_numpy(model.predict_on_batch(inputs))

    return run


class _Walk:
    """Writes what a model's output depends on, layer by layer."""

    def __init__(self, graph, blockers: Blockers):
        self.graph = graph
        self.blockers = blockers

    def model(self, model, inputs: list):
        """The output value of a Sequential or functional model called on `inputs`."""
        known = {id(tensor): value for tensor, value in zip(model.inputs, inputs)}
        return self._value(model.outputs[0], known)

    def _value(self, target, known: dict):
        # A stack instead of recursion: networks are deeper than Python's limit allows.
        stack = [target]
        while stack:
            tensor = stack[-1]
            if id(tensor) in known:
                stack.pop()
                continue
            operation, index, _ = tensor._keras_history
            node = operation._inbound_nodes[index]
            missing = [source for source in node.input_tensors if id(source) not in known]
            if missing:
                stack += missing
                continue
            stack.pop()
            known[id(tensor)] = self._call(operation, node, known, tensor)
        return known[id(target)]

    def _call(self, operation, node, known: dict, tensor):
        import keras

        if hasattr(operation, "outputs") and hasattr(operation, "layers"):
            if len(operation.inputs) == len(operation.outputs) == 1:
                return self.model(operation, [known[id(node.input_tensors[0])]])
        kind = type(operation).__name__
        try:
            writer = keras_writer(operation)
            arguments = keras.tree.flatten((node.arguments.args, _operands(node)))
            inputs = [
                known[id(item)] if isinstance(item, keras.KerasTensor) else item
                for item in arguments if item is not None
            ]  # fmt: skip
            value = writer(self.graph, operation, inputs)
        except Unsupported as reason:
            from tally_export.graph import Value

            self.blockers.add(kind, operation.name, reason)
            value = Value("unsupported", tuple(tensor.shape))
        return value


def _operands(node) -> list:
    """Keyword arguments that are values: `mask` and `training` are not."""
    return [value for key, value in node.arguments.kwargs.items() if key in ("x1", "x2", "inputs")]


def keras_writer(operation):
    """The function that writes a layer of Keras; classes of other origin never match."""
    from tally_export.keras_layers import ADVICE, WRITERS

    kind = type(operation).__name__
    if not type(operation).__module__.startswith("keras."):
        raise Unsupported("a class that is not of Keras")
    if kind not in WRITERS:
        raise Unsupported(ADVICE.get(kind, "no form in ONNX is known here"))
    return WRITERS[kind]
