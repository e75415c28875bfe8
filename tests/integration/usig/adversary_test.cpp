// A random adversary that mixes all commands, against the real verifier and, as the test of the
// test, against five weakened ones: the real one must never be led to two digests for one value, or
// to a certificate for a value that it was shown to be void; each weakened one must.
//
// BFT_USIG_ADVERSARY_STEPS and BFT_USIG_ADVERSARY_SEED make it run longer or elsewhere.
#include "adversary_oracle.hpp"
#include "attacker.hpp"
#include "base/prng.hpp"
#include "swtpm.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>

namespace bft::usig::test {
namespace {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
    const char* text = std::getenv(variable);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class Adversary {
public:
    Adversary(Host& host, std::uint64_t seed)
        : host_(host), random_(seed), oracle_(host.identities[0]) {
        connect();
        for (int i = 0; i < 4; ++i) digests_.push_back(message("d" + std::to_string(i)));
    }

    void step() {
        if (sessions_.empty() || (sessions_.size() < 3 && random_.chance(30))) open_session();
        if (sessions_.empty()) return;
        if (random_.chance(300) || std::ranges::find(sessions_, current_) == sessions_.end())
            current_ = sessions_[random_.below(sessions_.size())];
        if (random_.chance(200)) {
            // All sessions in lockstep: what a verifier misses in one, it may believe of two.
            const auto pick = random_.below(100);
            for (const auto session : sessions_) likely_move(session, pick);
        } else if (random_.chance(800)) {
            likely_move(current_, random_.below(100));
        } else {
            any_move(current_);
        }
    }

    void clear() {
        ASSERT_TRUE(attacker_->clear());
        connect();
        redefine();
        open_session();
        const auto session = sessions_.front();
        attacker_->certify(session, {}, true);
        attacker_->increment(session);
        attacker_->certify(session, digest());
        EXPECT_FALSE(attacker_->attest(session).has_value());
    }

    Oracle& oracle() { return oracle_; }

private:
    void connect() {
        attacker_.reset();
        attacker_ = std::make_unique<Attacker>(host_.tpm.tcti(), host_.options);
        sessions_.clear();
        saved_.clear();
    }
    /// What leads somewhere from the end of this session's log, most of the time.
    void likely_move(std::uint32_t session, std::uint64_t pick) {
        const auto& log = attacker_->log(session);
        if (log.empty() || log.size() > 5) {
            pick < 65 ? attacker_->certify(session, {}, true) : attacker_->increment(session, true);
        } else if (log.back().kind == Logged::Kind::increment) {
            if (pick < 70)
                attacker_->certify(session, digest());
            else
                pick < 85 ? attacker_->certify(session, {}) : attacker_->increment(session);
        } else if (log.size() == 1) {
            attacker_->increment(session, pick < 20);
        } else if (pick < 50) {
            attest(session);
        } else {
            pick < 70 ? attacker_->certify(session, digest())
                      : attacker_->certify(session, {}, true);
        }
    }

    void any_move(std::uint32_t session) {
        const auto pick = random_.below(1000);
        if (pick < 260)
            attacker_->certify(session, {}, random_.chance(800));
        else if (pick < 480)
            attacker_->increment(session, random_.chance(150));
        else if (pick < 700)
            attacker_->certify(session, digest(), random_.chance(20));
        else if (pick < 890)
            attest(session);
        else if (pick < 910)
            attacker_->increment_aside();
        else if (pick < 920)
            attacker_->audit_other(session);
        else if (pick < 945)
            save(session);
        else if (pick < 970)
            load();
        else if (pick < 980)
            close_session(session);
        else if (pick < 987)
            redefine();
        else if (pick < 993)
            power_cut();
        else
            tidy();
    }

    ByteView digest() { return digests_[random_.below(digests_.size())].view(); }

    void open_session() {
        if (const auto handle = attacker_->session()) sessions_.push_back(handle);
    }
    void close_session(std::uint32_t session) {
        attacker_->flush(session);
        std::erase(sessions_, session);
    }
    void attest(std::uint32_t session) {
        const auto qualifying = random_.chance(400) ? digest() : ByteView{};
        const auto attestation = attacker_->attest(session, qualifying);
        if (attestation) oracle_.submit(*attestation);
    }
    void save(std::uint32_t session) {
        const auto log = attacker_->log(session);
        if (const auto context = attacker_->save(session)) {
            saved_.emplace_back(*context, log);
            std::erase(sessions_, session);
        }
    }
    void load() {
        if (saved_.empty()) return;
        // Kept in the list: loading it a second time is the replay.
        const auto& [context, log] = saved_[random_.below(saved_.size())];
        if (const auto handle = attacker_->load(context, log))
            if (std::ranges::find(sessions_, *handle) == sessions_.end())
                sessions_.push_back(*handle);
    }
    void redefine() {
        attacker_->undefine(attacker_->index());
        const auto policy = ByteView(host_.identities[0].counter).subspan(12, 32);
        ASSERT_TRUE(attacker_->define(attacker_->index(),
                                      (TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT) |
                                          TPMA_NV_AUTHWRITE | TPMA_NV_AUTHREAD | TPMA_NV_NO_DA,
                                      policy));
        ASSERT_TRUE(attacker_->increment_aside());
    }
    void power_cut() {
        attacker_.reset();
        host_.tpm.power_cut();
        connect();
    }
    void tidy() {
        ASSERT_TRUE(attacker_->tpm().flush_leftovers().has_value());
        attacker_->forget_sessions();
        sessions_.clear();
        saved_.clear();
    }

    Host& host_;
    Prng random_;
    Oracle oracle_;
    std::unique_ptr<Attacker> attacker_;
    std::vector<std::uint32_t> sessions_;
    std::uint32_t current_ = 0;
    std::vector<std::pair<TPMS_CONTEXT, Log>> saved_;
    std::vector<Digest> digests_;
};

TEST(Adversary, NeverBreaksTheRealVerifierAndBreaksEveryWeakenedOne) {
    const auto steps = number_from("BFT_USIG_ADVERSARY_STEPS", 8000);
    const auto seed = number_from("BFT_USIG_ADVERSARY_SEED", 1);
    Host host;
    Adversary adversary(host, seed);
    for (std::uint64_t i = 0; i < steps; ++i) {
        adversary.step();
        if (HasFatalFailure()) return;
    }
    adversary.clear();
    const auto& oracle = adversary.oracle();
    std::printf("adversary: %llu steps, %zu attestations, %zu accepted, %zu values shown void\n",
                static_cast<unsigned long long>(steps), oracle.submitted(),
                oracle.accepted(Check::real), oracle.voids(Check::real));
    EXPECT_FALSE(oracle.broken(Check::real)) << oracle.story(Check::real);
    // Otherwise the run proves little.
    EXPECT_GT(oracle.accepted(Check::real), steps / 200);
    EXPECT_GT(oracle.voids(Check::real), 0u);
    for (const auto weak : weakened)
        EXPECT_TRUE(oracle.broken(weak)) << "not broken: " << name_of(weak);
}

}  // namespace
}  // namespace bft::usig::test
