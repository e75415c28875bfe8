// bftctl manifest and bftctl verify-receipt: what HTTP clients pin, and what they can prove with
// it.
#include "crypto/signing_key.hpp"
#include "node/bftctl.hpp"
#include "node/manifest.hpp"
#include "wire/json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

namespace bft::node {
namespace {

constexpr std::size_t file_bytes_max = 64 * 1024 * 1024;

/// "-" is standard input.
std::optional<std::string> read_all(const std::string& name) {
    std::ifstream file;
    if (name != "-") file.open(name, std::ios::binary);
    std::istream& in = name == "-" ? std::cin : file;
    std::ostringstream text;
    text << in.rdbuf();
    std::string all = std::move(text).str();
    if (!in || all.size() > file_bytes_max) {
        std::fprintf(stderr, "bftctl: cannot read %s\n", name.c_str());
        return std::nullopt;
    }
    return all;
}

struct Options {
    std::string receipt;
    std::string manifest;
    std::string digest;
};

class Checker final : public consensus::SignatureChecker {
public:
    bool certified(UsigId, const consensus::Ui&, const Digest&) override { return false; }
    bool signed_by(ByteView key, const Digest& digest, ByteView signature) override {
        return crypto::verify(key, digest, signature);
    }
};

/// A gateway's whole answer will do as well: the receipt is a member of it.
std::string receipt_within(const std::string& text) {
    boost::system::error_code failure;
    boost::json::value value = boost::json::parse(text, failure);
    const boost::json::object* object = failure ? nullptr : value.if_object();
    const boost::json::value* inner = object == nullptr ? nullptr : object->if_contains("receipt");
    return inner == nullptr ? text : boost::json::serialize(*inner);
}

void describe(const consensus::Receipt& receipt, const ClusterFile& cluster,
              const std::vector<Position>& signers) {
    const consensus::ItemResult& answer = receipt.answer.answer;
    std::string names, client = "?";
    const consensus::Membership membership = cluster.membership();
    for (Position position : signers) {
        auto host =
            membership.host_of(consensus::Endpoint::replica(receipt.answer.group, position));
        names += (names.empty() ? "" : ", ") + cluster.host(*host).name;
    }
    for (const ClusterClient& one : cluster.clients)
        if (one.id == answer.rid.client) client = one.name;
    std::printf("good: signed by %s\n", names.c_str());
    std::printf("cluster %s (%s)\n", cluster.name.c_str(), hex(receipt.cluster).c_str());
    std::printf("request %s of client %llu (%s), home partition %u, number %llu\n",
                hex(receipt.answer.rd).c_str(),
                static_cast<unsigned long long>(answer.rid.client.value), client.c_str(),
                answer.rid.home.value, static_cast<unsigned long long>(answer.rid.cseq.value));
    std::printf("slot %llu, index %u, at %llu ms since 1970\n",
                static_cast<unsigned long long>(receipt.answer.slot.value), answer.index,
                static_cast<unsigned long long>(receipt.answer.ts_ms));
    std::printf("outcome %s, code %u\n", wire::name_of(answer.outcome), answer.code);
}

int run_verify(const Options& options) {
    auto manifest_text = read_all(options.manifest);
    auto receipt_text = read_all(options.receipt);
    if (!manifest_text || !receipt_text) return exit_usage;
    const Result<ClusterFile> cluster = parse_manifest(*manifest_text);
    if (!cluster) {
        std::fprintf(stderr, "bftctl: %s: %s\n", options.manifest.c_str(),
                     cluster.error().what.c_str());
        return exit_usage;
    }
    if (!options.digest.empty() && hex(cluster->digest()) != options.digest) {
        std::fprintf(stderr, "bftctl: %s has the digest %s, not the one that is wanted\n",
                     options.manifest.c_str(), hex(cluster->digest()).c_str());
        return exit_failed;
    }
    const Result<consensus::Receipt> receipt =
        wire::receipt_from_json(receipt_within(*receipt_text));
    if (!receipt) {
        std::fprintf(stderr, "bftctl: %s: %s\n", options.receipt.c_str(),
                     receipt.error().what.c_str());
        return exit_usage;
    }
    Checker checker;
    const consensus::Membership membership = cluster->membership();
    auto key_of = [&](GroupId group, Position position, const std::string& alg) -> Bytes {
        auto host = membership.host_of(consensus::Endpoint::replica(group, position));
        if (!host) return {};
        if (alg == "ed25519") return cluster->host(*host).key;
        return alg == "p256" ? cluster->host(*host).web_key : Bytes();
    };
    auto signers = consensus::check_receipt(*receipt, membership, checker, key_of);
    if (!signers) {
        std::fprintf(stderr, "bftctl: this receipt proves nothing: %s\n",
                     signers.error().what.c_str());
        return exit_failed;
    }
    describe(*receipt, *cluster, *signers);
    return exit_done;
}

int run_manifest(const std::string& file) {
    const Loaded<ClusterFile> cluster = load_cluster_file(file);
    for (const Diagnostic& wrong : cluster.errors)
        std::fprintf(stderr, "%s\n", to_string(wrong).c_str());
    if (!cluster.value) return exit_usage;
    auto application = catalog::Application::load(cluster.value->application.folder);
    if (!application) {
        std::fprintf(stderr, "%s\n", application.error().what.c_str());
        return exit_usage;
    }
    std::printf("%s\n", manifest_json(*cluster.value, *application).c_str());
    return exit_done;
}

}  // namespace

Command add_manifest(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "manifest", "Prints the manifest of a cluster: what HTTP clients pin, as JSON");
    auto file = std::make_shared<std::string>();
    command->add_option("FILE", *file, "cluster.toml of any host")->required();
    command->footer(
        "Exit status: 0 written to standard output; 2 wrong command line or file.\n"
        "Example:\n  bftctl manifest cluster/hosts/host1/cluster.toml > manifest.json");
    return [file] { return run_manifest(*file); };
}

Command add_verify_receipt(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "verify-receipt",
        "Checks without a network that f+1 replicas signed a transaction's result");
    auto options = std::make_shared<Options>();
    command->add_option("FILE", options->receipt, "the receipt, as JSON; -: standard input")
        ->required();
    command->add_option("--manifest", options->manifest, "the cluster's manifest")->required();
    command->add_option("--digest", options->digest,
                        "what the manifest's digest must be, where the file itself is not trusted");
    command->footer(
        "A gateway's whole answer is taken, too. Exit status 0: good; 1: it proves nothing; 2: a "
        "file "
        "is wrong.\nExample:\n  bftctl verify-receipt receipt.json --manifest "
        "cluster/manifest.json");
    return [options] { return run_verify(*options); };
}

}  // namespace bft::node
