public import Graph
import Tensors

/// How the gradients of a node's inputs come from those of its outputs (reverse mode), written as nodes.
///
/// A rule adds nodes to an `Emitter`, in which the operands of the node have their types and shapes. Rules read the
/// node's results rather than its inputs where they can choose: the forward pass then stays fused.
public enum GradientRule: Sendable {
  /// For each input its gradient, given those of the outputs; nil where an input has none (indices, shapes), and for
  /// outputs that the target does not depend on. A gradient has the shape of its value.
  case emitted(@Sendable (inout Emitter, Node, [ValueID?]) throws -> [ValueID?])

  /// The node written out in operators that have rules of their own: computed again for the backward pass, and
  /// differentiated. For operators whose inner values are many (normalisations, recurrent cells, attention).
  case decomposed(@Sendable (inout Emitter, Node) throws -> [ValueID?])

  /// The results count as constants, whatever they are made of.
  case constant

  /// The gradient of an operator with one differentiable input, its first, and one output.
  static func unary(_ emit: @escaping @Sendable (inout Emitter, Node, ValueID) throws -> ValueID) -> GradientRule {
    .emitted { e, node, gradients in
      guard let gradient = gradients.first ?? nil else { return [] }
      for i in node.inputs.indices.dropFirst() where e.isActive(node, i) {
        guard try e.operand(e.input(node, i)).type != .float32 else {
          throw Failure(.unsupported, "the gradient by its input \(i) is not supported")
        }
      }
      return [try emit(&e, node, gradient)]
    }
  }
}
