import APIServer
import Basics
import Controllers

/// Reads settings of the control plane's parts, which a file may spell in several places.
enum ComponentReader {
    /// A list, or kube-apiserver's flag: names with commas.
    static func plugins(_ field: ConfigurationField) throws(UsageError) -> [String] {
        let names = field.value.isArray ? try field.strings("names") : words(try field.string())
        let known = AdmissionConfiguration.knownNames
        if let unknown = names.first(where: { !known.contains($0) }) {
            throw field.refuse(
                "there is no admission plug-in '\(unknown)'", allowed: "choose among \(known.joined(separator: ", "))")
        }
        return names
    }

    static func certificateNames(_ field: ConfigurationField) throws(UsageError) -> [String] {
        let names = try field.strings("names and addresses")
        for name in names
        where name.isEmpty
            || name.contains(where: { $0.isWhitespace || $0 == "," || $0 == ":" })
                && IPAddress(name) == nil
        {
            throw field.refuse("'\(name)' is neither a name nor an address", allowed: "write it like host.example.com")
        }
        return names
    }

    static func controllers(_ field: ConfigurationField) throws(UsageError) -> [String] {
        let names = words(try field.string())
        do { _ = try ControllerSelection(names) } catch {
            throw field.refuse("\(error)", allowed: "name controllers as kube-controller-manager does")
        }
        return names
    }

    /// A flag's value, which kubeadm has as a string.
    static func flag(_ field: ConfigurationField) throws(UsageError) -> Bool {
        switch try field.word() {
        case "true": return true
        case "false": return false
        default: throw field.refuse("\(field.value.jsonText) is neither true nor false", allowed: "choose one")
        }
    }

    static func words(_ text: String) -> [String] {
        text.split(separator: ",").map { word in
            String(word.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
    }
}
