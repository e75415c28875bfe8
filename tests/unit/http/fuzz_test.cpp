// The HTTP fuzzers' entry functions over seeded mutations of their corpus, in every test run.
#include "http_entry.hpp"
#include "mutator.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

namespace bft::fuzz {
namespace {

std::vector<Bytes> corpus(const std::string& entry) {
    std::vector<std::filesystem::path> files;
    for (const auto& file : std::filesystem::directory_iterator(BFT_FUZZ_CORPUS "/" + entry))
        files.push_back(file.path());
    std::sort(files.begin(), files.end());
    std::vector<Bytes> all;
    for (const auto& file : files) {
        std::ifstream in(file, std::ios::binary);
        all.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
    return all;
}

void mutate(const std::string& entry, bool (*accepts)(ByteView), int rounds) {
    Mutator mutator(7);
    std::size_t accepted = 0, refused = 0;
    for (const Bytes& bytes : corpus(entry)) {
        EXPECT_TRUE(accepts(bytes))
            << entry
            << ": a beginning that is not accepted: " << std::string(bytes.begin(), bytes.end());
        for (int i = 0; i < rounds; ++i) ++(accepts(mutator(bytes)) ? accepted : refused);
    }
    EXPECT_GT(accepted, 20u) << "mutations that always fail test nothing behind the first check";
    EXPECT_GT(refused, 100u);
}

TEST(HttpFuzz, Connections) {
    mutate("http_connection", http_connection, 300);
}

TEST(HttpFuzz, Requests) {
    mutate("json_requests", json_requests, 1000);
}

TEST(HttpFuzz, Arguments) {
    mutate("json_arguments", json_arguments, 1000);
}

TEST(HttpFuzz, Receipts) {
    mutate("json_receipt", json_receipt, 3000);
}

TEST(HttpFuzz, PiecesOfALongHeader) {
    for (std::size_t filler : {100u, 1900u, 2000u, 2048u, 2100u, 20000u, 200000u}) {
        std::string text = "\x06GET / HTTP/1.1\r\nHost: x\r\nX: ";
        text.append(filler, 'y').append("\r\n\r\n");
        EXPECT_EQ(http_connection(as_bytes(text)), filler <= 2000) << filler;
    }
}

}  // namespace
}  // namespace bft::fuzz
