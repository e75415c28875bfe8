// bftctl client: clients that come, change their key and go while the cluster runs.
#include "base/bytes.hpp"
#include "crypto/web_key.hpp"
#include "node/bftctl_change.hpp"
#include "node/staging.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <cstdio>
#include <filesystem>

namespace bft::node {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

// Clients of the cluster file have small numbers.
constexpr std::uint64_t first_id = 1 << 20;

struct Options : ChangeOptions {
    std::string name;        ///< of a new client
    std::string who;         ///< its folder, or its number
    std::string out;         ///< where the new client's folder is made
    std::string public_key;  ///< the client made its key itself
};

Result<ClientId> client_of(const std::string& who) {
    if (!who.empty() && who.find_first_not_of("0123456789") == std::string::npos && who.size() < 19)
        return ClientId(std::stoull(who));
    auto config = client::load_config(who);
    if (!config) return config.error();
    return config->id;
}

std::string name_of(ClientId id) {
    return "client " + std::to_string(id.value);
}

/// The key that its client has, or the one that is made for it.
struct NewKey {
    Bytes public_key;
    std::optional<crypto::SigningKey> made;
};

Result<NewKey> key_for(const Options& options) {
    if (options.public_key.empty()) {
        crypto::SigningKey key = crypto::SigningKey::generate();
        Bytes public_key = key.public_key();
        return NewKey{std::move(public_key), std::move(key)};
    }
    auto bytes = from_hex(options.public_key);
    if (!bytes || (bytes->size() != 32 && bytes->size() != 65))
        return error(Errc::malformed,
                     "--public-key is an Ed25519 key of 64 hexadecimal digits, or an uncompressed "
                     "P-256 point of 130");
    return NewKey{std::move(*bytes), std::nullopt};
}

// --- list

int list(const Options& options) {
    auto running = look(options);
    if (!running) return say_failed(running.error());
    json::array all;
    if (!options.json())
        std::printf(
            "configuration %llu; clients of the cluster file that are not named here are as "
            "they are there\n%-12s %s\n",
            static_cast<unsigned long long>(running->now.version.value), "CLIENT", "KEY");
    for (const auto& [id, key] : running->now.clients) {
        if (!options.json())
            std::printf("%-12llu %s\n", static_cast<unsigned long long>(id.value),
                        key.empty() ? "- (removed)" : hex(key).c_str());
        json::object one{{"id", id.value}, {"removed", key.empty()}};
        if (!key.empty()) one["key"] = hex(key);
        all.emplace_back(std::move(one));
    }
    if (options.json())
        std::printf("%s\n", json::serialize(json::object{{"version", running->now.version.value},
                                                         {"clients", std::move(all)}})
                                .c_str());
    return exit_done;
}

// --- add

// As init makes them. On disk before anything is ordered: a key that is in force and that nobody
// has would be a client that nobody can be.
Result<void> prepare(Staging& staging, const client::Config& of_admin, ClientId id,
                     const NewKey& key) {
    client::Config config = of_admin;
    config.id = id;
    config.key_file = "client.key";
    config.application = "app";
    config.key_by_order = true;
    if (auto done = staging.write("client.toml", client::to_toml(config)); !done) return done;
    if (auto done = staging.copy_folder(of_admin.application, "app"); !done) return done;
    if (!key.made) return {};
    auto file = staging.place("client.key");
    if (!file) return file.error();
    return key.made->save(*file);
}

int add(const Options& options) {
    auto key = key_for(options);
    if (!key) return say_failed(key.error());
    auto running = look(options);
    if (!running) return say_failed(running.error());
    const fs::path folder = options.out.empty()
                                ? fs::absolute(fs::path(options.client) / ".." / options.name)
                                : fs::path(options.out);
    if (fs::exists(folder))
        return say_failed(error(Errc::refused, folder.lexically_normal().string() + " exists"));
    ClientId id(first_id);
    if (!running->now.clients.empty())
        id = ClientId(std::max(first_id, running->now.clients.rbegin()->first.value + 1));
    consensus::ConfigChange change;
    change.clients.push_back({id, key->public_key});
    const std::string where = folder.lexically_normal().string();
    std::optional<Staging> staging;
    if (!options.dry_run) {
        auto opened = Staging::open(folder);
        if (!opened) return say_failed(opened.error());
        staging.emplace(std::move(*opened));
        if (auto done = prepare(*staging, running->config, id, *key); !done)
            return say_failed(done.error());
        if (auto done = staging->commit(folder / "replaced"); !done)
            return say_failed(done.error());
    }
    const int status = bring(options, *running, change,
                             {name_of(id) + " (" + options.name + ") comes; its folder: " + where},
                             {{"id", id.value}, {"name", options.name}, {"folder", where}});
    std::error_code ignored;  // refused: nobody needs the folder
    if (status == exit_failed && !options.dry_run) fs::remove_all(folder, ignored);
    return status;
}

// --- rotate

int rotate(const Options& options) {
    auto id = client_of(options.who);
    if (!id) return say_failed(id.error());
    auto key = key_for(options);
    if (!key) return say_failed(key.error());
    const fs::path folder(options.who);
    if (key->made && !fs::is_directory(folder))
        return say_failed(error(Errc::malformed,
                                "whose key is made here is named by its folder; of others give "
                                "--public-key"));
    auto running = look(options);
    if (!running) return say_failed(running.error());
    if (running->now.removed(*id))
        return say_failed(error(Errc::refused, name_of(*id) + " was removed"));
    consensus::ConfigChange change;
    change.clients.push_back({*id, key->public_key});
    const fs::path next = folder / "client.key.next";
    if (key->made && !options.dry_run)
        if (auto done = key->made->save(next); !done) return say_failed(done.error());
    auto take_key = [&]() -> Result<void> {
        if (!key->made) return {};
        auto config = client::load_config(options.who);
        if (!config) return config.error();
        std::error_code failed;
        const fs::path now = config->key_file;
        fs::rename(now, fs::path(now.string() + ".before"), failed);
        if (!failed) fs::rename(next, now, failed);
        if (failed)
            return error(Errc::io, "the new key is in force, but stays in " + next.string() + ": " +
                                       failed.message());
        if (config->key_by_order) return {};
        config->key_by_order = true;
        config->key_file = now.filename();
        config->application = fs::relative(config->application, folder);
        auto staging = Staging::open(folder);
        if (!staging) return staging.error();
        if (auto done = staging->write("client.toml", client::to_toml(*config)); !done) return done;
        return staging->commit(folder / "replaced");
    };
    const int status = bring(options, *running, change, {name_of(*id) + " has another key"},
                             {{"id", id->value}, {"key", hex(key->public_key)}},
                             {{}, [&](boost::json::object&) { return take_key(); }});
    std::error_code ignored;
    if (status == exit_failed && !options.dry_run && fs::exists(next, ignored))
        std::fprintf(stderr, "bftctl: the key that was made is in %s\n", next.c_str());
    return status;
}

// --- remove

int remove(const Options& options) {
    auto id = client_of(options.who);
    if (!id) return say_failed(id.error());
    auto running = look(options);
    if (!running) return say_failed(running.error());
    consensus::ConfigChange change;
    change.clients.push_back({*id, {}});
    return bring(options, *running, change, {name_of(*id) + " goes"}, {{"id", id->value}});
}

}  // namespace

