import Document
import Kinds

/// What a priority level grants, read from its object.
struct PriorityLevel: Sendable, Equatable {
    enum Response: Sendable, Equatable {
        /// Requests never wait.
        case exempt
        /// Without a free seat a request is turned away.
        case reject
        case queue(queues: Int, handSize: Int, lengthLimit: Int)
    }

    var name: String
    var uid: String
    var shares: Int
    var lendablePercent: Int
    /// No limit when nil.
    var borrowingLimitPercent: Int?
    var response: Response

    /// Nil for an object that contradicts itself: such a level counts as missing.
    init?(_ object: Document) {
        name = object.text("metadata", "name") ?? ""
        uid = object.text("metadata", "uid") ?? ""
        let isExempt = object.text("spec", "type") == "Exempt"
        guard isExempt == (name == "exempt") else { return nil }
        guard let grant = object.at("spec", isExempt ? "exempt" : "limited"), grant.isObject else { return nil }
        shares = grant.number("nominalConcurrencyShares") ?? (isExempt ? 0 : 30)
        lendablePercent = grant.number("lendablePercent") ?? 0
        borrowingLimitPercent = grant.number("borrowingLimitPercent")
        if isExempt {
            response = .exempt
        } else if let queuing = grant.at("limitResponse", "queuing"), queuing.isObject {
            let queues = queuing.number("queues") ?? 0
            let hand = queuing.number("handSize") ?? 0
            guard grant.text("limitResponse", "type") == "Queue", hand > 0, hand <= queues else { return nil }
            response = .queue(
                queues: queues, handSize: hand, lengthLimit: queuing.number("queueLengthLimit") ?? 0)
        } else {
            guard grant.text("limitResponse", "type") == "Reject" else { return nil }
            response = .reject
        }
    }

    /// The levels without which some request would have no place, in case their objects are missing.
    static var mandatory: [PriorityLevel] {
        Kinds.bootstrapPriorityLevels.compactMap(PriorityLevel.init)
            .filter { Kinds.mandatoryFlowObjects.contains($0.name) }
    }
}

extension FlowSchema {
    static var mandatory: [FlowSchema] {
        Kinds.bootstrapFlowSchemas.map(FlowSchema.init).filter { Kinds.mandatoryFlowObjects.contains($0.name) }
    }
}
