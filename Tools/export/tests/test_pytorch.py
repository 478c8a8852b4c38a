"""PyTorch modules: both exporters, checkpoints of every kind, and what is refused."""

import os
import unittest
import zipfile

import numpy as np
from support import HERE, ExportTest, model_file, needs

NETWORKS = f"{HERE / 'networks.py'}"
INPUT = ("--input", "1,3,8,8")


def networks():
    """The module under the name that the exporter gives it."""
    import networks

    return networks


@needs("torch", "onnx", "onnxscript", "onnxruntime", "safetensors")
class Modules(ExportTest):
    def save(self, content, name="weights.pt") -> str:
        import torch

        path = self.folder / name
        torch.save(content, path)
        return str(path)

    def weights(self, channels=4) -> dict:
        """Of the small network, none of them what its factory gives."""
        import torch

        torch.manual_seed(5)
        module = networks().small(channels)
        with torch.no_grad():
            for value in module.state_dict().values():
                if value.is_floating_point():
                    value.copy_(torch.rand_like(value) + 0.1)
        return module.state_dict()

    def check(self, weights: dict, channels=4):
        """The model written computes what a module with these weights does."""
        import torch

        module = networks().small(channels).eval()
        module.load_state_dict(weights)
        x = torch.from_numpy(np.random.default_rng(3).standard_normal((3, 3, 8, 8), np.float32))
        with torch.no_grad():
            expected = module(x).numpy()
        found = self.run_model(x.numpy())
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)

    def test_every_kind_of_checkpoint(self):
        import safetensors.torch

        weights = self.weights()
        wrapped = {f"module.{name}": value for name, value in weights.items()}
        compiled = {f"_orig_mod.{name}": value for name, value in wrapped.items()}
        counters = ("num_batches_tracked",)
        old = {name: value for name, value in weights.items() if not name.endswith(counters)}
        tensors = str(self.folder / "weights.safetensors")
        safetensors.torch.save_file(weights, tensors)
        files = {
            "state dict": (self.save(weights, "a.pt"), []),
            "in a container": (
                self.save({"state_dict": weights, "epoch": 3}, "b.pth"), ["'state_dict'"]
            ),
            "of a parallel module": (self.save({"model": wrapped}, "c.pt"), ["'module.'"]),
            "compiled": (self.save(compiled, "d.pt"), ["'_orig_mod.'", "'module.'"]),
            "without counters": (self.save(old, "e.pt"), []),
            "safetensors": (tensors, []),
        }  # fmt: skip
        for what, (path, notes) in files.items():
            with self.subTest(what):
                result = self.exported(
                    "pytorch", f"{NETWORKS}:small", "--checkpoint", path, *INPUT, "--force",
                    "--exporter", "torchscript",
                )  # fmt: skip
                for note in notes:
                    self.assertTrue(any(note in text for text in result["notes"]), result)
                self.check(weights)

    def test_both_exporters_agree_and_leave_the_batch_open(self):
        import onnx

        weights = self.weights()
        path = self.save(weights)
        for exporter in ("dynamo", "torchscript"):
            with self.subTest(exporter):
                result = self.exported(
                    "pytorch", f"{NETWORKS}:small", "--checkpoint", path, *INPUT, "--force",
                    "--exporter", exporter,
                )  # fmt: skip
                self.check(weights)
                self.assertEqual(result["axes"], "channels, height, width")
                content = open(self.output, "rb").read()
                self.assertNotIn(str(HERE).encode(), content, "a path of this machine")
                model = onnx.load(self.output)
                batch = model.graph.input[0].type.tensor_type.shape.dim[0]
                self.assertEqual(batch.dim_value, 0)
                self.assertFalse(any(t.external_data for t in model.graph.initializer))

    def test_arguments_reach_the_factory(self):
        weights = self.weights(6)
        self.exported(
            "pytorch", f"{NETWORKS}:small", "--checkpoint", self.save(weights), *INPUT,
            "--argument", "channels=6", "--exporter", "torchscript",
        )  # fmt: skip
        self.check(weights, 6)

    def test_what_does_not_fit_is_named(self):
        weights = self.weights()
        weights["extra.weight"] = weights["0.bias"]
        weights["4.bias"] = weights["4.bias"][:3]
        del weights["1.running_mean"]
        path = self.save(weights)
        text = self.refused(
            2, "TLY0407", "pytorch", f"{NETWORKS}:small", "--checkpoint", path, *INPUT
        )
        self.assertRegex(text, r"missing in the checkpoint \(1\):\n +1.running_mean\n")
        self.assertRegex(text, r"another shape \(1\):\n +4.bias \(3,\), the module has \(5,\)\n")
        self.assertRegex(text, r"not in the module \(1\):\n +extra.weight\n")

    def test_more_than_the_module_has(self):
        weights = self.weights()
        path = self.save({**weights, "extra.weight": weights["0.bias"]})
        line = ("pytorch", f"{NETWORKS}:small", "--checkpoint", path, *INPUT)
        self.assertIn("--ignore-unexpected", self.refused(2, "TLY0407", *line))
        result = self.exported(*line, "--ignore-unexpected", "--exporter", "torchscript")
        self.assertTrue(any("extra.weight" in note for note in result["notes"]))
        self.check(weights)

    def test_files_that_would_run_code_are_not_read(self):
        import torch

        whole = self.save(networks().small(), "whole.pt")
        script = self.folder / "script.pt"
        torch.jit.save(torch.jit.trace(networks().small().eval(), torch.zeros(1, 3, 8, 8)), script)
        for path, code, words in (
            (whole, "TLY0401", "a whole model"), (script, "TLY0405", "TorchScript"),
        ):  # fmt: skip
            line = ("pytorch", f"{NETWORKS}:small", "--checkpoint", path, *INPUT)
            text = self.refused(4, code, *line)
            self.assertIn(words, text)
            self.assertIn("torch.save(model.state_dict()", text)

    def test_a_file_that_calls_a_function_is_refused_by_its_name(self):
        """As somebody would write it who wants a command run; the command would leave a file."""
        import torch

        trace = self.folder / "was-run"

        class Attack:
            def __reduce__(self):
                return os.system, (f"touch '{trace}'",)

        path = self.folder / "attack.pt"
        torch.save({"weight": Attack()}, path)
        text = self.refused(
            3, "TLY0402", "pytorch", f"{NETWORKS}:small", "--checkpoint", path, *INPUT
        )
        self.assertIn("system; nothing was executed", text)
        self.assertFalse(trace.exists())

    def test_a_storage_that_is_gone(self):
        """The archive without one of its data files; every other entry as it was."""
        path = self.save(self.weights())
        broken = self.folder / "broken.pt"
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(broken, "w") as new:
            data = [name for name in old.namelist() if "/data/" in name]
            for name in old.namelist():
                if name != data[0]:
                    new.writestr(name, old.read(name))
        self.refused(3, "TLY0404", "pytorch", f"{NETWORKS}:small", "--checkpoint", broken, *INPUT)

    def test_big_endian_storages_are_swapped(self):
        """The same weights as a big-endian machine saves them."""
        weights = self.weights()
        path = self.save(weights)
        other = self.folder / "big.pt"
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name.endswith("/byteorder"):
                    content = b"big"
                elif "/data/" in name:
                    width = 8 if len(content) == 8 else 4
                    content = b"".join(
                        content[at : at + width][::-1] for at in range(0, len(content), width)
                    )
                new.writestr(name, content)
        self.exported(
            "pytorch", f"{NETWORKS}:small", "--checkpoint", other, *INPUT,
            "--exporter", "torchscript",
        )  # fmt: skip
        self.check(weights)

    def test_damaged_and_empty_checkpoints(self):
        path = self.save(self.weights())
        content = open(path, "rb").read()
        cases = {"TLY0403": content[: len(content) // 2], "TLY0102": b""}
        for code, damaged in cases.items():
            (self.folder / "bad.pt").write_bytes(damaged)
            self.refused(
                3, code, "pytorch", f"{NETWORKS}:small", "--checkpoint", self.folder / "bad.pt",
                *INPUT,
            )  # fmt: skip
        nothing = self.save({"epoch": 3}, "nothing.pt")
        text = self.refused(
            2, "TLY0407", "pytorch", f"{NETWORKS}:small", "--checkpoint", nothing, *INPUT
        )
        self.assertIn("its keys: epoch", text)

    def test_factories_that_give_no_network(self):
        for factory, input_shape, status, code in (
            (f"{NETWORKS}:absent", "1,3,8,8", 2, "TLY1002"),
            (f"{NETWORKS}:not_a_module", "1,3,8,8", 2, "TLY1002"),
            ("no_such_package.net:f", "1,3,8,8", 2, "TLY1002"),
            ("nothing", "1,3,8,8", 2, "TLY0802"),
            (f"{NETWORKS}:small", "1,1,8,8", 2, "TLY1002"),
            (f"{NETWORKS}:two_outputs", "1,3,8,8", 4, "TLY0304"),
        ):
            with self.subTest(factory):
                self.refused(status, code, "pytorch", factory, "--input", input_shape)

    def test_resnet20_of_the_data_folder(self):
        """The published checkpoint gives what the folder's ONNX file, made from it, gives."""
        import onnx
        from tally_export.verification import run_onnx

        x = np.random.default_rng(1).standard_normal((4, 3, 32, 32), np.float32)
        expected = run_onnx(onnx.load(model_file("resnet20-cifar10/resnet20.onnx")), x)
        for name in ("resnet20-12fca82f.th", "resnet20.safetensors"):
            with self.subTest(name):
                self.exported(
                    "pytorch", f"{NETWORKS}:resnet20", "--checkpoint",
                    model_file(f"resnet20-cifar10/{name}"), "--input", "1,3,32,32", "--force",
                )  # fmt: skip
                np.testing.assert_allclose(self.run_model(x), expected, rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    unittest.main()
