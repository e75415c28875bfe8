// Select(S) of VC4: which chain a new view begins with, and which entries it may nullify. A pure
// function of valid VIEW-CHANGEs: the new primary and everyone who checks it compute the same.
#pragma once

#include "consensus/configuration.hpp"
#include "consensus/header_store.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace bft::consensus {

/// A NEW-VIEW's nullset goes this many slots back from N. Below it nobody follows the chain slot by
/// slot any more: a replica that far behind needs the state at a checkpoint.
inline constexpr std::uint64_t null_retention = 16384;

/// An answer that may have to wait for headers.
struct Judgement {
    std::optional<std::string> invalid;
    std::optional<HeaderStore::Missing> missing;

    [[nodiscard]] bool good() const { return !invalid && !missing; }
};

/// VC3 f: the headers that `change` committed to beyond its checkpoint are a valid chain. The rest
/// of ValidVC is the Verifier's (verify_views.cpp).
[[nodiscard]] Judgement judge_headers(const Membership& membership, const ViewChange& change,
                                      const HeaderStore& headers);

/// An entry without f+1 claims that no earlier view nullified.
struct OpenEntry {
    EntryRef at;
    GroupId owner{};
    Digest rd;
    bool nullable = false;  ///< f+1 no-claims: it cannot have been committed
};

struct Selected {
    ViewChangePtr tip;           ///< the one with the largest (view, to)
    Slot slot{};                 ///< N
    Digest hd;                   ///< hd_N
    UnixMillis ts_ms = 0;        ///< of the header at N
    Slot low{};                  ///< the least of the groups' stable checkpoints
    HeaderStore::Segment chain;  ///< (low, N]
    BarrierCertPtr base;         ///< of the newest configuration in the set; null: the first one
    /// A CONFIG entry at N that is not null in the tip's view, and whose barrier nobody shows.
    /// Where it is kept, its members have a say, too (CF6).
    std::optional<EntryRef> config;
    Digest config_rd;
    bool config_body = true;  ///< its body is here
    bool joint_quorum =
        true;  ///< f+1 VIEW-CHANGEs of every group of the configuration that it makes
    std::vector<EntryRef> null;   ///< must stay null; sorted
    std::vector<OpenEntry> open;  ///< by place; everything else must be kept
};

/// What the body of a CONFIG entry makes of the configuration before it.
struct Coming {
    bool here = false;                    ///< the body is
    std::optional<Configuration> config;  ///< nullopt: it is no valid one (R4)
};
using ComingOf = std::function<Coming(const EntryHeader&, const Configuration&)>;

struct Selection {
    bool enough = false;           ///< f+1 VIEW-CHANGEs of every group
    bool barrier_missing = false;  ///< who takes part is not known here yet
    Judgement judgement;
    std::optional<Selected> selected;
};

/// `set`: valid VIEW-CHANGEs for one view, at most one of each member, with barriers that `configs`
/// knows.
[[nodiscard]] Selection select(const Membership& membership, const ConfigHistory& configs,
                               const std::vector<ViewChangePtr>& set, const HeaderStore& headers,
                               const ComingOf& coming_of);

/// How many headers judging `changes` takes at once: of each chain, what lies beyond its sender's
/// checkpoint. Groups may be far apart: a primary that withholds one group's bodies goes on with
/// others until that group suspects it. They are fetched in pieces of `fetched_at_once`, and the
/// last piece of each chain reaches below what is needed.
[[nodiscard]] std::size_t headers_needed(const std::vector<ViewChangePtr>& changes,
                                         std::size_t fetched_at_once);

/// VC6: does `new_view` say what Select allows? Its VIEW-CHANGEs gave `selected`.
[[nodiscard]] std::optional<std::string> why_invalid(const NewView& new_view,
                                                     const Selected& selected);

}  // namespace bft::consensus
