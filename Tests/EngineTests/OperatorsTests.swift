import Glibc
import Tensors
import Testing

/// ONNX's own node tests, from the file in Fixtures or from the one that `LIMPID_OPERATOR_CASES` names.
private let cases: [OperatorCase] = {
  let folder = String(#filePath.dropLast("OperatorsTests.swift".count))
  let path = getenv("LIMPID_OPERATOR_CASES").map { String(cString: $0) } ?? folder + "Fixtures/operators.bin"
  return (try? OperatorCaseFile.cases(at: path)) ?? []
}()

@Test func thereAreOperatorCases() { #expect(cases.count > 100) }

@Test(arguments: OperatorCase.Feeding.allCases)
func operatorsGiveTheExpectedResults(feeding: OperatorCase.Feeding) {
  for one in cases {
    do {
      let problem = try one.check(feeding)
      #expect(problem == nil, "\(one.name), \(feeding)")
    } catch {
      Issue.record("\(one.name), \(feeding): \(error)")
    }
  }
}
