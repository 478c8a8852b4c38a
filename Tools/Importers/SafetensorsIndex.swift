/// `model.safetensors.index.json`: which file of a sharded checkpoint holds which tensor.
public struct SafetensorsIndex: Sendable {
  /// Tensor names and the shard that holds each, in the order of the file.
  public let shardOfTensor: [(tensor: String, shard: String)]
  /// Shards in the order of their first mention, as paths beside the index.
  public let shardPaths: [String]

  /// - Throws: TLY0202 and 0203 for the JSON, TLY0208 for shards that are not beside the index.
  public init(
    _ bytes: ArraySlice<UInt8>, path: String, fileExists: (String) -> Bool = FileContents.exists
  ) throws(InputError) {
    let document = try JSONDocument(bytes, file: path)
    guard case .object(let members) = document.root.content,
      let map = members.first(where: { $0.key == "weight_map" })?.value,
      case .object(let entries) = map.content
    else {
      throw .json(
        "an index has an object weight_map", place: document.place(at: document.root.offset),
        exit: 3)
    }
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
    var shards: [String] = []
    shardOfTensor = try entries.map { entry throws(InputError) in
      // A plain name: an index may not reach into other folders.
      guard case .string(let shard) = entry.value.content, !shard.isEmpty, shard != "..",
        !shard.contains("/"), !shard.utf8.contains(0)
      else {
        throw .json(
          "a shard is the name of a file in the same folder",
          place: document.place(at: entry.value.offset), exit: 3)
      }
      if !shards.contains(shard) { shards.append(shard) }
      return (entry.key, shard)
    }
    let missing = shards.filter { !fileExists(folder + $0) }
    guard missing.isEmpty else { throw .missingShards(path, missing) }
    shardPaths = shards.map { folder + $0 }
  }
}
