#include "consensus/header_store.hpp"

#include "consensus/chain.hpp"

#include <algorithm>

namespace bft::consensus {

void HeaderStore::keep(const Digest& hd, HeaderPtr header) {
    if (!headers_.emplace(hd, std::move(header)).second) return;
    arrived_.push_back(hd);
    while (arrived_.size() > std::max(headers_max_, reserved_)) {
        headers_.erase(arrived_.front());
        arrived_.pop_front();
    }
}

const HeaderPtr* HeaderStore::find(const Digest& hd) const {
    auto found = headers_.find(hd);
    return found == headers_.end() ? nullptr : &found->second;
}

HeaderStore::Found HeaderStore::segment(Slot from, Slot to, const Digest& hd) const {
    Segment segment;
    segment.below = hd;
    for (Slot slot = to; slot > from; slot = Slot(slot.value - 1)) {
        const HeaderPtr* header = find(segment.below);
        if (header == nullptr) return {std::nullopt, Missing{slot, segment.below}, false};
        if ((*header)->slot != slot) return {std::nullopt, std::nullopt, true};
        segment.headers.push_back(*header);
        segment.digests.push_back(segment.below);
        segment.below = (*header)->previous;
    }
    std::reverse(segment.headers.begin(), segment.headers.end());
    std::reverse(segment.digests.begin(), segment.digests.end());
    return {std::move(segment), std::nullopt, false};
}

std::optional<std::string> why_invalid(const Membership& membership, Slot slot, const Digest& hd,
                                       UnixMillis ts_ms, const HeaderStore::Segment& segment) {
    Slot at = slot;
    Digest previous = hd;
    for (std::size_t i = 0; i < segment.headers.size(); ++i) {
        const Header& header = *segment.headers[i];
        if (auto why = why_invalid_header(membership, header, at, previous, ts_ms)) return why;
        at = header.slot;
        previous = segment.digests[i];
        ts_ms = header.ts_ms;
    }
    return std::nullopt;
}

}  // namespace bft::consensus
