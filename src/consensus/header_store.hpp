// Headers by digest, of any chain: what VIEW-CHANGEs and NEW-VIEWs refer to. A digest stands for
// its whole prefix, so whatever is found by walking down from one is certain.
#pragma once

#include "consensus/membership.hpp"
#include "consensus/messages.hpp"

#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace bft::consensus {

class HeaderStore {
public:
    /// `headers_max` bounds what is kept, of each sort; the oldest that came go first.
    explicit HeaderStore(std::size_t headers_max = 2048) : headers_max_(headers_max) {}

    /// Keeps at least so many that were asked for until release(): for long segments, of a laggard
    /// or of groups that are far apart.
    void reserve(std::size_t headers) { reserved_ = std::max(reserved_, headers); }
    void release() { reserved_ = 0; }

    /// Something waits for it. `hd` must be the header's digest.
    void keep(const Digest& hd, HeaderPtr header) { keep(hd, std::move(header), true); }
    /// It came unasked, and pushes out only what did, too: a primary that certifies on and on in a
    /// view that is over holds up no other view.
    void overhear(const Digest& hd, HeaderPtr header) { keep(hd, std::move(header), false); }
    [[nodiscard]] const HeaderPtr* find(const Digest& hd) const;

    /// A part of a chain: headers of (from, to], by slot, with their digests.
    struct Segment {
        std::vector<HeaderPtr> headers;
        std::vector<Digest> digests;
        Digest below;  ///< digest that the first one's `previous` names, or `hd` when empty
    };
    /// What is missing of a segment.
    struct Missing {
        Slot to{};
        Digest hd;
    };
    /// The headers of (from, to] down from `hd`. On failure `missing` says which to fetch; a
    /// segment whose slots do not count down is `broken`.
    struct Found {
        std::optional<Segment> segment;
        std::optional<Missing> missing;
        bool broken = false;
    };
    [[nodiscard]] Found segment(Slot from, Slot to, const Digest& hd) const;

private:
    struct Kept {
        HeaderPtr header;
        bool asked = false;
    };
    void keep(const Digest& hd, HeaderPtr header, bool asked);

    std::size_t headers_max_;
    std::size_t reserved_ = 0;
    std::unordered_map<Digest, Kept, DigestHash> headers_;
    std::deque<Digest> asked_, overheard_;  ///< as they came
};

/// ValidHeader (section 3.2, V1-V5) of every header of a segment after (slot, hd, ts): why not, or
/// nullopt.
[[nodiscard]] std::optional<std::string> why_invalid(const Membership& membership, Slot slot,
                                                     const Digest& hd, UnixMillis ts_ms,
                                                     const HeaderStore::Segment& segment);

}  // namespace bft::consensus
