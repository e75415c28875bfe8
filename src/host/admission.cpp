#include "host/admission.hpp"

#include "catalog/value.hpp"

#include <string>

namespace bft::host {

using consensus::Rejected;

namespace {

std::string list(const std::vector<PartitionId>& parts) {
    std::string text;
    for (PartitionId part : parts) text += (text.empty() ? "" : ", ") + std::to_string(part.value);
    return text;
}

}  // namespace

std::optional<Rejected> refuse(const catalog::Application& application,
                               const consensus::Request& request) {
    // A configuration: its admins signed it, and the order judges the rest.
    if (request.id.home.value == 0) return std::nullopt;
    auto call = catalog::decode_call(request.op);
    if (!call) return Rejected{request.id, Rejected::Reason::malformed, call.error().what};
    if (auto checked = application.check_call(*call); !checked) {
        auto reason = checked.error().code == Errc::not_found ? Rejected::Reason::unknown_procedure
                                                              : Rejected::Reason::bad_arguments;
        return Rejected{request.id, reason, checked.error().what};
    }
    std::vector<PartitionId> touched = application.partitions_of(*call);
    if (touched != request.parts)
        return Rejected{request.id, Rejected::Reason::wrong_partitions,
                        "this call of " + call->procedure + " touches the partitions " +
                            list(touched) + ", but the request declares " + list(request.parts)};
    return std::nullopt;
}

Rejected refusal(const consensus::RequestId& id, const Error& why) {
    Rejected::Reason reason = Rejected::Reason::malformed;
    if (why.code == Errc::not_found) reason = Rejected::Reason::unknown_partition;
    if (why.code == Errc::refused) reason = Rejected::Reason::bad_signature;
    return {id, reason, why.what};
}

}  // namespace bft::host
