// Nothing the audit forbids: the control of its self-test.
@c(planted)
public func planted(_ x: Int32) -> Int32 { (x &* 3) &>> 1 }
