#include "engine_entry.hpp"

#include "../unit/consensus/fixture.hpp"
#include "base/invariant.hpp"
#include "consensus/database_guard.hpp"
#include "consensus/minbft/group_replica.hpp"
#include "consensus/minbft/primary.hpp"
#include "consensus/voter.hpp"
#include "wire/codec.hpp"

#include <map>
#include <utility>

namespace bft::fuzz {

namespace {

using namespace consensus;

constexpr std::uint32_t hosts = 4;
constexpr std::size_t outputs_max = 100'000;

/// Takes what the attacker can really make: signatures of its own keys and of the clients, and one
/// certificate for each value of its counters, since its TPM is whole.
class AttackersKeys final : public SignatureChecker {
public:
    AttackersKeys(const Membership& membership, HostId attacker)
        : membership_(membership), attacker_(attacker) {}

    bool certified(UsigId id, const Ui& ui, const Digest& digest) override {
        if (!owns(id)) return false;
        return spent_.emplace(std::pair(id, ui.cv), digest).first->second == digest;
    }
    bool signed_by(ByteView key, const Digest&, ByteView) override {
        const Bytes& own = membership_.host_keys.at(attacker_);
        for (const auto& [client, client_key] : membership_.clients)
            if (std::equal(key.begin(), key.end(), client_key.begin(), client_key.end()))
                return true;
        return std::equal(key.begin(), key.end(), own.begin(), own.end());
    }

private:
    [[nodiscard]] bool owns(UsigId id) const {
        for (const Member& primary : membership_.primaries)
            if (primary.usig == id) return primary.host == attacker_;
        for (const Group& group : membership_.groups)
            for (const Member& member : group.members)
                if (member.usig == id) return member.host == attacker_;
        return false;
    }

    const Membership& membership_;
    HostId attacker_;
    std::map<std::pair<UsigId, Counter>, Digest> spent_;
};

/// Reads the script and hands the engine what passes the Verifier, as a host does.
class Script {
public:
    Script(ByteView bytes, HostId victim)
        : bytes_(bytes.subspan(1)),
          membership_(test::small_cluster(2, 4, 2)),
          attacker_((victim.value + 1 + bytes.front() % (hosts - 1)) % hosts),
          keys_(membership_, attacker_),
          verifier_(membership_, keys_) {}

    template <class Receive, class Tick>
    bool run(const Endpoint& self, const Receive& receive, const Tick& tick) {
        bool taken = false;
        while (!bytes_.empty()) {
            const std::uint8_t first = take();
            if (first >= 200) {
                now_.mono += std::chrono::milliseconds((first - 199) * (first - 199));
                now_.wall_ms += static_cast<UnixMillis>((first - 199) * (first - 199));
                tick(now_);
                continue;
            }
            const std::size_t high = take(), low = take();
            const std::size_t size = std::min(high << 8 | low, bytes_.size());
            auto message = wire::decode(bytes_.first(size));
            bytes_ = bytes_.subspan(size);
            if (!message || !may_speak(message->from)) continue;
            message->to = self;
            auto verified = verifier_.verify(std::move(*message));
            if (!verified) continue;
            taken = true;
            receive(*verified, now_);
        }
        return taken;
    }

    [[nodiscard]] const Membership& membership() const { return membership_; }
    [[nodiscard]] Now now() const { return now_; }

private:
    std::uint8_t take() {
        if (bytes_.empty()) return 0;
        const std::uint8_t first = bytes_.front();
        bytes_ = bytes_.subspan(1);
        return first;
    }
    [[nodiscard]] bool may_speak(const Endpoint& from) const {
        if (from.role == Endpoint::Role::client) return membership_.clients.contains(from.client);
        auto host = membership_.host_of(from);
        return host && *host == attacker_;
    }

    ByteView bytes_;
    Membership membership_;
    HostId attacker_;
    AttackersKeys keys_;
    Verifier verifier_;
    Now now_{TimePoint(std::chrono::hours(1)), 1'700'000'000'000};
};

/// Performs an engine's output: its TPM certifies at once. Everything else goes nowhere.
void perform(Engine& engine, UsigId usig, Counter& counter, Now now) {
    for (int rounds = 0; rounds < 1000; ++rounds) {
        Output output = engine.take_output();
        invariant(output.send.size() < outputs_max && output.persist.size() < outputs_max,
                  "one input does not make outputs without end");
        if (!output.seal) return;
        counter = counter.next();
        engine.sealed(test::HashChecker::certify(usig, counter, output.seal->digest), now);
    }
    invariant(false, "an engine does not certify for ever");
}

bool run_engine(Script& script, Engine& engine, const Endpoint& self) {
    const UsigId usig = *script.membership().usig_of(self);
    Counter counter{};
    auto done = [&](Now now) { perform(engine, usig, counter, now); };
    engine.tick(script.now());
    done(script.now());
    return script.run(
        self,
        [&](const Verified& message, Now now) {
            engine.receive(message, now);
            done(now);
        },
        [&](Now now) {
            engine.tick(now);
            done(now);
        });
}

}  // namespace

bool engine_replica(ByteView bytes) {
    if (bytes.empty()) return false;
    Script script(bytes, HostId(1));
    const Endpoint self = Endpoint::replica(GroupId(0), Position(0));
    test::HashSigner signer(script.membership(), self);
    minbft::GroupReplica engine(script.membership(), GroupId(0), Position(0), {}, {}, signer);
    return run_engine(script, engine, self);
}

bool engine_primary(ByteView bytes) {
    if (bytes.empty()) return false;
    Script script(bytes, HostId(0));
    const Endpoint self = Endpoint::primary(PrimaryId(0));
    test::HashSigner signer(script.membership(), self);
    minbft::Primary engine(script.membership(), PrimaryId(0), {}, signer);
    return run_engine(script, engine, self);
}

bool engine_voter(ByteView bytes) {
    if (bytes.empty()) return false;
    Script script(bytes, HostId(1));
    const Endpoint self = Endpoint::voter(VoterId(0));
    Voter voter(script.membership(), VoterId(0), {}, {});
    // A lie alone never reaches the database: one host's votes are not f+1.
    auto done = [&] {
        VoterOutput output = voter.take_output();
        invariant(output.execute.empty(), "one host alone has nothing executed");
        invariant(output.send.size() < outputs_max, "outputs are bounded");
    };
    return script.run(
        self,
        [&](const Verified& message, Now now) {
            voter.receive(message, now);
            done();
        },
        [&](Now now) {
            voter.tick(now);
            done();
        });
}

bool engine_guard(ByteView bytes) {
    if (bytes.empty()) return false;
    Script script(bytes, HostId(1));
    const Endpoint self = Endpoint::voter(VoterId(0));
    test::HashSigner signer(script.membership(), self);
    DatabaseGuard guard(script.membership(), VoterId(0), {}, signer,
                        DatabaseGuard::Condition::sound);
    auto done = [&](Now now) {
        GuardOutput output = guard.take_output();
        invariant(!output.rebuild, "one host alone has no database rebuilt");
        invariant(output.load.empty(), "nor loads anything into it");
        for (const ChunkExport& asked : output.exports) guard.exported(asked, std::nullopt, now);
        invariant(output.send.size() < outputs_max, "outputs are bounded");
    };
    return script.run(
        self,
        [&](const Verified& message, Now now) {
            guard.receive(message, now);
            done(now);
        },
        [&](Now now) {
            guard.tick(now);
            done(now);
        });
}

}  // namespace bft::fuzz
