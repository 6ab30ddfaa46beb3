import CDeflate

/// Compressed bodies.
public enum Gzip {
    /// The fastest level: answers are compressed while somebody waits for them.
    private static let level: Int32 = 1

    /// `pieces` joined and compressed; nil where memory for it cannot be had.
    public static func compress(_ pieces: [[UInt8]]) -> [UInt8]? {
        guard let compressor = libdeflate_alloc_compressor(level) else { return nil }
        defer { libdeflate_free_compressor(compressor) }
        let input = pieces.count == 1 ? pieces[0] : Array(pieces.joined())
        let bound = libdeflate_gzip_compress_bound(compressor, input.count)
        let output = [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
            count = libdeflate_gzip_compress(compressor, input, input.count, buffer.baseAddress, bound)
        }
        return output.isEmpty ? nil : output
    }

    /// What was compressed, which must not be longer than `limit`; nil where it is longer, or no such data.
    public static func decompress(_ bytes: [UInt8], limit: Int) -> [UInt8]? {
        guard let decompressor = libdeflate_alloc_decompressor() else { return nil }
        defer { libdeflate_free_decompressor(decompressor) }
        var size = min(limit, max(1 << 16, bytes.count * 8))
        while true {
            var result = LIBDEFLATE_BAD_DATA
            let output = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                result = libdeflate_gzip_decompress(
                    decompressor, bytes, bytes.count, buffer.baseAddress, size, &count)
                if result != LIBDEFLATE_SUCCESS { count = 0 }
            }
            switch result {
            case LIBDEFLATE_SUCCESS: return output
            case LIBDEFLATE_INSUFFICIENT_SPACE where size < limit: size = min(limit, size * 4)
            default: return nil
            }
        }
    }
}
