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

  @Test("OpenBLAS serves processors without native kernels")
  func order() throws {
    let native = Kernels.available.filter { $0 == .avx2 || $0 == .avx512 }
    #expect(Kernels.available == native + [.openblas, .portable])
  }
}
