// A float: the audit must find it on every processor.
@c(planted)
public func planted(_ x: Int32) -> Int32 { (Float(x) * 1.5) < 7 ? 1 : 0 }
