// A primary of the mind's, scripted for every view that is its turn: orders as it should until the
// plot says otherwise, begins views with the least that f+1 VIEW-CHANGEs of each group let it begin
// with, nullifies whatever it may.
#pragma once

#include "cluster.hpp"
#include "mind.hpp"

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace bft::sim {

class DarkLeader final : public Node {
public:
    DarkLeader(Mind& mind, Cluster& cluster, PrimaryId self, Prng prng);

    void start();
    void stop() { stopped_ = true; }
    void receive(const Network::Packet& packet) override;
    /// Brings its view down, if it leads.
    void resign();

private:
    using Member = std::pair<GroupId, Position>;

    void turn();
    void on_change(const consensus::ViewChangePtr& change);
    void answer(const consensus::Endpoint& from, const consensus::Payload& fetch);
    void begin_if_ready();
    [[nodiscard]] std::vector<consensus::ViewChangePtr> choose_changes();
    void forge(consensus::NewView& new_view, const std::vector<consensus::ViewChangePtr>& changes);
    void begin(consensus::NewView new_view, std::vector<consensus::ViewChangePtr> changes,
               UnixMillis ts_ms, bool valid);
    void begin_again(consensus::NewView new_view, std::vector<consensus::Endpoint> to);
    [[nodiscard]] std::vector<consensus::Endpoint> split(std::vector<consensus::Endpoint>& all);
    void lead(const consensus::NewView& new_view, UnixMillis ts_ms);
    void order();
    void equivocate(const consensus::Header& header);
    [[nodiscard]] consensus::Header next_header();
    void certify(const Digest& digest, std::function<void(consensus::Ui)> done);
    [[nodiscard]] std::vector<consensus::Endpoint> everyone();

    Mind& mind_;
    Cluster& cluster_;
    PrimaryId id_;
    consensus::Endpoint self_;
    Prng prng_;

    View view_{};
    bool leading_ = false;
    Slot tip_{};
    Digest tip_digest_;
    UnixMillis ts_ms_ = 0;
    TimePoint last_slot_at_{};
    std::map<View, std::map<Member, consensus::ViewChangePtr>> changes_;  ///< the newest views
    std::optional<TimePoint> begin_at_;
    std::deque<consensus::Body> pool_;
    std::map<Digest, consensus::Body> bodies_;
    std::set<consensus::RequestId> ordered_;
    std::map<Counter, consensus::Prepare> prepares_;
    std::map<Counter, consensus::NewView> new_views_;
    std::map<Digest, consensus::ViewChangePtr> shown_changes_;
    std::set<GroupId> shunned_;  ///< groups that the view is kept from
    bool busy_ = false;
    bool stopped_ = false;
};

}  // namespace bft::sim
