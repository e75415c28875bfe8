// bftctl call: one transaction from the command line.
#include "catalog/application.hpp"
#include "client/config.hpp"
#include "node/bftctl.hpp"
#include "node/call_arguments.hpp"
#include "node/config_reader.hpp"

#include <bftnode/client.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

namespace bft::node {
namespace {

struct Options {
    std::string client;
    std::string procedure;
    std::vector<std::string> arguments;
    double timeout_s = 30;
    bool quiet = false;
};

void print_value(const bftnode::Value& value) {
    if (value.is_null())
        std::cout << "NULL";
    else if (const auto* number = std::get_if<std::int64_t>(&value.data))
        std::cout << *number;
    else if (const auto* text = std::get_if<std::string>(&value.data))
        std::cout << *text;
}

void print_rows(const std::vector<bftnode::Rows>& sets) {
    bool first = true;
    for (const bftnode::Rows& rows : sets) {
        if (!first) std::cout << "\n";
        first = false;
        for (const bftnode::Row& row : rows) {
            for (std::size_t i = 0; i < row.size(); ++i) {
                if (i > 0) std::cout << "\t";
                print_value(row[i]);
            }
            std::cout << "\n";
        }
    }
}

/// A word that is no procedure, before anything is sent.
bool knows_procedure(const client::Config& config, const std::string& name) {
    const Result<catalog::Application> application = catalog::Application::load(config.application);
    if (!application) {
        std::fprintf(stderr, "bftctl: %s\n", application.error().what.c_str());
        return false;
    }
    if (application->procedure(name) != nullptr) return true;
    std::set<std::string, std::less<>> names;
    std::string list;
    for (const auto& [known, procedure] : application->procedures()) {
        names.insert(known);
        list += (list.empty() ? "" : ", ") + known;
    }
    std::fprintf(stderr, "bftctl: there is no procedure '%s'%s There are: %s\n", name.c_str(),
                 closest(name, names).empty() ? "." : did_you_mean(name, names).c_str(),
                 list.c_str());
    return false;
}

/// About the answer, on standard error: standard output has the rows alone.
void print_story(const bftnode::CallResult& result, std::size_t hosts, std::uint32_t f) {
    const double ms = std::chrono::duration<double, std::milli>(result.latency).count();
    std::fprintf(stderr,
                 "-- %s in %.1f ms, slot %llu; %u equal answers were needed from %zu hosts "
                 "(f = %u), attempt %u\n",
                 bftnode::to_string(result.outcome), ms,
                 static_cast<unsigned long long>(result.slot), f + 1, hosts, f, result.attempts);
    for (const std::string& host : result.disagreeing)
        std::fprintf(stderr, "-- DISAGREED: %s gave another answer\n", host.c_str());
}

int run(const Options& options) {
    Result<client::Config> config = client::load_config(options.client);
    if (!config) {
        std::fprintf(stderr, "bftctl: %s\n", config.error().what.c_str());
        return exit_usage;
    }
    if (!knows_procedure(*config, options.procedure)) return exit_usage;
    std::vector<bftnode::Value> arguments;
    for (const std::string& text : options.arguments) {
        if (Result<void> done = parse_argument(text, arguments.emplace_back()); !done) {
            std::fprintf(stderr, "bftctl: %s\n", done.error().what.c_str());
            return exit_usage;
        }
    }
    bftnode::Options client_options;
    client_options.give_up_after =
        std::chrono::milliseconds(static_cast<std::int64_t>(options.timeout_s * 1000));
    client_options.bundle_interval = std::chrono::microseconds(0);
    client_options.log_level = options.quiet ? "error" : "warn";
    const auto client = bftnode::Client::open(options.client, client_options);
    const bftnode::CallResult result = client->call(options.procedure, std::move(arguments)).get();
    if (result.error) {
        std::fprintf(stderr, "bftctl: %s: %s\n", bftnode::to_string(result.error->code),
                     result.error->what.c_str());
        if (result.error->code == bftnode::ErrorCode::bad_call) return exit_usage;
        return result.error->code == bftnode::ErrorCode::timeout ? exit_unknown : exit_failed;
    }
    print_rows(result.result_sets);
    if (!options.quiet) print_story(result, config->hosts.size(), config->f);
    if (result.outcome == bftnode::Outcome::aborted) {
        std::fprintf(stderr, "bftctl: aborted by rule, code %u\n", result.code);
        return exit_aborted;
    }
    return exit_done;
}

}  // namespace

Command add_call(CLI::App& app) {
    CLI::App* command = app.add_subcommand("call", "Runs one transaction and prints its rows");
    auto options = std::make_shared<Options>();
    command->add_option("--client", options->client, "the client's folder, made by init")
        ->required();
    command->add_option("--timeout", options->timeout_s, "give up after so many seconds")
        ->check(CLI::Range(0.1, 86400.0))
        ->capture_default_str();
    command->add_flag("-q,--quiet", options->quiet, "only the rows");
    command->add_option("PROCEDURE", options->procedure, "as in the application's catalog.toml")
        ->required();
    command->add_option("ARGUMENT", options->arguments,
                        "in the catalog's order: 42, text, 'text:42', NULL, or rows as "
                        "[[1,\"a\"],[2,\"b\"]]; after -- where one begins with a dash");
    command->footer(
        "Rows go to standard output, tab-separated; what is said about them to standard error.\n"
        "Exit status: 0 executed; 1 it did not work; 2 wrong procedure, arguments or file: nothing "
        "was "
        "sent;\n"
        "3 ended by a rule of the application; 4 no f+1 equal answers in time: it may have been "
        "executed.\n"
        "Examples:\n"
        "  bftctl call --client cluster/clients/admin stock_level 1 1 15\n"
        "  bftctl call --client cluster/clients/admin order_status -- 1 1 -5 NULL");
    return [options] { return run(*options); };
}

}  // namespace bft::node
