// A replica of the mind's: its engine follows what happens, its counter says what suits the plot.
#pragma once

#include "liars.hpp"
#include "mind.hpp"

#include <map>
#include <optional>
#include <vector>

namespace bft::sim {

class Puppet final : public Liar {
public:
    Puppet(Mind& mind, Cluster& cluster, EngineNode& node, Prng prng);

    void saw(const consensus::Verified& message) override;
    void corrupt(consensus::Output& output) override;
    void rewrite(std::vector<consensus::Send>& sends) override;
    void tick() override;

private:
    /// What a COMMIT would say, and its proof.
    struct Claim {
        consensus::LastCommit last;
        consensus::Prepare proof;
        bool from_new_view = false;
        consensus::ViewCertPtr cert;
    };
    enum class Show : bool { nobody, peers };

    void act();
    bool prepare_the_lie(View view);
    [[nodiscard]] std::optional<Claim> at(Slot slot) const;
    [[nodiscard]] std::optional<Claim> lower() const;
    void commit(const Claim& claim, Show show);
    void change(View view);
    void choose_base(consensus::ViewChange& change);
    void complain(View view);
    [[nodiscard]] consensus::Vouch forged_vouch(Position voucher, Counter cv) const;
    [[nodiscard]] std::vector<consensus::Endpoint> peers() const;

    Mind& mind_;
    Cluster& cluster_;
    EngineNode& node_;
    consensus::Endpoint self_;
    Prng prng_;
    LyingReplica other_lies_;

    std::vector<consensus::VoteEntry> ledger_;  ///< everything certified, by counter
    Claim last_;
    View promised_{};
    consensus::ViewCertPtr chain_cert_;
    std::optional<consensus::StableCert> stable_;
    std::map<std::uint32_t, consensus::Vouch> vouches_;  ///< of correct peers
    std::optional<Claim> left_behind_;  ///< of the view that the newest VIEW-CHANGE has left
    View lied_for_{};
    bool busy_ = false;
};

}  // namespace bft::sim
