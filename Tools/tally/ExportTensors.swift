import Importers
import Tally
import TallyHost

extension ExportFormat {
  static let safetensors = ExportFormat(
    name: "safetensors", summary: "weights, biases, tables; the rest as JSON in its metadata"
  ) { request throws(InputError) in
    try request.write(extension: "safetensors") { model in
      request.tensors.safetensors()
    }
  }

  static let npz = ExportFormat(
    name: "npz", summary: "the same arrays for NumPy; the rest in metadata.json"
  ) { request throws(InputError) in
    try request.write(extension: "npz") { model throws(InputError) in
      try request.tensors.npz()
    }
  }
}

extension ExportRequest {
  fileprivate var tensors: ModelTensors {
    ModelTensors(
      model.network, digest: model.digest.hexadecimal, isDequantized: isDequantized)
  }
}
