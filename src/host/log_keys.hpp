// What the durable log's keys look like. Numbers are big-endian, so that a scan visits counters and
// slots in order.
#pragma once

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "consensus/messages.hpp"

#include <optional>

namespace bft::host::keys {

enum class Kind : std::uint8_t {
    body = 'B',
    slot_bodies = 'b',
    prepare = 'P',
    commit = 'C',
    counter_intent = 'i',  ///< of an ordering counter: PrepareIntent or NewViewIntent
    vote_intent = 'I',     ///< of a vote counter: CommitIntent or ViewChangeIntent
    executed = 'E',
    own_new_view = 'M',  ///< with the time of its slot, which others do not know
    new_view = 'N',
    view_change = 'V',
    header = 'H',
    header_of_prepare = 'h',  ///< where the PREPARE with this header is
    view_cert = 'W',
    view = 'v',
    vouched = 'u',
    stable = 'S',
    snapshot = 's',
    standing = 'D',
    void_promise = 'o',  ///< given by one of ours; few, and kept for ever
    void_cert = 'O',     ///< likewise
    equivocation = 'Q',  ///< one per counter
    fork = 'F',
    barrier = 'K',   ///< one per configuration, kept for ever
    handover = 'G',  ///< likewise, of each group that gave something away
    expiry = 'X',    ///< what is erased once the log is kept from a later slot on
};

class Builder {
public:
    explicit Builder(Kind kind) : bytes_{static_cast<std::uint8_t>(kind)} {}

    Builder& u32(std::uint32_t value) { return put(value, 4); }
    Builder& u64(std::uint64_t value) { return put(value, 8); }
    Builder& bytes(ByteView value) {
        bytes_.insert(bytes_.end(), value.begin(), value.end());
        return *this;
    }
    [[nodiscard]] Bytes finish() const { return bytes_; }

private:
    Builder& put(std::uint64_t value, int size) {
        for (int i = size - 1; i >= 0; --i)
            bytes_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
        return *this;
    }
    Bytes bytes_;
};

/// The number of `size` bytes at `at` of a key.
inline std::uint64_t number_at(ByteView key, std::size_t at, std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = at; i < at + size && i < key.size(); ++i) value = value << 8 | key[i];
    return value;
}

/// Of an ordering counter: prepare, new_view and own_new_view.
inline Bytes ordering(Kind kind, PrimaryId primary, Counter cv) {
    return Builder(kind).u32(primary.value).u64(cv.value).finish();
}
/// Of a vote counter: commit and view_change.
inline Bytes vote(Kind kind, GroupId group, Position position, Counter cv) {
    return Builder(kind).u32(group.value).u32(position.value).u64(cv.value).finish();
}
/// A value of a counter: void_cert, void_promise.
inline Bytes value(Kind kind, const consensus::StreamId& stream, Counter cv) {
    return Builder(kind)
        .u32(static_cast<std::uint32_t>(stream.kind))
        .u32(stream.primary.value)
        .u32(stream.group.value)
        .u32(stream.position.value)
        .u64(cv.value)
        .finish();
}
/// By content: body, header, header_of_prepare and view_cert.
inline Bytes named(Kind kind, const Digest& digest) {
    return Builder(kind).bytes(digest.view()).finish();
}
/// Of a slot: those of one group, or (without group) of all. Headers of different views differ.
inline Bytes slot_bodies(Slot slot, std::optional<GroupId> group, const Digest& hd) {
    return Builder(Kind::slot_bodies)
        .u64(slot.value)
        .u32(group ? group->value : ~std::uint32_t{0})
        .bytes(hd.view().first(8))
        .finish();
}
/// The newest of its kind that `owner` wrote.
inline Bytes newest(Kind kind, const consensus::Endpoint& owner) {
    return Builder(kind).u32(owner.group.value).u32(owner.index).finish();
}

}  // namespace bft::host::keys
