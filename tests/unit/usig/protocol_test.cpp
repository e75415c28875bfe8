#include "usig/protocol.hpp"

#include "base/prng.hpp"
#include "fakes.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sys/stat.h>

namespace bft::usig::protocol {
namespace {

using test::message;
using test::TempFolder;

std::vector<Message> samples() {
    return {Hello{version, message("nonce")},
            Attach{1, UsigId(2), message("proof")},
            Create{3, UsigId(4), message("digest")},
            Last{5, UsigId(6)},
            Done{7},
            Answer{8, {message("d"), {Counter(9), 1, Bytes(150, 7)}}},
            Nothing{10},
            Failed{11, error(Errc::refused, "no")}};
}

TEST(UsigProtocol, RoundTrips) {
    for (const auto& sample : samples()) {
        const auto frame = encode(sample);
        ASSERT_EQ(frame_length(ByteView(frame).first(4)), frame.size() - 4);
        const auto again = decode(ByteView(frame).subspan(4));
        ASSERT_TRUE(again.has_value());
        EXPECT_EQ(encode(*again), frame);
    }
}

TEST(UsigProtocol, RefusesTruncatedAndLongFrames) {
    for (const auto& sample : samples()) {
        auto payload = encode(sample);
        payload.erase(payload.begin(), payload.begin() + 4);
        for (std::size_t size = 0; size < payload.size(); ++size)
            EXPECT_FALSE(decode(ByteView(payload).first(size)).has_value());
        payload.push_back(0);
        EXPECT_FALSE(decode(payload).has_value());
    }
    EXPECT_FALSE(frame_length(Bytes{0, 0, 0, 0}).has_value());
    EXPECT_FALSE(frame_length(Bytes{0, 1, 0, 0}).has_value());
    EXPECT_TRUE(frame_length(Bytes{0, 0, 16, 0}).has_value());
}

TEST(UsigProtocol, SurvivesRandomBytes) {
    Prng random(1);
    for (int i = 0; i < 20000; ++i) {
        Bytes bytes(random.below(80));
        for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
        if (!bytes.empty()) bytes[0] = static_cast<std::uint8_t>(random.below(10));
        (void)decode(bytes);
    }
}

TEST(UsigTokens, RoundTripsAndRefusesWhatOthersCouldRead) {
    TempFolder folder;
    const auto file = folder.path() / "tokens";
    const Tokens tokens{{UsigId(1), new_token().value()}, {UsigId(20), new_token().value()}};
    ASSERT_TRUE(save_tokens(file, tokens).has_value());
    EXPECT_EQ(load_tokens(file).value(), tokens);
    ::chmod(file.c_str(), 0644);
    EXPECT_EQ(load_tokens(file).error().code, Errc::refused);
    ::chmod(file.c_str(), 0600);
    std::ofstream(file) << "1 abc\n";
    EXPECT_EQ(load_tokens(file).error().code, Errc::malformed);
    EXPECT_EQ(load_tokens(folder.path() / "none").error().code, Errc::not_found);
}

}  // namespace
}  // namespace bft::usig::protocol
