// The engines' fuzz entries over seeded damage of what one attacker's host can really send.
#include "../consensus/fixture.hpp"
#include "engine_entry.hpp"
#include "mutator.hpp"
#include "samples.hpp"
#include "wire/codec.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace bft::fuzz {
namespace {

using namespace consensus;

void add(Bytes& script, const Message& message) {
    const Bytes frame = wire::encode(message);
    script.push_back(1);
    script.push_back(static_cast<std::uint8_t>(frame.size() >> 8));
    script.push_back(static_cast<std::uint8_t>(frame.size()));
    script.insert(script.end(), frame.begin(), frame.end());
}

/// As the wire has it: its bytes are what was signed.
Body request(const Membership& m, std::uint64_t cseq) {
    Request made = *test::make_request(m, cseq);
    made.raw = wire::encode_request(made);
    made.rd = request_digest(made.raw);
    return std::make_shared<const Request>(std::move(made));
}

/// A primary's host that orders requests of the client, with time in between.
Bytes ordering_script(const Endpoint& to, std::uint8_t attacker) {
    const Membership m = test::small_cluster(2, 4, 2);
    Bytes script{attacker};
    Digest previous;
    for (std::uint64_t slot = 1; slot <= 4; ++slot) {
        Body body = request(m, slot);
        add(script, {Endpoint::of_client(ClientId(1)), to, body});
        Prepare prepare = test::make_prepare(m, Slot(slot), previous, {test::entry_of(body)},
                                             1'700'000'000'000 + slot);
        previous = prepare.hd;
        add(script, {Endpoint::primary(PrimaryId(0)), to, prepare});
        add(script, {Endpoint::replica(GroupId(0), Position(1)), to,
                     test::make_commit(m, GroupId(0), Position(1), prepare, Counter(slot))});
        script.push_back(static_cast<std::uint8_t>(200 + slot * 10));
    }
    return script;
}

struct Case {
    const char* name;
    bool (*entry)(ByteView);
    std::vector<Bytes> beginnings;
};

std::vector<Case> cases() {
    const Endpoint replica = Endpoint::replica(GroupId(0), Position(0));
    const Endpoint primary = Endpoint::primary(PrimaryId(0));
    const Endpoint voter = Endpoint::voter(VoterId(0));
    // The first byte: which of the other hosts is the attacker's.
    return {{"engine_replica",
             engine_replica,
             {ordering_script(replica, 2), ordering_script(replica, 0)}},
            {"engine_primary", engine_primary, {ordering_script(primary, 1)}},
            {"engine_voter", engine_voter, {ordering_script(voter, 0)}},
            {"engine_guard", engine_guard, {ordering_script(voter, 0)}}};
}

TEST(EngineFuzz, EnginesStandWhatOneHostSends) {
    for (const Case& each : cases())
        for (const Bytes& beginning : each.beginnings) {
            SCOPED_TRACE(each.name);
            each.entry(beginning);
            for (std::uint64_t seed = 0; seed < 500; ++seed) each.entry(Mutator(seed)(beginning));
        }
}

// Else everything else here proves nothing.
TEST(EngineFuzz, TheBeginningsReachTheEngines) {
    EXPECT_TRUE(engine_replica(cases()[0].beginnings[0]));
    EXPECT_TRUE(engine_primary(cases()[1].beginnings[0]));
}

// BFT_WRITE_CORPUS=tests/fuzz/corpus writes what the fuzzers begin with.
TEST(EngineFuzz, Corpus) {
    const char* folder = std::getenv("BFT_WRITE_CORPUS");
    if (folder == nullptr) GTEST_SKIP() << "only to write the corpus";
    auto write = [&](const std::string& place, std::size_t number, const Bytes& bytes) {
        std::ofstream out(std::string(folder) + "/" + place + std::to_string(number));
        out << as_text(bytes);
        EXPECT_TRUE(out.good()) << place;
    };
    for (const Case& each : cases())
        for (std::size_t i = 0; i < each.beginnings.size(); ++i)
            write(std::string(each.name) + "/ordering", i, each.beginnings[i]);
    const auto messages = wire::sample_messages();
    for (std::size_t i = 0; i < messages.size(); ++i)
        write("frame/message", i, wire::encode(messages[i]));
    const auto records = wire::sample_records();
    for (std::size_t i = 0; i < records.size(); ++i)
        write("record/record", i, wire::encode_record(records[i]));
    write("request/request", 0, request(test::small_cluster(), 7)->raw);
}

}  // namespace
}  // namespace bft::fuzz
