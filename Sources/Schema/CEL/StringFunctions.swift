extension CEL {
    /// Functions of strings. Places count in Unicode scalars.
    enum StringFunctions {
        static func add(to table: inout FunctionTable) {
            table["contains"] = { (a) throws(Failure) in
                let (text, part) = try two("contains", a)
                return .bool(find(Array(part.utf8), in: Array(text.utf8), from: 0) != nil)
            }
            table["startsWith"] = { (a) throws(Failure) in
                let (text, part) = try two("startsWith", a)
                return .bool(text.utf8.starts(with: part.utf8))
            }
            table["endsWith"] = { (a) throws(Failure) in
                let (text, part) = try two("endsWith", a)
                return .bool(text.utf8.reversed().starts(with: part.utf8.reversed()))
            }
            table["matches"] = { (a) throws(Failure) in
                let (text, pattern) = try two("matches", a)
                return .bool(try regex(pattern).firstMatch(in: text) != nil)
            }
            table["find"] = { (a) throws(Failure) in
                let (text, pattern) = try two("find", a)
                return .string(try regex(pattern).firstMatch(in: text) ?? "")
            }
            table["findAll"] = { (a) throws(Failure) in
                let (text, pattern) = try two("findAll", Array(a.prefix(2)))
                var limit: Int?
                if a.count == 3, case .int(let number) = a[2] { limit = number < 0 ? nil : Int(number) }
                return .list(.values(try regex(pattern).matches(in: text, limit: limit).map { .string($0) }))
            }
            table["lowerAscii"] = { (a) throws(Failure) in
                try mapped("lowerAscii", a) { (65...90).contains($0) ? $0 + 32 : $0 }
            }
            table["upperAscii"] = { (a) throws(Failure) in
                try mapped("upperAscii", a) { (97...122).contains($0) ? $0 - 32 : $0 }
            }
            table["trim"] = { (a) throws(Failure) in
                let scalars = Array(try one("trim", a).unicodeScalars)
                let start = scalars.firstIndex { !$0.properties.isWhitespace } ?? scalars.count
                let end = (scalars.lastIndex { !$0.properties.isWhitespace } ?? start - 1) + 1
                return .string(text(scalars[start..<max(start, end)]))
            }
            table["charAt"] = character
            table["substring"] = substring
            table["replace"] = replace
            table["split"] = split
            table["join"] = join
            table["strings.quote"] = { (a) throws(Failure) in .string(quote(try one("strings.quote", a))) }
            table["format"] = { (a) throws(Failure) in
                guard a.count == 2, case .string(let text) = a[0], case .list(let list) = a[1] else {
                    throw .noSuchOverload("format", a)
                }
                return .string(try StringFormat.format(text, list.values))
            }
            table["jsonpatch.escapeKey"] = { (a) throws(Failure) in
                let text = try one("jsonpatch.escapeKey", a)
                var result = ""
                for scalar in text.unicodeScalars {
                    switch scalar {
                    case "~": result += "~0"
                    case "/": result += "~1"
                    default: result.unicodeScalars.append(scalar)
                    }
                }
                return .string(result)
            }
        }

        /// The longest text that a function makes.
        static let longest = 4 * 1024 * 1024
        static let tooLong = Failure("result is longer than \(longest) bytes")

        static func one(_ name: String, _ a: [Value]) throws(Failure) -> String {
            guard a.count == 1, case .string(let text) = a[0] else { throw .noSuchOverload(name, a) }
            return text
        }

        private static func two(_ name: String, _ a: [Value]) throws(Failure) -> (String, String) {
            guard a.count == 2, case .string(let first) = a[0], case .string(let second) = a[1] else {
                throw .noSuchOverload(name, a)
            }
            return (first, second)
        }

        private static func regex(_ pattern: String) throws(Failure) -> Regex {
            do throws(Regex.SyntaxError) {
                return try Regex(pattern)
            } catch {
                throw Failure("error parsing regexp: \(error.message)")
            }
        }

        static func text(_ scalars: some Sequence<Unicode.Scalar>) -> String {
            var view = String.UnicodeScalarView()
            view.append(contentsOf: scalars)
            return String(view)
        }

        private static func mapped(_ name: String, _ a: [Value], _ change: (UInt8) -> UInt8) throws(Failure) -> Value {
            .string(String(decoding: try one(name, a).utf8.map(change), as: UTF8.self))
        }

        static func find<T: Equatable>(_ part: [T], in whole: [T], from start: Int) -> Int? {
            guard part.count <= whole.count, start >= 0 else { return nil }
            var place = start
            while place + part.count <= whole.count {
                var same = 0
                while same < part.count, whole[place + same] == part[same] { same += 1 }
                if same == part.count { return place }
                place += 1
            }
            return nil
        }

        private static func place(_ value: Value, _ name: String, _ a: [Value]) throws(Failure) -> Int {
            guard case .int(let number) = value else { throw .noSuchOverload(name, a) }
            return Int(number)
        }

        private static func outOfRange(_ index: Int) -> Failure { Failure("index out of range: \(index)") }

        private static func character(_ a: [Value]) throws(Failure) -> Value {
            guard a.count == 2, case .string(let text) = a[0] else { throw .noSuchOverload("charAt", a) }
            let scalars = Array(text.unicodeScalars)
            let index = try place(a[1], "charAt", a)
            guard index >= 0, index <= scalars.count else { throw outOfRange(index) }
            return .string(index == scalars.count ? "" : String(scalars[index]))
        }

        static func index(_ a: [Value], last: Bool) throws(Failure) -> Value {
            let name = last ? "lastIndexOf" : "indexOf"
            guard a.count == 2 || a.count == 3, case .string(let text) = a[0], case .string(let part) = a[1] else {
                throw .noSuchOverload(name, a)
            }
            let whole = Array(text.unicodeScalars)
            let sought = Array(part.unicodeScalars)
            let start = a.count == 3 ? try place(a[2], name, a) : last ? whole.count : 0
            if part.isEmpty, a.count == 2 { return .int(Int64(last ? whole.count : 0)) }
            guard start >= 0, start <= whole.count else { throw outOfRange(start) }
            guard last else { return .int(Int64(find(sought, in: whole, from: start) ?? -1)) }
            var from = min(start, whole.count - sought.count)
            while from >= 0 {
                if whole[from..<(from + sought.count)].elementsEqual(sought) { return .int(Int64(from)) }
                from -= 1
            }
            return .int(-1)
        }

        private static func substring(_ a: [Value]) throws(Failure) -> Value {
            guard a.count == 2 || a.count == 3, case .string(let text) = a[0] else {
                throw .noSuchOverload("substring", a)
            }
            let scalars = Array(text.unicodeScalars)
            let start = try place(a[1], "substring", a)
            let end = a.count == 3 ? try place(a[2], "substring", a) : scalars.count
            guard start >= 0, start <= scalars.count else { throw outOfRange(start) }
            guard end >= 0, end <= scalars.count else { throw outOfRange(end) }
            guard start <= end else { throw Failure("invalid substring range. start: \(start), end: \(end)") }
            return .string(self.text(scalars[start..<end]))
        }

        private static func replace(_ a: [Value]) throws(Failure) -> Value {
            guard a.count == 3 || a.count == 4, case .string(let text) = a[0], case .string(let old) = a[1],
                case .string(let new) = a[2]
            else { throw .noSuchOverload("replace", a) }
            var left = a.count == 4 ? try place(a[3], "replace", a) : -1
            let whole = Array(text.unicodeScalars)
            let sought = Array(old.unicodeScalars)
            var result: [Unicode.Scalar] = []
            var here = 0
            while left != 0 {
                if result.count > longest { throw tooLong }
                if sought.isEmpty {
                    // Nothing is found before every character and at the end.
                    result += Array(new.unicodeScalars)
                    left -= 1
                    guard here < whole.count else { break }
                    result.append(whole[here])
                    here += 1
                } else {
                    guard let found = find(sought, in: whole, from: here) else { break }
                    result += whole[here..<found]
                    result += Array(new.unicodeScalars)
                    here = found + sought.count
                    left -= 1
                }
            }
            return .string(self.text(result + whole[min(here, whole.count)...]))
        }

        private static func split(_ a: [Value]) throws(Failure) -> Value {
            guard a.count == 2 || a.count == 3, case .string(let text) = a[0], case .string(let mark) = a[1] else {
                throw .noSuchOverload("split", a)
            }
            let limit = a.count == 3 ? try place(a[2], "split", a) : -1
            if limit == 0 { return .list(.values([])) }
            let whole = Array(text.unicodeScalars)
            let sought = Array(mark.unicodeScalars)
            var parts: [Value] = []
            var here = 0
            while limit < 0 || parts.count < limit - 1 {
                if sought.isEmpty {
                    guard here < whole.count - 1 else { break }
                    parts.append(.string(String(whole[here])))
                    here += 1
                } else {
                    guard let found = find(sought, in: whole, from: here) else { break }
                    parts.append(.string(self.text(whole[here..<found])))
                    here = found + sought.count
                }
            }
            if !sought.isEmpty || here < whole.count { parts.append(.string(self.text(whole[here...]))) }
            return .list(.values(parts))
        }

        private static func join(_ a: [Value]) throws(Failure) -> Value {
            guard a.count == 1 || a.count == 2, case .list(let list) = a[0] else { throw .noSuchOverload("join", a) }
            var separator = ""
            if a.count == 2 {
                guard case .string(let text) = a[1] else { throw .noSuchOverload("join", a) }
                separator = text
            }
            var parts: [String] = []
            var size = 0
            for value in list.values {
                guard case .string(let text) = value else { throw .noSuchOverload }
                parts.append(text)
                size += text.utf8.count + separator.utf8.count
                if size > longest { throw tooLong }
            }
            return .string(parts.joined(separator: separator))
        }

        private static func quote(_ text: String) -> String {
            var result = "\""
            for scalar in text.unicodeScalars {
                switch scalar {
                case "\u{7}": result += "\\a"
                case "\u{8}": result += "\\b"
                case "\u{c}": result += "\\f"
                case "\n": result += "\\n"
                case "\r": result += "\\r"
                case "\t": result += "\\t"
                case "\u{b}": result += "\\v"
                case "\\": result += "\\\\"
                case "\"": result += "\\\""
                default: result.unicodeScalars.append(scalar)
                }
            }
            return result + "\""
        }
    }
}
