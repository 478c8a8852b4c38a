"""The command itself: usage, outputs, the errors that need no model."""

import json
import os
import subprocess
import sys
import unittest
import zipapp

from support import HERE, SOURCE, ExportTest, needs
from tally_export.errors import Blockers, ExportError
from tally_export.libraries import library


class Usage(ExportTest):
    def test_help_and_version(self):
        for arguments in (["--help"], ["--version"], ["pytorch", "--help"]):
            with self.assertRaises(SystemExit) as stop:
                self.export(*arguments)
            self.assertEqual(stop.exception.code, 0)

    def test_wrong_usage_is_exit_2(self):
        for arguments in (
            [], ["onnx"], ["keras", "m.keras"], ["tflite", "m.tflite", "-o", "o.onnx", "--x"],
            ["pytorch", "a:b", "-o", "o.onnx", "--input", "1,0"],
        ):  # fmt: skip
            with self.subTest(arguments):
                status, out, err = self.export(*arguments)
                self.assertEqual((status, out), (2, ""))
                self.assertIn("error[TLY0802]: ", err)

    def test_json_errors_are_one_object(self):
        status, out, err = self.export(
            "tflite", self.folder / "no.tflite", "-o", self.folder / "no/m.onnx", "--json"
        )
        self.assertEqual(status, 5)
        found = json.loads(out)
        self.assertEqual(found["exit"], 5)
        self.assertEqual(found["error"]["code"], "TLY0806")
        self.assertIn("mkdir -p", found["error"]["help"])


class Output(ExportTest):
    """Refused before anything is read: the model named here does not exist."""

    def refuse(self, path, *arguments):
        status, _, err = self.export("tflite", self.folder / "m.tflite", "-o", path, *arguments)
        self.assertEqual(status, 5, err)
        self.assertIn("error[TLY0806]: cannot write the file", err)
        return err

    def test_existing_files_stay(self):
        path = self.folder / "there.onnx"
        path.write_text("precious")
        self.assertIn("--force", self.refuse(path))
        self.assertEqual(path.read_text(), "precious")

    def test_folders_and_inputs(self):
        self.refuse(self.folder, "--force")
        self.refuse(self.folder / "absent" / "m.onnx")
        source = self.folder / "m.tflite"
        source.write_bytes(b"x")
        self.assertIn("also an input", self.refuse(source, "--force"))
        os.symlink(source, self.folder / "link")
        self.assertIn("also an input", self.refuse(self.folder / "link", "--force"))
        self.assertEqual(source.read_bytes(), b"x")


class Messages(unittest.TestCase):
    def test_a_missing_library_names_the_pip_command(self):
        with self.assertRaises(ExportError) as caught:
            library("no_such_library.part", purpose="for this test", also=("numpy",))
        text = str(caught.exception)
        self.assertEqual(caught.exception.exit, 4)
        self.assertIn("pip install no_such_library numpy", text)
        self.assertIn("for this test", text)

    def test_blockers_are_listed_once(self):
        blockers = Blockers()
        blockers.check("m", "help")
        for name in ("a", "b", "a"):
            blockers.add("LSTM", name, "recurrent")
        with self.assertRaises(ExportError) as caught:
            blockers.check("m", "help")
        text = str(caught.exception)
        self.assertIn("2 layers are not supported", text)
        self.assertEqual(text.count("LSTM 'a': recurrent"), 1)


class Layouts(ExportTest):
    """Run from a clone, as a module, and as one file."""

    def run_program(self, *line, **environment):
        done = subprocess.run(
            [sys.executable, *map(str, line)], capture_output=True, text=True, cwd=self.folder,
            env={**os.environ, **environment},
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def test_every_way_to_start_it(self):
        archive = self.folder / "tally-export.pyz"
        zipapp.create_archive(SOURCE, archive, main="tally_export.command:main")
        for line, environment in (
            ([HERE.parent / "tally_export.py"], {}),
            (["-m", "tally_export"], {"PYTHONPATH": str(SOURCE)}),
            ([archive], {}),
        ):
            with self.subTest(line):
                status, text = self.run_program(*line, "--version", **environment)
                self.assertEqual(status, 0, text)
                self.assertRegex(text, r"^tally-export \d+\.\d+\.\d+\n$")

    @needs("numpy", "onnx", "tflite", "flatbuffers")
    def test_exit_status_of_the_process(self):
        (self.folder / "m.tflite").write_bytes(b"this is no flatbuffer")
        status, text = self.run_program(
            HERE.parent / "tally_export.py", "tflite", "m.tflite", "-o", "m.onnx"
        )
        self.assertEqual(status, 3, text)
        self.assertIn("error[TLY0504]: this is not a TensorFlow Lite model", text)


if __name__ == "__main__":
    unittest.main()
