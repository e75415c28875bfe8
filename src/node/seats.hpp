// The seats that this host has in groups, each with a replica: those of the cluster file from the
// start, and those that the order gives it while the process runs (docs/adr/0026).
#pragma once

#include "consensus/minbft/replica.hpp"
#include "host/durable_log.hpp"
#include "node/members.hpp"
#include "roles/group_replica.hpp"
#include "roles/role.hpp"
#include "usig/certifier.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace bft::node {

/// Everything on the loop's thread.
class Seats {
public:
    struct Sources {
        boost::asio::io_context& loop;
        roles::Environment& environment;
        HostId self;
        consensus::minbft::ReplicaOptions options;
        usig::Certifier& counters;
        /// Of all replicas of this process; opened when the first one needs it.
        std::function<Result<host::DurableLog*>()> log;
        /// Configurations that were proven elsewhere in this process: engines begin with them.
        std::function<std::vector<consensus::BarrierCertPtr>()> proven;
        std::function<bool()> stopped;
    };
    explicit Seats(Sources sources);

    /// Opens a replica for each seat that is known of. Runs the loop until that is done; errors say
    /// what one of them lacks.
    Result<void> open();
    /// Replicas take part from now on, and those of later seats at once.
    void start();
    /// Another configuration is in force: seats may have come, groups may have gone. What cannot be
    /// opened is said in the log; the other replicas go on.
    void follow();

    [[nodiscard]] const std::vector<std::unique_ptr<roles::GroupReplicaRole>>& replicas() const {
        return replicas_;
    }
    /// Of the replica that has gone furthest; null: there is none.
    [[nodiscard]] const consensus::Configuration* newest() const;

private:
    struct Seat {
        GroupId group{};
        Position position{};

        auto operator<=>(const Seat&) const = default;
    };
    /// Configurations since the cluster file's, of whoever here knows the newest.
    [[nodiscard]] std::vector<consensus::BarrierCertPtr> chain() const;
    [[nodiscard]] std::optional<Seat> next_seat() const;
    [[nodiscard]] bool forgotten(GroupId group,
                                 const std::vector<consensus::BarrierCertPtr>& chain) const;
    void open_next();
    void begin_log(const Seat& seat);
    void ask_standing(const Seat& seat);
    void create(const Seat& seat, const usig::Standing& standing);
    void failed(const Seat& seat, const Error& why);
    void give_up_forgotten();

    Sources sources_;
    std::vector<std::unique_ptr<roles::GroupReplicaRole>> replicas_;
    std::set<Seat> open_;
    std::set<Seat> failed_;
    std::optional<Seat> opening_;
    std::optional<Error> failure_;  ///< of open()
    bool running_ = false;
    TimePoint waits_since_{};  ///< for the counter of `opening_`
    boost::asio::steady_timer retry_;
    boost::asio::steady_timer look_again_;
};

}  // namespace bft::node
