// SPDX-License-Identifier: Apache-2.0
import CLimpid
import Tensors

/// A struct of the header that begins with its own size, by which callers tell which version of it they were
/// compiled with: fields may be added at the end. It has no padding, so every byte belongs to a field.
protocol Sized {
  var struct_size: Int { get set }
  init()
}

extension limpid_image_options: Sized {}
extension limpid_model_options: Sized {}
extension limpid_model_info: Sized {}
extension limpid_method_info: Sized {}
extension limpid_parameter_info: Sized {}
extension limpid_run_options: Sized {}
extension limpid_render_options: Sized {}
extension limpid_value_info: Sized {}
extension limpid_metric_info: Sized {}
extension limpid_measure_options: Sized {}
extension limpid_evaluation_options: Sized {}

/// No version of a struct gets larger: beyond it, `struct_size` was never set.
private let largestStruct = 4096

extension Sized {
  /// The caller's struct with zeros for what its version does not have; all zeros for NULL.
  /// Throws `unsupported` where it sets fields that this version does not know.
  static func read(_ pointer: UnsafePointer<Self>?) throws -> Self {
    var result = Self()
    guard let pointer else { return result }
    let size = try checkedSize(pointer)
    let known = min(size, MemoryLayout<Self>.size)
    withUnsafeMutableBytes(of: &result) { $0.baseAddress?.copyMemory(from: pointer, byteCount: known) }
    guard UnsafeRawBufferPointer(start: pointer, count: size)[known...].allSatisfy({ $0 == 0 }) else {
      throw Failure(
        .unsupported, "\(Self.self) sets fields that Limpid \(version) does not know; use a newer library")
    }
    return result
  }

  /// Fills as much of the caller's struct as its version has, zeros beyond what this one has; its size stays.
  func write(to pointer: UnsafeMutablePointer<Self>?, _ name: StaticString) throws {
    let pointer = try required(pointer, name)
    let size = try Self.checkedSize(pointer)
    var copy = self
    copy.struct_size = size
    let target = UnsafeMutableRawBufferPointer(start: pointer, count: size)
    withUnsafeBytes(of: &copy) { source in
      for i in target.indices { target[i] = i < source.count ? source[i] : 0 }
    }
  }

  private static func checkedSize(_ pointer: UnsafePointer<Self>) throws -> Int {
    let size = UnsafeRawPointer(pointer).load(as: Int.self)
    guard size >= MemoryLayout<Int>.size, size <= largestStruct else {
      throw Failure(
        .invalidArgument, "struct_size of \(Self.self) is \(size); set it to sizeof(\(Self.self))")
    }
    return size
  }
}
