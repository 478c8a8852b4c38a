"""What the tests share: where things are, what is installed, and the command in this process."""

import contextlib
import importlib.util
import io
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent / "src"
for folder in (str(SOURCE), str(HERE)):
    if folder not in sys.path:
        sys.path.insert(0, folder)

from tally_export.command import main  # noqa: E402


def data_root() -> Path | None:
    """The folder TALLY_DATA names, or the nearest ../shared/data above this file."""
    named = os.environ.get("TALLY_DATA")
    above = [folder / "shared" / "data" for folder in HERE.parents]
    return next((p for p in ([Path(named)] if named else above) if p.is_dir()), None)


def model_file(path: str) -> str:
    """A file of the data folder's models; the test is skipped where it is not there."""
    root = data_root()
    if root is None or not (root / "models" / path).is_file():
        raise unittest.SkipTest(f"no data at {os.environ.get('TALLY_DATA') or '../shared/data'}")
    return str(root / "models" / path)


def needs(*modules):
    """Skips a class or test, saying so, where one of the packages is not installed."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return unittest.skipIf(missing, f"not installed: {', '.join(missing)}")


class ExportTest(unittest.TestCase):
    """A folder of its own, and `export(…)`: the command, its exit status and what it printed."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.output = str(self.folder / "model.onnx")

    def export(self, *arguments):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main([str(argument) for argument in arguments])
        return status, out.getvalue(), err.getvalue()

    def exported(self, *arguments) -> dict:
        """The result object of an export that must succeed, checked against its source."""
        status, out, err = self.export(*arguments, "-o", self.output, "--json")
        self.assertEqual(status, 0, err)
        result = json.loads(out)
        self.assertIn("check", result)
        return result

    def refused(self, status: int, code: str, *arguments) -> str:
        """The error's text; the export must fail so and write nothing."""
        found, out, err = self.export(*arguments, "-o", self.output)
        self.assertEqual(found, status, err)
        self.assertIn(f"error[{code}]: ", err)
        self.assertEqual(out, "")
        self.assertFalse(os.path.exists(self.output))
        self.assertEqual([p.name for p in self.folder.glob("*.tmp")], [])
        return err

    def operators(self) -> dict:
        """How often each operator occurs in the model written."""
        import onnx

        counts = {}
        for node in onnx.load(self.output).graph.node:
            counts[node.op_type] = counts.get(node.op_type, 0) + 1
        return counts

    def run_model(self, inputs):
        import onnx
        from tally_export.verification import run_onnx

        return run_onnx(onnx.load(self.output), inputs)
