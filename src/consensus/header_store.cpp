#include "consensus/header_store.hpp"

#include "consensus/chain.hpp"

#include <algorithm>

namespace bft::consensus {

void HeaderStore::keep(const Digest& hd, HeaderPtr header, bool asked) {
    Kept& kept = headers_[hd];
    if (kept.header && (kept.asked || !asked)) return;
    kept = {std::move(header), asked};
    auto& arrived = asked ? asked_ : overheard_;
    arrived.push_back(hd);
    const std::size_t most = asked ? std::max(headers_max_, reserved_) : headers_max_;
    for (; arrived.size() > most; arrived.pop_front()) {
        // What was overheard may have been asked for since.
        auto oldest = headers_.find(arrived.front());
        if (oldest != headers_.end() && oldest->second.asked == asked) headers_.erase(oldest);
    }
}

const HeaderPtr* HeaderStore::find(const Digest& hd) const {
    auto found = headers_.find(hd);
    return found == headers_.end() ? nullptr : &found->second.header;
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
