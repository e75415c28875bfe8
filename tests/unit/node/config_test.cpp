#include "node/config.hpp"

#include "fixtures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bft::node {
namespace {

using testing::HasSubstr;

Loaded<NodeConfig> parse(std::string_view text) {
    return parse_node_config(text, "/etc/bft/node.toml");
}

TEST(NodeConfig, NeedsOnlyTheHostsName) {
    const auto loaded = parse("[host]\nname = \"host1\"\n");
    ASSERT_TRUE(loaded.value) << listing(loaded.errors);
    EXPECT_EQ(loaded.value->host, "host1");
    EXPECT_EQ(loaded.value->identity_key, "/etc/bft/identity.key");
    EXPECT_EQ(loaded.value->data_dir, "/etc/bft/data");
    EXPECT_EQ(loaded.value->usig.socket, "/etc/bft/data/usig.sock");
    EXPECT_FALSE(loaded.value->database);
}

TEST(NodeConfig, TakesRelativePathsFromItsFolder) {
    const auto loaded = parse("[host]\nname = \"a\"\ndata_dir = \"../state/\"\n");
    ASSERT_TRUE(loaded.value);
    EXPECT_EQ(loaded.value->data_dir, "/etc/state");
    EXPECT_EQ(loaded.value->status_socket, "/etc/state/status.sock");
}

TEST(NodeConfig, ReportsEveryErrorAtOnceWithItsPlace) {
    const auto loaded = parse(
        "[host]\n"
        "nam = \"host1\"\n"
        "listen = \"nowhere\"\n"
        "verify_threads = 65\n"
        "roles = [\"replica\", \"votre\"]\n"
        "log_level = \"verbose\"\n"
        "[usig]\n"
        "tcti = \"/dev/tpm0\"\n"
        "[database]\n"
        "user = \"u\"\n"
        "name = \"n\"\n"
        "[timing]\n"
        "batch_interval_ms = \"5\"\n"
        "[limts]\n");
    EXPECT_FALSE(loaded.value);
    const std::string all = listing(loaded.errors);
    EXPECT_EQ(loaded.errors.size(), 10U) << all;
    EXPECT_THAT(all, HasSubstr("1: 'host.name' is missing"));
    EXPECT_THAT(all, HasSubstr("2: unknown key 'host.nam'; did you mean 'name'?"));
    EXPECT_THAT(all, HasSubstr("3: 'nowhere' is no address"));
    EXPECT_THAT(all, HasSubstr("4: 'host.verify_threads' must be a whole number from 0 to 64"));
    EXPECT_THAT(all, HasSubstr("did you mean 'voter'?"));
    EXPECT_THAT(all, HasSubstr("6: 'verbose' is no log level"));
    EXPECT_THAT(all, HasSubstr("8: '/dev/tpm0' names no TPM"));
    EXPECT_THAT(all, HasSubstr("9: a database needs either 'socket' or 'host'"));
    EXPECT_THAT(all, HasSubstr("13: 'timing.batch_interval_ms' must be a whole number"));
    EXPECT_THAT(all, HasSubstr("14: unknown key 'limts'; did you mean 'limits'?"));
}

TEST(NodeConfig, SaysWhereASyntaxErrorIs) {
    const auto loaded = parse("[host]\nname = host1\n");
    ASSERT_EQ(loaded.errors.size(), 1U);
    EXPECT_EQ(loaded.errors[0].line, 2U);
    EXPECT_THAT(to_string(loaded.errors[0]), testing::StartsWith("/etc/bft/node.toml:2:"));
}

TEST(NodeConfig, SaysThatTheFileIsNotThere) {
    const auto loaded = load_node_config("/nowhere/node.toml");
    ASSERT_EQ(loaded.errors.size(), 1U);
    EXPECT_THAT(to_string(loaded.errors[0]), HasSubstr("No such file"));
}

TEST(NodeConfig, RefusesSocketPathsThatTheKernelCannotHold) {
    const auto loaded = parse("[host]\nname = \"a\"\ndata_dir = \"/" + std::string(120, 'x') +
                              "\"\n[usig]\ntcti = \"device:/dev/tpmrm0\"\n");
    EXPECT_THAT(listing(loaded.errors), HasSubstr("107 bytes"));
}

TEST(NodeConfig, EveryKeyReachesItsField) {
    const auto loaded = parse(
        "[host]\nname = \"a\"\nlisten = \"[::1]:7\"\nroles = [\"usig\", \"voter\"]\n"
        "metrics = \"localhost:9\"\nlog_level = \"debug\"\nverify_threads = 3\n"
        "[usig]\ntcti = \"swtpm:path=/t\"\ntpm_delay_ms = 20\n"
        "[database]\nflavour = \"mysql\"\nhost = \"h\"\nport = 3307\nuser = \"u\"\n"
        "password_file = \"p\"\nname = \"n\"\nworkers = 5\nbatch = 9\n"
        "[timing]\nbatch_interval_ms = 1\nheartbeat_ms = 2\nforward_after_ms = 3\n"
        "retransmit_ms = 4\nstatus_interval_ms = 6\ngap_timeout_ms = 7\n"
        "[limits]\nslot_entries = 10\nslot_bytes = 100000\nlink_queue_bytes = 40000000\n");
    ASSERT_TRUE(loaded.value) << listing(loaded.errors);
    const NodeConfig& c = *loaded.value;
    EXPECT_EQ(c.listen, "[::1]:7");
    EXPECT_EQ(c.roles, (std::set<Role>{Role::usig, Role::voter}));
    EXPECT_EQ(c.metrics, "localhost:9");
    EXPECT_EQ(c.log_level, "debug");
    EXPECT_EQ(c.verify_threads, 3U);
    EXPECT_EQ(c.usig.tcti, "swtpm:path=/t");
    EXPECT_EQ(c.usig.tpm_delay, 20ms);
    ASSERT_TRUE(c.database);
    EXPECT_EQ(c.database->flavour, Flavour::mysql);
    EXPECT_EQ(c.database->host, "h");
    EXPECT_EQ(c.database->port, 3307);
    EXPECT_EQ(c.database->password_file, "/etc/bft/p");
    EXPECT_EQ(c.database->workers, 5U);
    EXPECT_EQ(c.voter.workers, 5U);
    EXPECT_EQ(c.database->batch, 9U);
    EXPECT_EQ(c.primary.batch_interval, 1ms);
    EXPECT_EQ(c.primary.heartbeat, 2ms);
    EXPECT_EQ(c.replica.forward_after, 3ms);
    EXPECT_EQ(c.replica.retransmit, 4ms);
    EXPECT_EQ(c.replica.status_interval, 6ms);
    EXPECT_EQ(c.voter.status_interval, 6ms);
    EXPECT_EQ(c.voter.gap_timeout, 7ms);
    EXPECT_EQ(c.primary.slot_entries, 10U);
    EXPECT_EQ(c.primary.slot_bytes, 100000U);
    EXPECT_EQ(c.link_queue_bytes, 40000000U);
}

/// "# key = value" becomes "key = value"; `host` of [database] excludes `socket` and stays away.
std::string with_all_keys(const std::string& sample) {
    std::istringstream lines(sample);
    std::string all;
    for (std::string line; std::getline(lines, line);) {
        const std::size_t key_end = line.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", 2);
        const bool is_key = line.starts_with("# ") && key_end != std::string::npos && key_end > 2 &&
                            line.compare(key_end, 3, " = ") == 0;
        const bool switched_on =
            (is_key && !line.starts_with("# host = ")) || line.starts_with("# [");
        all += (switched_on ? line.substr(2) : line) + "\n";
    }
    return all;
}

// The sample is the manual: with every commented key switched on it must parse, and say the
// defaults.
TEST(NodeConfig, TheSampleShowsTheDefaults) {
    const std::string sample = read_file(BFT_SOURCE_DIR "/config/node.toml");
    const auto as_it_is = parse(sample);
    ASSERT_TRUE(as_it_is.value) << listing(as_it_is.errors);

    const std::string all = with_all_keys(sample);
    const auto switched_on = parse(all);
    ASSERT_TRUE(switched_on.value) << listing(switched_on.errors);
    const NodeConfig& c = *switched_on.value;
    const NodeConfig d = *parse("[host]\nname = \"host1\"\n").value;
    ASSERT_TRUE(c.http);
    const http::Limits given = c.http->server.limits, limits;
    EXPECT_EQ(given.connections, limits.connections);
    EXPECT_EQ(given.header_bytes, limits.header_bytes);
    EXPECT_EQ(given.body_bytes, limits.body_bytes);
    EXPECT_EQ(given.all_bodies_bytes, limits.all_bodies_bytes);
    EXPECT_EQ(given.header_timeout, limits.header_timeout);
    EXPECT_EQ(given.body_timeout, limits.body_timeout);
    EXPECT_EQ(given.idle_timeout, limits.idle_timeout);
    EXPECT_EQ(given.write_timeout, limits.write_timeout);
    EXPECT_EQ(given.subscribers, limits.subscribers);
    EXPECT_EQ(given.event_queue, limits.event_queue);
    EXPECT_EQ(given.event_queue_bytes, limits.event_queue_bytes);
    EXPECT_EQ(c.http->answer_timeout, HttpConfig().answer_timeout);
    EXPECT_EQ(c.data_dir, d.data_dir);
    EXPECT_EQ(c.identity_key, d.identity_key);
    EXPECT_EQ(c.cluster_file, d.cluster_file);
    EXPECT_EQ(c.status_socket, d.status_socket);
    EXPECT_EQ(c.log_level, d.log_level);
    EXPECT_EQ(c.verify_threads, d.verify_threads);
    EXPECT_EQ(c.usig.socket, d.usig.socket);
    EXPECT_EQ(c.usig.tokens, d.usig.tokens);
    EXPECT_EQ(c.usig.journal, d.usig.journal);
    EXPECT_EQ(c.usig.tpm_delay, d.usig.tpm_delay);
    const DatabaseConfig database;
    EXPECT_EQ(c.database->flavour, database.flavour);
    EXPECT_EQ(c.database->port, database.port);
    EXPECT_EQ(c.database->workers, database.workers);
    EXPECT_EQ(c.database->batch, database.batch);
    EXPECT_EQ(c.primary.batch_interval, d.primary.batch_interval);
    EXPECT_EQ(c.primary.heartbeat, d.primary.heartbeat);
    EXPECT_EQ(c.replica.forward_after, d.replica.forward_after);
    EXPECT_EQ(c.replica.retransmit, d.replica.retransmit);
    EXPECT_EQ(c.replica.status_interval, d.replica.status_interval);
    EXPECT_EQ(c.voter.status_interval, d.voter.status_interval);
    EXPECT_EQ(c.voter.gap_timeout, d.voter.gap_timeout);
    EXPECT_EQ(c.primary.slot_entries, d.primary.slot_entries);
    EXPECT_EQ(c.primary.slot_bytes, d.primary.slot_bytes);
    EXPECT_EQ(c.link_queue_bytes, d.link_queue_bytes);
}

TEST(Roles, AreParsedFromTheCommandLine) {
    EXPECT_EQ(*parse_roles("replica,voter"), (std::set<Role>{Role::replica, Role::voter}));
    EXPECT_FALSE(parse_roles(""));
    EXPECT_FALSE(parse_roles("voter,voter"));
    EXPECT_THAT(parse_roles("voter,replika").error().what, HasSubstr("did you mean 'replica'?"));
}

}  // namespace
}  // namespace bft::node
