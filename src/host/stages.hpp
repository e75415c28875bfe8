// Where the time of a transaction goes in this process (docs/operations.md, "Latency"). All on the
// loop's thread.
#pragma once

#include "metrics/latency.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace bft::host {

/// At a replica receive, order, commit, vote and reply follow each other; verify is a part of
/// receive, sign of order and commit, commit_db and execute of vote, and render of reply.
enum class Stage : std::uint8_t {
    receive,    ///< a frame or HTTP request: from its bytes to its endpoint, decoded and verified
    verify,     ///< of that: signatures, certificates, digests, bounds
    order,      ///< a request: from this replica's knowing it to its slot in the chain
    sign,       ///< a draft: from the log's sync to its trusted counter's certificate
    commit,     ///< until f+1 COMMITs of the group decide the slot
    commit_db,  ///< at the voter: from a slot's first COMMIT-DB until an item of it may run
    execute,    ///< at the voter: from the executor's queue to the database's COMMIT
    vote,       ///< from the decision until f_D+1 databases have answered equally
    render,     ///< a page
    reply,      ///< a signed answer: from the databases' agreement to the socket
};
inline constexpr std::size_t stage_count = 10;
const char* to_string(Stage stage);

class Stages {
public:
    void add(Stage stage, Duration took) { all_[static_cast<std::size_t>(stage)].add(took); }
    [[nodiscard]] const metrics::Latency& of(Stage stage) const {
        return all_[static_cast<std::size_t>(stage)];
    }

private:
    std::array<metrics::Latency, stage_count> all_;
};

}  // namespace bft::host
