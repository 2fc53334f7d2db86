import Graph
import Images
import Parallel
import Tensors

/// ImageDecoder: the pixels [height, width, channels] of an image file whose bytes are fed. PNG, JPEG and WebP files
/// are decoded as images that are fed otherwise. Of other files, and damaged ones, the specification makes no pixels;
/// we differ, and throw.
enum ImageDecoder {
  static let definitions = [OperatorDefinition("ImageDecoder", plan: plan).gradient(.constant)]

  private static func plan(_ request: Request) throws -> Step {
    guard let file = try request.constant(0), file.type == .uint8 else {
      throw Failure(.invalidModel, "input 0 must be the bytes of a file, uint8")
    }
    let format = try request.node.string("pixel_format", default: "RGB")
    guard ["RGB", "BGR", "Grayscale"].contains(format) else {
      throw Failure(.invalidModel, "pixel_format \(quoted(format)) is none of RGB, BGR and Grayscale")
    }
    let image = try Image.decode(file.bytes, .unwatched)
    let channels = format == "Grayscale" ? 1 : 3
    let pixels = try Tensor(.uint8, Shape(checking: [image.height, image.width, channels]))
    let target = pixels.data.assumingMemoryBound(to: UInt8.self)
    image.pixels.withUnsafeBufferPointer { source in
      for i in 0..<image.height * image.width {
        let (red, green, blue) = (source[3 * i], source[3 * i + 1], source[3 * i + 2])
        switch format {
        case "RGB": (target[3 * i], target[3 * i + 1], target[3 * i + 2]) = (red, green, blue)
        case "BGR": (target[3 * i], target[3 * i + 1], target[3 * i + 2]) = (blue, green, red)
        default:
          // Rec. 601 in 1/65536, as Pillow has it.
          let (r, g, b) = (UInt32(red), UInt32(green), UInt32(blue))
          let sum: UInt32 = 19595 * r + 38470 * g + 7471 * b
          target[i] = UInt8((sum + 0x8000) >> 16)
        }
      }
    }
    return Step(constants: [pixels], inputCount: request.inputs.count)
  }
}
