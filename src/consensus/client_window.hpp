// Which requests of one (home, client) were delivered: a window of W_c sequence numbers that moves
// with the client's ack_low (C4, D9). The owner group and every database keep the same one.
#pragma once

#include "base/ids.hpp"

#include <bitset>
#include <cstddef>

namespace bft::consensus {

class ClientWindow {
public:
    static constexpr std::size_t size = 256;  ///< W_c

    ClientWindow() = default;
    ClientWindow(ClientSeq low, const std::bitset<size>& bits) : low_(low), seen_(bits) {}

    /// Moves to `ack_low` if that is further, then takes cseq in. False: a duplicate (taken before,
    /// or below the window). Requires ack_low <= cseq < ack_low + size, which the Verifier checks.
    bool insert(ClientSeq cseq, ClientSeq ack_low) {
        advance(ack_low);
        if (cseq < low_) return false;
        std::size_t bit = cseq - low_;
        if (bit >= size) return false;  // cannot be: cseq < ack_low + size <= low + size
        if (seen_[bit]) return false;
        seen_.set(bit);
        return true;
    }

    /// Would insert() call this a duplicate?
    [[nodiscard]] bool contains(ClientSeq cseq) const {
        if (cseq < low_) return true;
        std::size_t bit = cseq - low_;
        return bit < size && seen_[bit];
    }

    [[nodiscard]] ClientSeq low() const { return low_; }
    [[nodiscard]] const std::bitset<size>& bits() const { return seen_; }
    bool operator==(const ClientWindow&) const = default;

private:
    void advance(ClientSeq ack_low) {
        if (ack_low <= low_) return;
        std::uint64_t shift = ack_low - low_;
        if (shift >= size)
            seen_.reset();
        else
            seen_ >>= shift;
        low_ = ack_low;
    }

    ClientSeq low_{};
    std::bitset<size> seen_;  // bit i: low + i
};

}  // namespace bft::consensus
