// A small cluster file and host folder for the tests of configuration.
#pragma once

#include "node/cluster_file.hpp"
#include "node/config.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdlib.h>
#include <string>

namespace bft::node {

class TempFolder {
public:
    TempFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "bft-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    ~TempFolder() { std::filesystem::remove_all(path_); }
    TempFolder(const TempFolder&) = delete;
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    std::filesystem::path write(const std::string& name, std::string_view text) const {
        std::filesystem::create_directories((path_ / name).parent_path());
        std::ofstream(path_ / name) << text;
        return path_ / name;
    }

private:
    std::filesystem::path path_;
};

inline std::string read_file(const std::filesystem::path& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

/// "line: what" of each, one a line.
inline std::string listing(const Diagnostics& errors) {
    std::string all;
    for (const Diagnostic& error : errors)
        all += std::to_string(error.line) + ": " + error.what + "\n";
    return all;
}

inline std::string numbered_hex(unsigned number, std::size_t bytes) {
    Bytes all(bytes, 0x11);
    all.back() = static_cast<std::uint8_t>(number);
    return hex(all);
}

inline usig::PublicIdentity software_identity(unsigned number) {
    usig::PublicIdentity identity;
    identity.scheme = usig::Scheme::software;
    identity.key = *from_hex(numbered_hex(number, 32));
    identity.counter = *from_hex(numbered_hex(number, 16));
    return identity;
}

/// One primary host, three others, two groups; every host has the key of its place.
inline ClusterFile small_cluster() {
    ClusterFile cluster;
    cluster.file = "/cluster/cluster.toml";
    cluster.name = "small";
    cluster.id = *from_hex("000102030405060708090a0b0c0d0e0f");
    cluster.application.name = "app";
    cluster.application.folder = "/cluster/app";
    cluster.application.digest.bytes.fill(7);
    unsigned counter = 0;
    for (unsigned i = 0; i < 4; ++i)
        cluster.hosts.push_back({i == 0 ? "primary1" : "host" + std::to_string(i),
                                 "127.0.0.1:" + std::to_string(7000 + i),
                                 *from_hex(numbered_hex(100 + i, 32)),
                                 {},
                                 {}});
    cluster.primaries.push_back({"primary1", software_identity(++counter)});
    for (std::uint32_t g = 1; g <= 2; ++g) {
        ClusterGroup& group = cluster.groups.emplace_back();
        group.id = GroupId(g);
        for (unsigned j = 1; j <= 3; ++j)
            group.members.push_back({"host" + std::to_string(j), software_identity(++counter)});
    }
    cluster.groups[0].partitions = {PartitionId(0), PartitionId(1), PartitionId(3)};
    cluster.groups[1].partitions = {PartitionId(2)};
    cluster.voters = {"host1", "host2", "host3"};
    cluster.clients.push_back({ClientId(1), "bench", *from_hex(numbered_hex(200, 32))});
    return cluster;
}

}  // namespace bft::node
