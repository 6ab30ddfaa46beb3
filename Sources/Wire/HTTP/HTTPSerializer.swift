/// Heads as bytes.
public enum HTTPSerializer {
    public static func request(_ method: String, _ target: String, _ headers: Headers) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(512)
        append(method, to: &out)
        out.append(32)
        append(target, to: &out)
        out += " HTTP/1.1\r\n".utf8
        append(headers, to: &out)
        return out
    }

    public static func response(_ status: Int, _ headers: Headers, extra: String = "") -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(512)
        out += "HTTP/1.1 ".utf8
        out += String(status).utf8
        out.append(32)
        out += reason(status).utf8
        out += "\r\n".utf8
        out += extra.utf8
        append(headers, to: &out)
        return out
    }

    private static func append(_ headers: Headers, to out: inout [UInt8]) {
        for field in headers.fields {
            append(field.name, to: &out)
            out += ": ".utf8
            append(field.value, to: &out)
            out += "\r\n".utf8
        }
        out += "\r\n".utf8
    }

    /// A line break inside a value would begin a field, or a message, of the value's author.
    private static func append(_ text: String, to out: inout [UInt8]) {
        let first = out.count
        out += text.utf8
        for index in first..<out.count where out[index] == 13 || out[index] == 10 || out[index] == 0 {
            out[index] = 32
        }
    }

    public static func chunkHead(_ size: Int) -> [UInt8] {
        var out = Array(String(size, radix: 16).utf8)
        out.append(13)
        out.append(10)
        return out
    }

    public static func reason(_ status: Int) -> String {
        switch status {
        case 100: "Continue"
        case 101: "Switching Protocols"
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 204: "No Content"
        case 206: "Partial Content"
        case 301: "Moved Permanently"
        case 302: "Found"
        case 303: "See Other"
        case 304: "Not Modified"
        case 307: "Temporary Redirect"
        case 308: "Permanent Redirect"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 406: "Not Acceptable"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 410: "Gone"
        case 411: "Length Required"
        case 412: "Precondition Failed"
        case 413: "Request Entity Too Large"
        case 414: "Request URI Too Long"
        case 415: "Unsupported Media Type"
        case 416: "Range Not Satisfiable"
        case 417: "Expectation Failed"
        case 422: "Unprocessable Entity"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: "Status"
        }
    }
}
