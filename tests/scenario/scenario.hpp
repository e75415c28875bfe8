// Runs text scenarios: commands drive a small simulated cluster, and the events of each step are
// compared with what the file says they are.
//
//     cluster [f=1] [groups=1] [partitions=2] [primaries=2] [workers=1] [window=512]
//             [checkpoint=64] [tpm_ms=5] [primary=scripted] [byzantine=replica.G.J,..]
//             [leader=slow|rare|ahead lie_ms=N]   how primary.0 breaks no rule but T6's
//     request NAME home=P [parts=P,Q]      client 0 calls; its answer is an event
//     run 100ms [quiet]                    virtual time passes; quiet: without routine events
//     drop MESSAGE FROM -> TO              lost from now on; * stands for all, x* for all x..
//     split NODE..                         these hear only each other
//     allow                                no more drops and splits
//     crash NODE | boot NODE               a process; its TPM service lives on
//     pause NODE | resume NODE             it stops and goes on with what came meanwhile
//     lose_disk NODE | tpm_away NODE 1s | resign NODE | power_cut
//     prepare slot=N [entries=A,B] [skip=1] [ts=MS] [to=NODE,..] [cseq_off=N]
//                                          by the scripted primary; entries with other cseqs
//     fetch_body NAME FROM -> TO           whatever its engine says
//     commit NODE slot=N                   NODE's own counter certifies it, whatever its engine
//     clone NODE                           its counter certifies its next two messages with one
//                                          value
//     says report NODE                          prints where it stands > ... an event line that the
//     step above must give
//
// Nodes: primary.P, replica.GROUP.POSITION, voter.D, client.0. Lines of one step are sorted and
// counted; what all replicas of a group or all voters say is one line with a star.
#pragma once

#include "client_node.hpp"
#include "cluster.hpp"
#include "engine_node.hpp"
#include "view_liars.hpp"
#include "voter_node.hpp"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace bft::scenario {

class Scenario {
public:
    /// Executes one command line; returns the event lines of the step. Throws std::runtime_error
    /// with a sentence for a line that it does not understand.
    std::vector<std::string> execute(const std::string& line);
    /// What the checkers found, after the last command.
    [[nodiscard]] std::vector<std::string> violations() const;

private:
    struct Words {
        std::vector<std::string> plain;
        std::map<std::string, std::string> named;
        [[nodiscard]] std::uint64_t number(const std::string& name, std::uint64_t otherwise) const;
        [[nodiscard]] std::vector<std::string> list(const std::string& name) const;
    };
    struct Rule {
        std::string message, from, to;
    };

    void make_cluster(const Words& words);
    void set_leader_lie(const std::string& lie, std::uint64_t milliseconds);
    void request(const Words& words);
    void prepare(const Words& words);
    void commit(const Words& words);
    void report(const Words& words);
    void run(const Words& words);
    void power_cut();
    void split(const Words& words);
    [[nodiscard]] bool allowed(const consensus::Endpoint& from, const consensus::Endpoint& to,
                               const consensus::Payload& payload) const;
    [[nodiscard]] sim::EngineNode* engine(const std::string& name);
    [[nodiscard]] sim::VoterNode* voter(const std::string& name);
    [[nodiscard]] consensus::Endpoint endpoint(const std::string& name) const;
    sim::Cluster& cluster();

    sim::Plan plan_;
    std::unique_ptr<sim::Cluster> cluster_;
    std::map<std::string, std::unique_ptr<sim::EngineNode>> engines_;
    std::map<std::string, std::unique_ptr<sim::VoterNode>> voters_;
    std::unique_ptr<sim::ClientNode> client_;
    std::map<std::string, consensus::Body> bodies_;  ///< by the name that the file gives a request
    std::vector<Rule> rules_;
    std::set<consensus::Endpoint> side_;   ///< hears only itself
    std::set<consensus::Endpoint> asked_;  ///< by fetch_body: who gets bodies is an event
    struct Line {
        std::string what;
        std::uint64_t times = 0;
    };
    /// By node and, within it, in the order of the first occurrence.
    std::map<consensus::Endpoint, std::vector<Line>> happened_;
    bool quiet_ = false;
    void note(const consensus::Endpoint& node, const std::string& what);
    [[nodiscard]] std::vector<std::string> lines() const;

    // The scripted primary.
    Slot tip_{};
    std::map<Slot, Digest> digests_;
    std::map<Slot, consensus::Prepare> prepares_;
    UnixMillis ts_ms_ = 0;
};

}  // namespace bft::scenario
