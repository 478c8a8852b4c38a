import Importers

/// The members of one JSON object that may be written several times: in a file, then by `--set`.
///
/// The last one wins. `--set schedule.warmup=10` adds to the file's `schedule`, `--set 'schedule={…}'`
/// replaces it.
struct LayeredObject {
  /// One text's object.
  struct Layer {
    var object: JSONObject
    /// Keys of a path still to come: above 0 a member adds to what was written before, at 0 it
    /// replaces it.
    let pathDepth: Int
  }

  private var layers: [Layer]

  init(_ layers: [Layer]) { self.layers = layers }

  /// The last value written for `key`; from here on the key is a known one.
  mutating func take(_ key: String) -> JSONElement? { takeAll(key).last?.element }

  /// The object under `key`, or nil.
  mutating func object(_ key: String) throws(InputError) -> LayeredObject? {
    var inner: [Layer] = []
    for (element, depth) in takeAll(key) {
      inner.append(Layer(object: try element.object(), pathDepth: max(0, depth - 1)))
    }
    return inner.isEmpty ? nil : LayeredObject(inner)
  }

  /// - Throws: TLY0801 for a key that was never taken.
  func finish() throws(InputError) {
    for layer in layers { try layer.object.finish() }
  }

  /// The values of `key` that still count, in order.
  private mutating func takeAll(_ key: String) -> [(element: JSONElement, depth: Int)] {
    var found: [(element: JSONElement, depth: Int)] = []
    for index in layers.indices {
      guard let element = layers[index].object.take(key) else { continue }
      if layers[index].pathDepth == 0 { found = [] }
      found.append((element, layers[index].pathDepth))
    }
    return found
  }
}

extension JSONElement {
  var isObject: Bool {
    if case .object = value.content { true } else { false }
  }
}
