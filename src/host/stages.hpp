// Where the time of a transaction goes in this process (docs/operations.md, "Latency"). All on the
// loop's thread.
#pragma once

#include "metrics/latency.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace bft::host {

/// At a replica receive, order, commit, vote and reply follow each other; execute is a part of vote
/// and render one of reply.
enum class Stage : std::uint8_t {
    receive,  ///< a frame or HTTP request: from its bytes to its endpoint, decoded and verified
    order,    ///< a request: from this replica's knowing it to its slot in the chain
    commit,   ///< until f+1 COMMITs of the group decide the slot
    execute,  ///< at the voter: from the executor's queue to the database's COMMIT
    vote,     ///< from the decision until f_D+1 databases have answered equally
    render,   ///< a page
    reply,    ///< a signed answer: from the databases' agreement to the socket
};
inline constexpr std::size_t stage_count = 7;
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