Command add_client(CLI::App& app) {
    CLI::App* command =
        app.add_subcommand("client", "Clients that come, change their key and go at run time");
    command->require_subcommand(1);
    command->footer(
        "What a client asked for before it went, or with its old key, is done if it was ordered "
        "before;\n"
        "nothing that is ordered later. Exit status: 0 in force; 1 refused, nothing changed; 2 "
        "wrong command\n"
        "line; 4 not known in time.\n"
        "Example:\n"
        "  bftctl client add ann --client cluster/clients/admin --key cluster/admins/admin.key\n"
        "  bftctl client rotate cluster/clients/ann --client cluster/clients/admin --key ...\n"
        "  bftctl client remove cluster/clients/ann --client cluster/clients/admin --key ...");
    auto options = std::make_shared<Options>();
    CLI::App* lists = command->add_subcommand("list", "Clients that changes have spoken of");
    add_looking(*lists, *options);
    CLI::App* adds = command->add_subcommand("add", "A new client, with a folder like init's");
    add_changing(*adds, *options);
    adds->add_option("NAME", options->name, "its name, and its folder's beside --client's")
        ->required();
    adds->add_option("--dir", options->out, "another place for its folder");
    adds->add_option("--public-key", options->public_key, "the client has a key of its own: hex");
    CLI::App* rotates = command->add_subcommand("rotate", "Another key for a client");
    add_changing(*rotates, *options);
    rotates->add_option("CLIENT", options->who, "its folder, which gets the new key, or its number")
        ->required();
    rotates->add_option("--public-key", options->public_key, "the client has made the key: hex");
    CLI::App* removes = command->add_subcommand("remove", "It is a client no longer");
    add_changing(*removes, *options);
    removes->add_option("CLIENT", options->who, "its folder, or its number")->required();
    return [options, lists, adds, rotates] {
        if (lists->parsed()) return list(*options);
        if (adds->parsed()) return add(*options);
        return rotates->parsed() ? rotate(*options) : remove(*options);
    };
}

}  // namespace bft::node
