import Glibc
import Graph
import Operators
import Parallel
import Tensors

/// Steps over maps that are larger than a core's cache, where each reads what only the one before makes, become one
/// that goes through them by bands of rows (`RowChain`).
extension PlanBuilder {
  private static let cacheByteCount = max(256 << 10, sysconf(Int32(_SC_LEVEL2_CACHE_SIZE)))
  /// Maps of fewer bytes stay in the cache anyway.
  private static var chainedByteCount: Int { cacheByteCount }
  /// Of what the links of a chain hand on, and of the weights of them all, which each band reads.
  private static var bandByteCount: Int { cacheByteCount / 2 }
  private static var weightByteCount: Int { cacheByteCount / 4 }

  /// `drafts` with chains as one step each, none of them across `boundary`, and how many come before that. What lies in
  /// the buffers `kept` is read elsewhere too.
  func chained(_ drafts: [Draft], keeping kept: Set<Int>, boundary: Int = 0) -> (drafts: [Draft], boundary: Int) {
    var readings: [Int: Int] = [:]
    for case .buffer(let buffer)? in drafts.flatMap(\.inputs) { readings[buffer, default: 0] += 1 }
    // By the buffer of the result.
    var makers: [Int: Int] = [:]
    var chains: [Int: (links: [Draft], joined: Draft)] = [:]
    var linked = Set<Int>()
    for (i, draft) in drafts.enumerated() where draft.rows != nil {
      if case .buffer(let buffer)?? = draft.outputs.first { makers[buffer] = i }
      guard case .buffer(let buffer)?? = draft.inputs.first, bufferSizes[buffer] >= Self.chainedByteCount,
        readings[buffer] == 1, !kept.contains(buffer), let before = makers[buffer],
        (before < boundary) == (i < boundary)
      else { continue }
      let links = (chains[before]?.links ?? [drafts[before]]) + [draft]
      guard let joined = joined(links) else { continue }
      linked.insert(before)
      chains[i] = (links, joined)
    }
    let rest = drafts.indices.filter { !linked.contains($0) }
    return (rest.map { chains[$0]?.joined ?? drafts[$0] }, rest.count { $0 < boundary })
  }

  private func joined(_ drafts: [Draft]) -> Draft? {
    let weights = drafts.reduce(0) { sum, draft in
      sum + (draft.request?.inputs.reduce(0) { $0 + ($1?.constant?.byteCount ?? 0) } ?? 0)
    }
    let steps = drafts.compactMap { draft in draft.rows.map { ($0, draft.inputs.count) } }
    guard let last = drafts.last, weights <= Self.weightByteCount,
      let chain = RowChain(steps, cacheBytes: Self.bandByteCount)
    else { return nil }
    var node = last.node
    if !drafts[0].node.name.isEmpty { node.name = "\(drafts[0].node.name) … \(node.name)" }
    var inputs = drafts[0].inputs
    for draft in drafts.dropFirst() { inputs += [nil] + draft.inputs.dropFirst() }
    return Draft(
      node: node, request: nil, run: { chain.run($0) }, inputs: inputs, outputs: last.outputs,
      workspace: chain.workspace(threads: parallel.threads), overwritable: [], shape: last.shape,
      multiplyAdds: drafts.reduce(0) { $0 + $1.multiplyAdds })
  }
}
