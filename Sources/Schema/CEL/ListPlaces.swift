extension CEL {
    /// Where the elements of a set or keyed list stand, by what tells them apart. Looking one up takes no longer for a
    /// long list than for a short one.
    struct ListPlaces {
        private let semantics: DeclaredType.ListSemantics
        private var places: [[Key?]: Int] = [:]
        /// Elements that have no such key: they are compared one by one, and there are few of them.
        private var others: [(value: Value, place: Int)] = []

        init(_ values: [Value], _ semantics: DeclaredType.ListSemantics) {
            self.semantics = semantics
            for (place, value) in values.enumerated() { add(value, at: place) }
        }

        mutating func add(_ value: Value, at place: Int) {
            if let key = key(of: value) { places[key] = place } else { others.append((value, place)) }
        }

        func find(_ value: Value) -> Int? {
            if let key = key(of: value) { return places[key] }
            return others.first { $0.value.equals(value) }?.place
        }

        private func key(of value: Value) -> [Key?]? {
            switch semantics {
            case .map(let names):
                guard case .map(let map) = value else { return nil }
                return names.map { map.find($0).flatMap { Key($0) } }
            case .set, .sequence: return Key(value).map { [$0] }
            }
        }
    }
}
