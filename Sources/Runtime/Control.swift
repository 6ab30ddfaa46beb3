import CLinux
import Glibc
import Linux

/// One connection to a supervisor, blocking. It carries one request (see `stage.h`).
final class Control: Sendable {
    private let socket: Int32
    /// The supervisor's pid as this pid namespace sees it; 0 where it does not.
    let supervisorPID: Int32

    static let socketName = "control.sock"

    /// Nil when nobody listens (any more).
    static func connect(stateDirectory: String) throws -> Control? {
        let directory = open(stateDirectory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw SystemError("open", stateDirectory, errno: errno)
        }
        defer { close(directory) }
        let socket = lab_control_connect(directory, socketName)
        if socket >= 0 { return Control(socket: socket) }
        if errno == ENOENT || errno == ECONNREFUSED { return nil }
        throw SystemError("connect", stateDirectory + "/" + socketName, errno: errno)
    }

    private init(socket: Int32) {
        self.socket = socket
        supervisorPID = lab_peer_pid(socket)
    }

    deinit { close(socket) }

    /// Makes a pending and every later `receive` return the end.
    func interrupt() { shutdown(socket, Int32(SHUT_RDWR)) }

    func send(_ request: lab_request, _ fields: (inout Payload) -> Void = { _ in }, descriptors: [Int32] = []) throws {
        var payload = Payload()
        payload.code(request.rawValue)
        fields(&payload)
        // Towards a supervisor that has just died this fails; then the answer is the end, too.
        guard
            lab_control_send(socket, payload.bytes, payload.bytes.count, descriptors, descriptors.count) == 0
                || errno == EPIPE
                || errno == ECONNRESET
        else { throw SystemError("send to the supervisor", "", errno: errno) }
    }

    enum Answer {
        case done
        case failed(step: UInt32, errno: Int32, detail: String)
        case status(ProcessStatus)
        case end
    }

    /// Longer than any start that makes progress; a hung network mount must not hang the caller for good.
    private static let patienceMilliseconds: Int32 = 120_000

    /// Nil once the supervisor has closed the connection, or died.
    func receive(patient: Bool = false) throws -> Answer? { try receiveAttached(patient: patient)?.answer }

    /// The answer, and the descriptor that came with it.
    func receiveAttached(patient: Bool = false) throws -> (answer: Answer, attached: Descriptor?)? {
        if !patient {
            var request = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            var result = poll(&request, 1, Self.patienceMilliseconds)
            while result < 0, errno == EINTR { result = poll(&request, 1, Self.patienceMilliseconds) }
            guard result > 0 else { throw SystemError("wait for the supervisor", "", errno: ETIMEDOUT) }
        }
        var buffer = [UInt8](repeating: 0, count: 4096)
        var sender: pid_t = 0
        var number: Int32 = -1
        let count = lab_control_receive(socket, &buffer, buffer.count, &sender, &number)
        let attached = number >= 0 ? Descriptor(number) : nil
        if count == 0 || (count < 0 && errno == ECONNRESET) { return nil }
        guard count > 0 else { throw SystemError("receive from the supervisor", "", errno: errno) }
        guard let answer = Self.decode(Array(buffer.prefix(count)), sender: sender) else {
            throw SystemError("receive from the supervisor", "malformed answer", errno: EBADMSG)
        }
        return (answer, attached)
    }

    private static func decode(_ bytes: [UInt8], sender: pid_t) -> Answer? {
        var reader = PayloadReader(bytes)
        switch reader.code() {
        case LAB_ANSWER_DONE.rawValue: return .done
        case LAB_ANSWER_END.rawValue: return .end
        case LAB_ANSWER_STATUS.rawValue: return status(&reader, sender: sender).map(Answer.status)
        case LAB_ANSWER_FAILED.rawValue:
            guard let step = reader.number(), let errno = reader.number(), let detail = reader.text() else {
                return nil
            }
            return .failed(
                step: UInt32(truncatingIfNeeded: step), errno: Int32(truncatingIfNeeded: errno), detail: detail)
        default: return nil
        }
    }

    private static func status(_ reader: inout PayloadReader, sender: pid_t) -> ProcessStatus? {
        guard let id = reader.text(), let state = reader.number(), let code = reader.number(),
            let signal = reader.number(), let until = reader.number(), let outOfMemory = reader.number(),
            let started = reader.number(), let restarts = reader.number(), reader.number() != nil,
            reader.number() != nil
        else { return nil }
        let value: ProcessStatus.State
        switch lab_state(UInt32(truncatingIfNeeded: state)) {
        case LAB_STATE_RUNNING: value = .running(pid: sender)
        case LAB_STATE_EXITED:
            value = .exited(
                code: Int32(truncatingIfNeeded: code), signal: signal == 0 ? nil : Int32(truncatingIfNeeded: signal),
                atNanoseconds: until, outOfMemory: outOfMemory != 0)
        case LAB_STATE_BACKING_OFF: value = .backingOff(untilNanoseconds: until)
        default: return nil
        }
        return ProcessStatus(id: id, state: value, startedAtNanoseconds: started, restarts: Int(restarts))
    }
}
