// The C library, for those who open files and write to streams. Foundation would bring as much, and double the
// command's start-up time.
#if canImport(Glibc)
  @_exported public import Glibc
#elseif canImport(Musl)
  @_exported public import Musl
#else
  @_exported public import Darwin
#endif
