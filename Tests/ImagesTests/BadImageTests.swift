// SPDX-License-Identifier: Apache-2.0
import Glibc
import Images
import Tensors
import Testing

private let files = [
  "adam7_61x47.png", "gray16_61x47.png", "palette_2bit_300x260.png", "rgb_5x7_tiny.png", "cmyk_300x260.jpg",
  "gray_400x300.jpg", "progressive_300x300_422.jpg", "lossy_61x47.webp", "lossless_alpha_61x47.webp",
]

/// A header of a PNG with a right checksum, one chunk of data and the end.
private func png(_ width: UInt32, _ height: UInt32, depth: UInt8 = 8, color: UInt8 = 2, data: [UInt8])
  -> [UInt8]
{
  func word(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
  func chunk(_ kind: String, _ data: [UInt8]) -> [UInt8] {
    let body = Array(kind.utf8) + data
    let crc = ~body.reduce(~0 as UInt32) { crc, byte in
      (0..<8).reduce(crc ^ UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1
      }
    }
    return word(UInt32(data.count)) + body + word(crc)
  }
  return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    + chunk("IHDR", word(width) + word(height) + [depth, color, 0, 0, 0]) + chunk("IDAT", data)
    + chunk("IEND", [])
}

/// What this thread has computed so far, in seconds, whatever else the machine does.
private func ownSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
}

/// `body` must fail as an image does, and not take long over it: the work is that of the shortest of several runs. (A
/// virtual machine's host may stop it in one, and that counts as its own time.)
private func expectRefusal(_ what: String, _ body: () throws -> Void) {
  var least = Double.infinity
  // After a short one there is nothing to be learnt.
  for _ in 0..<3 where least >= 1 {
    let start = ownSeconds()
    let failed = failure(of: body)
    least = min(least, ownSeconds() - start)
    #expect(
      failed?.kind == .invalidImage || failed?.kind == .unsupported, "\(what): \(String(describing: failed))")
    #expect(failed?.message.isEmpty == false)
  }
  #expect(least < 1, "\(what)")
}

@Suite struct BadImageTests {
  @Test(arguments: files) func truncatedFilesAreRefusedWhereverTheyEnd(_ name: String) throws {
    let bytes = try Fixtures.bytes(name)
    let ends =
      Array(0..<min(64, bytes.count)) + stride(from: 64, to: bytes.count, by: max(1, bytes.count / 150))
    for end in ends + [bytes.count - 1] {
      expectRefusal("\(name) cut at \(end)") { _ = try decode(Array(bytes.prefix(end))) }
    }
  }

  @Test func bytesThatAreNoImageAreRefused() {
    for seed in 0..<200 as Range<UInt32> {
      let bytes = noise(seed, Int(seed) * 7)
      expectRefusal("noise \(seed)") { _ = try decode(bytes) }
      expectRefusal("PNG noise \(seed)") {
        _ = try decode([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + bytes)
      }
      expectRefusal("JPEG noise \(seed)") { _ = try decode([0xFF, 0xD8, 0xFF] + bytes) }
    }
  }

  @Test(
    arguments: [(65_535, 2_000), (65_535, 65_535), (1 << 20, 1), (0, 5), (5, 0), (1 << 31, 1)]
      as [(UInt32, UInt32)])
  func aPNGHeaderThatClaimsWhatTheFileCannotHoldIsRefused(_ width: UInt32, _ height: UInt32) {
    expectRefusal("\(width)x\(height)") {
      _ = try decode(png(width, height, data: [0x78, 0x9C, 3, 0, 0, 0, 0, 1]))
    }
  }

  @Test func aJPEGHeaderThatClaimsWhatTheFileCannotHoldIsRefused() throws {
    let bytes = try Fixtures.bytes("progressive_300x300_422.jpg")
    // SOF2: marker, length (2), precision (1), height (2), width (2).
    let frame = try #require((0..<bytes.count - 9).first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xC2 })
    for (height, width) in [(65_500, 2_000), (65_535, 65_535), (0, 300), (300, 0)] {
      var lying = bytes
      lying.replaceSubrange(
        frame + 5..<frame + 9, with: [height >> 8, height & 255, width >> 8, width & 255].map(UInt8.init))
      expectRefusal("\(width)x\(height)") { _ = try decode(lying) }
    }
  }

  @Test func messagesTellWhatIsWrong() throws {
    #expect(failure { _ = try decode([]) }?.message.contains("empty") == true)
    #expect(failure { _ = try decode(Array("GIF89a".utf8)) }?.message.contains("a GIF image") == true)
    #expect(failure { _ = try decode(png(60_000, 2_000, data: [0])) }?.message.contains("60000x2000") == true)
    var damaged = try Fixtures.bytes("rgb_5x7_tiny.png")
    // The header's checksum.
    damaged[32] ^= 1
    #expect(failure { _ = try decode(damaged) }?.message.contains("CRC") == true)
  }

  @Test func moreScansThanAnyoneNeedsAreRefused() throws {
    let bytes = try Fixtures.bytes("progressive_300x300_422.jpg")
    // The last scan, from its marker to the end of the image, repeated.
    let scan = try #require((0..<bytes.count - 1).last { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xDA })
    let once = Array(bytes[scan..<bytes.count - 2])
    let bomb = bytes.dropLast(2) + (0..<200).flatMap { _ in once } + bytes.suffix(2)
    expectRefusal("bomb") { _ = try decode(Array(bomb)) }
  }

  /// Nothing to compare with: that no mutation crashes, hangs or gives pixels of a wrong number is what is
  /// tested.
  @Test(arguments: files) func mutatedFilesGiveAnImageOrAFailure(_ name: String) throws {
    let bytes = try Fixtures.bytes(name)
    var random = noise(UInt32(bytes.count), 12_000).makeIterator()
    func next(_ bound: Int) -> Int {
      (0..<3).reduce(0) { sum, _ in sum << 8 | Int(random.next() ?? 0) } % bound
    }
    for _ in 0..<100 {
      var mutated = bytes
      for _ in 0...next(3) {
        // Half of the mutations hit the headers.
        let place = next(2) == 0 ? next(min(700, bytes.count)) : next(bytes.count)
        mutated[place] = UInt8(next(256))
      }
      do {
        let image = try decode(mutated)
        #expect(image.pixels.count == image.width * image.height * 3)
      } catch { #expect((error as? Failure)?.message.isEmpty == false) }
    }
  }
}
