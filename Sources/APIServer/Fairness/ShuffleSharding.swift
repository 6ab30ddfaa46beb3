/// Deals each flow a small hand of queues. Two flows rarely hold the same hand, so one that floods its queues leaves
/// every other flow a queue that it does not share.
enum ShuffleSharding {
    /// Calls `use` with distinct queues below `deck`, the same ones whenever the hash is the same.
    ///
    /// The hash is read as a number in the mixed base deck, deck - 1, …; each digit picks one of the cards left.
    static func deal(_ hash: UInt64, deck: Int, hand: Int, _ use: (Int) -> Void) {
        var rest = hash
        withUnsafeTemporaryAllocation(of: Int.self, capacity: hand) { dealt in
            for index in 0..<hand {
                let (quotient, card) = rest.quotientAndRemainder(dividingBy: UInt64(deck - index))
                rest = quotient
                // The card counts among those left: step over the dealt ones, which are kept in order.
                var queue = Int(card)
                var place = 0
                while place < index, dealt[place] <= queue {
                    queue += 1
                    place += 1
                }
                var shifted = index
                while shifted > place {
                    dealt.initializeElement(at: shifted, to: dealt[shifted - 1])
                    shifted -= 1
                }
                dealt.initializeElement(at: place, to: queue)
                use(queue)
            }
        }
    }

    /// A number for a flow of a schema that is the same in every process.
    static func hash(schema: String, flow: String) -> UInt64 {
        var value: UInt64 = 0xcbf2_9ce4_8422_2325
        func mix(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
        for byte in schema.utf8 { mix(byte) }
        mix(0)
        for byte in flow.utf8 { mix(byte) }
        // The plain hash mixes its high bits badly, and the hand is dealt from all of them.
        value ^= value >> 33
        value = value &* 0xff51_afd7_ed55_8ccd
        value ^= value >> 33
        value = value &* 0xc4ce_b9fe_1a85_ec53
        return value ^ (value >> 33)
    }
}
