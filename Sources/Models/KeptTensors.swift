package import Tensors

/// What was read of a file beside the model's, kept for the next call.
package struct KeptTensors: Sendable {
  /// Its size, and when it was written: another where it is another file.
  package let stamp: String
  package let tensors: [(name: String, tensor: Tensor)]
  /// SHA-256; nil where it holds nothing.
  package let digest: String?

  package init(stamp: String, tensors: [(name: String, tensor: Tensor)], digest: String?) {
    (self.stamp, self.tensors, self.digest) = (stamp, tensors, digest)
  }
}
