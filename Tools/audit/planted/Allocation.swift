// An object that escapes, so that it is allocated: the audit must find it.
final class Box {
  var value: Int32
  init(_ value: Int32) { self.value = value }
}

nonisolated(unsafe) var kept: Box?

@c(planted)
public func planted(_ x: Int32) -> Int32 {
  kept = Box(x)
  return x
}
