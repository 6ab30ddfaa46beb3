import CYAML

extension Document {
    /// Block-style YAML as `kubectl -o yaml` writes it, members in the order they have.
    public var yaml: [UInt8] { YAMLWriter.write([self]) }

    public var yamlText: String { String(decoding: yaml, as: UTF8.self) }

    /// A stream of documents, with `---` between them.
    public static func yaml(stream documents: [Document]) -> [UInt8] { YAMLWriter.write(documents) }
}

/// Drives libyaml's emitter. It fails only where memory ends, so its answers are summed up in one flag.
private struct YAMLWriter {
    private final class Output { var bytes: [UInt8] = [] }

    private let emitter: UnsafeMutablePointer<yaml_emitter_t>
    private var good = true

    static func write(_ documents: [Document]) -> [UInt8] {
        let output = Output()
        let emitter = UnsafeMutablePointer<yaml_emitter_t>.allocate(capacity: 1)
        defer { emitter.deallocate() }
        guard yaml_emitter_initialize(emitter) == 1 else { return [] }
        defer { yaml_emitter_delete(emitter) }
        withExtendedLifetime(output) {
            yaml_emitter_set_output(
                emitter,
                { context, buffer, size in
                    guard let context, let buffer else { return 0 }
                    let output = Unmanaged<Output>.fromOpaque(context).takeUnretainedValue()
                    output.bytes += UnsafeBufferPointer(start: buffer, count: size)
                    return 1
                }, Unmanaged.passUnretained(output).toOpaque())
            yaml_emitter_set_unicode(emitter, 1)
            yaml_emitter_set_width(emitter, -1)
            var writer = YAMLWriter(emitter: emitter)
            writer.stream(documents)
        }
        return output.bytes
    }

    private init(emitter: UnsafeMutablePointer<yaml_emitter_t>) { self.emitter = emitter }

    private mutating func emit(_ make: (inout yaml_event_t) -> Int32) {
        guard good else { return }
        var event = yaml_event_t()
        good = make(&event) == 1 && yaml_emitter_emit(emitter, &event) == 1
    }

    private mutating func stream(_ documents: [Document]) {
        emit { yaml_stream_start_event_initialize(&$0, YAML_UTF8_ENCODING) }
        for (index, document) in documents.enumerated() {
            emit { yaml_document_start_event_initialize(&$0, nil, nil, nil, index == 0 ? 1 : 0) }
            write(document)
            emit { yaml_document_end_event_initialize(&$0, 1) }
        }
        emit { yaml_stream_end_event_initialize(&$0) }
        if good { good = yaml_emitter_flush(emitter) == 1 }
    }

    private mutating func write(_ document: Document) {
        switch document.kind {
        case .object:
            emit { yaml_mapping_start_event_initialize(&$0, nil, nil, 1, YAML_BLOCK_MAPPING_STYLE) }
            for member in document.members {
                write(string: member.key)
                write(member.value)
            }
            emit { yaml_mapping_end_event_initialize(&$0) }
        case .array:
            emit { yaml_sequence_start_event_initialize(&$0, nil, nil, 1, YAML_BLOCK_SEQUENCE_STYLE) }
            for element in document.elements { write(element) }
            emit { yaml_sequence_end_event_initialize(&$0) }
        case .string: write(string: document.string ?? "")
        default: write(scalar: document.jsonText, style: YAML_PLAIN_SCALAR_STYLE)
        }
    }

    /// Several lines as a literal block; quotes where the plain text would read back as something else.
    private mutating func write(string text: String) {
        let style: yaml_scalar_style_t
        if text.utf8.contains(10) {
            style = YAML_LITERAL_SCALAR_STYLE
        } else if YAMLScalar.resolve(text).kind != .string || YAMLScalar.looksLikeBase60(text) || text == "<<" {
            style = YAML_DOUBLE_QUOTED_SCALAR_STYLE
        } else {
            style = YAML_PLAIN_SCALAR_STYLE
        }
        write(scalar: text, style: style)
    }

    private mutating func write(scalar text: String, style: yaml_scalar_style_t) {
        var text = text
        text.withUTF8 { bytes in
            emit { event in
                yaml_scalar_event_initialize(&event, nil, nil, bytes.baseAddress, Int32(bytes.count), 1, 1, style)
            }
        }
    }
}
