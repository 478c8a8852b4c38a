import Importers
import Tally
import TallyHost

extension ExportFormat {
  static let onnx = ExportFormat(
    name: "onnx", summary: "QuantizeLinear and DequantizeLinear (QDQ), operator set 17"
  ) { request throws(InputError) in
    try request.write(extension: "onnx") { model throws(InputError) in
      try ONNXExport.bytes(
        of: model.network, digest: model.digest.hexadecimal, isDequantized: request.isDequantized)
    }
  }
}
