public import Tensors

/// Σ values.
@inlinable
public func sum(_ values: View<Int8>) -> Int32 {
  var sum: Int32 = 0
  for index in 0..<values.count { sum &+= Int32(values[index]) }
  return sum
}

/// Σ values, wrapping.
@inlinable
public func sum(_ values: View<Int32>) -> Int32 {
  var sum: Int32 = 0
  for index in 0..<values.count { sum &+= values[index] }
  return sum
}

/// sums[c] += Σᵣ values[r, c].
@inlinable
public func sumRows(_ values: View<Int8>, rows: Int, columns: Int, into sums: View<Int32>) {
  for r in 0..<rows {
    let row = values.slice(r &* columns, columns)
    for c in 0..<columns { sums[c] &+= Int32(row[c]) }
  }
}

/// How many values equal `wanted`.
@inlinable
public func count(of wanted: Int8, in values: View<Int8>) -> Int {
  var count = 0
  for index in 0..<values.count where values[index] == wanted { count &+= 1 }
  return count
}
