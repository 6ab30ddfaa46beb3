/// The order of API versions: stable ones first, then betas, then alphas, the higher number first; names of another
/// form come last in the order of the alphabet.
public enum VersionPriority {
    private struct Parts {
        var major: Int
        /// 2 is stable, 1 beta, 0 alpha.
        var maturity: Int
        var minor: Int
    }

    public static func comesBefore(_ a: String, _ b: String) -> Bool {
        switch (parts(a), parts(b)) {
        case (nil, nil): return a < b
        case (nil, _): return false
        case (_, nil): return true
        case (let x?, let y?):
            if x.maturity != y.maturity { return x.maturity > y.maturity }
            if x.major != y.major { return x.major > y.major }
            return x.minor > y.minor
        }
    }

    private static func parts(_ version: String) -> Parts? {
        guard version.hasPrefix("v") else { return nil }
        let rest = version.dropFirst()
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        guard let major = Int(digits), major > 0 else { return nil }
        let tail = rest.dropFirst(digits.count)
        if tail.isEmpty { return Parts(major: major, maturity: 2, minor: 0) }
        for (name, maturity) in [("beta", 1), ("alpha", 0)] where tail.hasPrefix(name) {
            guard let minor = Int(tail.dropFirst(name.count)), minor > 0 else { return nil }
            return Parts(major: major, maturity: maturity, minor: minor)
        }
        return nil
    }
}
