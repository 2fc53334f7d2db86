import Kernels
import Tensors
import Testing

struct SelectionTests {
  @Test("A variant that the processor lacks is refused by name")
  func lacking() throws {
    for variant in Kernels.Variant.allCases where !Kernels.available.contains(variant) {
      let failure = try #require(throws: Failure.self) { try Kernels(variant) }
      #expect(failure.kind == .unsupported && failure.message.contains(variant.rawValue))
    }
  }

  @Test("An unknown name is refused, and the known ones are listed")
  func unknown() throws {
    let failure = try #require(throws: Failure.self) { try Kernels(named: "sse9") }
    #expect(failure.kind == .invalidArgument && failure.message.contains("sse9"))
    for variant in Kernels.Variant.allCases { #expect(failure.message.contains(variant.rawValue)) }
    #expect(try Kernels(named: "portable").variant == .portable)
  }

  @Test("Portable kernels serve processors without vector kernels; OpenBLAS is taken where it is asked for")
  func order() throws {
    #expect(Kernels.native.last == .portable && !Kernels.native.contains(.openblas))
    #expect(Kernels.available.filter { $0 != .openblas } == Kernels.native)
  }
}
