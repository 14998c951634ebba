import GraphRuntime

/// Pictures whose pixels lie in the file as they are.
enum BarePictures {
    /// A BMP of 24 or 32 bits a pixel without compression (Windows' BITMAPINFOHEADER), [H, W, 3]; nil where it is damaged.
    ///
    /// - Throws: ``TensorError`` for the format's other forms.
    static func bmp(_ bytes: [UInt8]) throws -> Tensor? {
        func number(_ start: Int, _ count: Int) -> Int {
            bytes[start..<start + count].reversed().reduce(0) { $0 << 8 | Int($1) }
        }
        guard bytes.count >= 54, number(14, 4) >= 40 else { return nil }
        let (start, bits, compression) = (number(10, 4), number(28, 2), number(30, 4))
        // Rows lie from the bottom up, of a negative height from the top down.
        let rows = Int(Int32(truncatingIfNeeded: number(22, 4)))
        let width = Int(Int32(truncatingIfNeeded: number(18, 4)))
        guard (bits == 24 || bits == 32), compression == 0 else {
            throw TensorError("a BMP of \(bits) bits a pixel with compression \(compression) isn't supported")
        }
        let step = bits / 8
        let height = abs(rows)
        guard let pixels = try PictureDecoding.room(width: width, height: height, channels: 3) else { return nil }
        // Of whole words; below 2⁴⁰, as the number of pixels has a limit.
        let stride = (width * step + 3) / 4 * 4
        guard start >= 54, start <= bytes.count, bytes.count - start >= stride * height else { return nil }
        try pixels.withMutableSpan(of: UInt8.self) { target in
            for row in 0..<height {
                let source = start + (rows < 0 ? row : height - 1 - row) * stride
                for column in 0..<width {
                    let place = 3 * (row * width + column)
                    for channel in 0..<3 { target[place + channel] = bytes[source + column * step + 2 - channel] }
                }
            }
        }
        return try pixels.finish()
    }

    /// A PGM or PPM in binary form of 8 bits a value (netpbm), [H, W, 3]; nil where it is damaged.
    ///
    /// - Throws: ``TensorError`` for values of 16 bits.
    static func pnm(_ bytes: [UInt8]) throws -> Tensor? {
        var position = 2
        var numbers: [Int] = []
        while numbers.count < 3 {
            // Between numbers there are blanks, and comments to the end of their lines.
            while position < bytes.count, isBlank(bytes[position]) || bytes[position] == UInt8(ascii: "#") {
                if isBlank(bytes[position]) {
                    position += 1
                } else {
                    while position < bytes.count, bytes[position] != 10 { position += 1 }
                }
            }
            var value = 0
            let first = position
            while position < bytes.count, (48...57).contains(bytes[position]), value < 1 << 40 {
                value = 10 * value + Int(bytes[position] - 48)
                position += 1
            }
            guard position > first else { return nil }
            numbers.append(value)
        }
        guard position < bytes.count, isBlank(bytes[position]) else { return nil }
        position += 1
        guard numbers[2] == 255 else {
            throw TensorError("a PNM with values up to \(numbers[2]) isn't supported, expected 255")
        }
        let (width, height, step) = (numbers[0], numbers[1], bytes[1] == UInt8(ascii: "6") ? 3 : 1)
        guard let pixels = try PictureDecoding.room(width: width, height: height, channels: 3),
            bytes.count - position >= width * height * step
        else { return nil }
        try pixels.withMutableSpan(of: UInt8.self) { target in
            for pixel in 0..<width * height {
                for channel in 0..<3 {
                    target[3 * pixel + channel] = bytes[position + pixel * step + (step == 3 ? channel : 0)]
                }
            }
        }
        return try pixels.finish()
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }
}
