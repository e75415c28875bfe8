// Strong types for the numbers of the protocol (docs/glossary.md).
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace bft {

template <class Tag, class Rep>
struct StrongId {
    using rep = Rep;
    Rep value{};

    constexpr StrongId() = default;
    constexpr explicit StrongId(Rep v) : value(v) {}
    constexpr auto operator<=>(const StrongId&) const = default;
    [[nodiscard]] constexpr StrongId next() const { return StrongId(static_cast<Rep>(value + 1)); }
    constexpr StrongId operator+(Rep n) const { return StrongId(static_cast<Rep>(value + n)); }
    constexpr Rep operator-(StrongId other) const { return static_cast<Rep>(value - other.value); }
};

/// View (pe, n) packed as pe << 32 | n, so that packed order is lexicographic order.
using View = StrongId<struct ViewTag, std::uint64_t>;
/// Place in the order stream; slot 0 is the genesis, before the first batch.
using Slot = StrongId<struct SlotTag, std::uint64_t>;
/// Per-partition sequence number, derived from the header chain; the first entry has 1.
using Seq = StrongId<struct SeqTag, std::uint64_t>;
/// Value of a USIG counter; the first certificate has 1.
using Counter = StrongId<struct CounterTag, std::uint64_t>;
using GroupId = StrongId<struct GroupTag, std::uint32_t>;
/// A member's place in its group, 0 .. 2f.
using Position = StrongId<struct PositionTag, std::uint32_t>;
/// Partition 0 is reserved for configuration and database checkpoints.
using PartitionId = StrongId<struct PartitionTag, std::uint32_t>;
using ClientId = StrongId<struct ClientTag, std::uint64_t>;
/// Counts a client's requests for one home partition, from 1.
using ClientSeq = StrongId<struct ClientSeqTag, std::uint64_t>;
/// A database voter's place, 0 .. 2f_D.
using VoterId = StrongId<struct VoterTag, std::uint32_t>;
/// A primary-capable node's place in the primary list.
using PrimaryId = StrongId<struct PrimaryTag, std::uint32_t>;
/// A host's place in the cluster file.
using HostId = StrongId<struct HostTag, std::uint32_t>;
/// A USIG identity's place in the cluster file: one counter of one host's TPM.
using UsigId = StrongId<struct UsigTag, std::uint32_t>;
using ConfigVersion = StrongId<struct ConfigVersionTag, std::uint64_t>;

}  // namespace bft

template <class Tag, class Rep>
struct std::hash<bft::StrongId<Tag, Rep>> {
    std::size_t operator()(const bft::StrongId<Tag, Rep>& id) const {
        return std::hash<Rep>{}(id.value);
    }
};
