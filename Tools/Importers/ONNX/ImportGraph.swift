import Tally

/// The network while it is being read: the operations of `FloatNetwork` and those that must
/// have dissolved before it is one.
struct ImportGraph {
  enum Operation {
    case network(FloatOperation)
    /// x · scale + offset: one pair for all, one per channel, or one per element. In Double, so that a
    /// chain of them is rounded once, where it ends in a layer's weights.
    case affine(scale: [Double], offset: [Double])
    /// A function of single elements that is only known as a part of an activation.
    case elementwise(ElementFunction)
    /// out[h, w, c] = the element that the three lists of factors address.
    case rearrange(Rearrangement)
  }

  /// Functions that appear in spelled-out activations.
  enum ElementFunction {
    case erf
    case exp
    case absolute
    case maximum
    case minimum
    case divide
  }

  struct Rearrangement {
    var height: [Factor]
    var width: [Factor]
    var channels: [Factor]
  }

  /// The integers of a quantised layer, in the layout of its float weights.
  struct WeightIntegers {
    var values: [Int8]
    var scales: [Float]
    var exactScales: [Scale]?
    /// Nil: to be rounded from the float bias.
    var bias: [Int32]?
  }

  struct Node {
    var operation: Operation
    var inputs: [Int]
    var shape: TensorShape
    var name: String
    /// Index of the ONNX node it comes from, for messages.
    var origin: Int
    var weightIntegers: WeightIntegers?
    var quantization: ActivationQuantization?
  }

  var inputShape: TensorShape
  var inputQuantization: ActivationQuantization?
  var nodes: [Node] = []

  func shape(of tensor: Int) -> TensorShape {
    tensor == 0 ? inputShape : nodes[tensor - 1].shape
  }

  func quantization(of tensor: Int) -> ActivationQuantization? {
    tensor == 0 ? inputQuantization : nodes[tensor - 1].quantization
  }

  /// The operation that makes a tensor; nil for the input.
  func operation(of tensor: Int) -> Operation? {
    tensor == 0 ? nil : nodes[tensor - 1].operation
  }

  /// Appends a node; the result is its tensor.
  mutating func append(
    _ operation: Operation, inputs: [Int], shape: TensorShape, name: String, origin: Int
  ) -> Int {
    nodes.append(
      Node(operation: operation, inputs: inputs, shape: shape, name: name, origin: origin))
    return nodes.count
  }

  /// For every tensor, the nodes that read it; a node that reads it twice is there twice.
  func consumers() -> [[Int]] {
    var result = [[Int]](repeating: [], count: nodes.count + 1)
    for (index, node) in nodes.enumerated() {
      for input in node.inputs { result[input].append(index) }
    }
    return result
  }

  /// Drops the nodes that `output` does not depend on and renumbers the rest.
  mutating func removeUnused(output: inout Int) {
    var isUsed = [Bool](repeating: false, count: nodes.count + 1)
    isUsed[0] = true
    isUsed[output] = true
    for index in nodes.indices.reversed() where isUsed[index + 1] {
      for input in nodes[index].inputs { isUsed[input] = true }
    }
    var number = [Int](repeating: 0, count: nodes.count + 1)
    var kept: [Node] = []
    for (index, node) in nodes.enumerated() where isUsed[index + 1] {
      var node = node
      node.inputs = node.inputs.map { number[$0] }
      kept.append(node)
      number[index + 1] = kept.count
    }
    nodes = kept
    output = number[output]
  }
}
