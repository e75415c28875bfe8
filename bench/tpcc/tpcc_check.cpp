// tpcc_check: TPC-C's consistency conditions on each database, and equality of all, row for row.
#include "checker.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <optional>
#include <set>
#include <thread>

using namespace bft;
using namespace bft::tpcc;

namespace {

/// Does the same for every database at once.
template <class T>
Result<std::vector<T>> for_each(const std::vector<Login>& logins, Result<T> (*what)(const Login&)) {
    std::vector<std::optional<Result<T>>> answers(logins.size());
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < logins.size(); ++i)
            threads.emplace_back([&, i] { answers[i].emplace(what(logins[i])); });
    }
    std::vector<T> values;
    for (std::size_t i = 0; i < logins.size(); ++i) {
        if (!*answers[i])
            return error(answers[i]->error().code,
                         logins[i].socket + ": " + answers[i]->error().what);
        values.push_back(std::move(**answers[i]));
    }
    return values;
}

/// Waits until all databases have executed the same: the last one answers its clients no more, and
/// still has some way to go.
Result<bool> settle(const std::vector<Login>& logins, std::chrono::seconds patience) {
    auto end = std::chrono::steady_clock::now() + patience;
    while (true) {
        auto next = for_each(logins, executed_up_to);
        if (!next) return next.error();
        bool equal = true;
        for (const auto& one : *next) equal = equal && one == next->front();
        if (equal || std::chrono::steady_clock::now() >= end) return equal;
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
}

/// The number of conditions that do not hold.
Result<int> print_conditions(const std::vector<Login>& logins) {
    auto results = for_each(logins, check_conditions);
    if (!results) return results.error();
    fmt::print("{:<9}{:<54}", "3.3.2.", "consistency condition");
    for (std::size_t i = 0; i < logins.size(); ++i)
        fmt::print("{:>12}", fmt::format("database {}", i));
    fmt::print("\n");
    int broken = 0;
    for (std::size_t c = 0; c < conditions.size(); ++c) {
        fmt::print("{:<9}{:<54}", conditions[c].number, conditions[c].states);
        for (const auto& result : *results)
            fmt::print("{:>12}", result[c].violations == 0
                                     ? std::string("holds")
                                     : fmt::format("{} broken", result[c].violations));
        fmt::print("\n");
        for (std::size_t i = 0; i < logins.size(); ++i) {
            if ((*results)[i][c].violations == 0) continue;
            ++broken;
            fmt::print("         database {}: for example ({})\n", i, (*results)[i][c].example);
        }
    }
    return broken;
}

/// The number of slices that differ.
Result<int> print_equality(const std::vector<Login>& logins) {
    auto digests = for_each(logins, digest_slices);
    if (!digests) return digests.error();
    std::set<Slice> all;
    std::uint64_t rows = 0;
    for (const auto& one : *digests)
        for (const auto& [slice, digest] : one) all.insert(slice);
    for (const auto& [slice, digest] : digests->front()) rows += digest.rows;
    int different = 0;
    for (const Slice& slice : all) {
        auto of = [&](std::size_t i) {
            auto entry = (*digests)[i].find(slice);
            return entry == (*digests)[i].end() ? SliceDigest{} : entry->second;
        };
        for (std::size_t i = 1; i < logins.size(); ++i) {
            if (of(i) == of(0)) continue;
            ++different;
            auto row = first_difference(logins[0], logins[i], slice);
            fmt::print("DIFFERENT {}{}: database 0 has {} rows, database {} has {}; first: {}\n",
                       slice.table,
                       slice.warehouse > 0 ? fmt::format(" of warehouse {}", slice.warehouse) : "",
                       of(0).rows, i, of(i).rows, row ? *row : row.error().what);
        }
    }
    if (different == 0)
        fmt::print("{} databases are equal: {} rows in {} slices\n", logins.size(), rows,
                   all.size());
    return different;
}

Result<int> check(const std::vector<Login>& logins, std::chrono::seconds patience) {
    for (std::size_t i = 0; i < logins.size(); ++i)
        fmt::print("database {}: {}\n", i, logins[i].socket);
    auto settled = settle(logins, patience);
    if (!settled) return settled.error();
    if (!*settled)
        fmt::print("the databases have not executed the same transactions after {} s\n",
                   patience.count());
    auto broken = print_conditions(logins);
    if (!broken) return broken;
    if (logins.size() == 1) return *broken;
    auto different = print_equality(logins);
    if (!different) return different;
    return *broken + *different + (*settled ? 0 : 1);
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::string> sockets;
    Login login;
    login.database = "tpcc";
    std::uint64_t wait = 30;
    CLI::App app("Checks TPC-C's consistency conditions and that all databases are equal.");
    app.add_option("--socket", sockets, "unix socket of a server; repeatable")->required();
    app.add_option("--database", login.database, "name of the database")->capture_default_str();
    app.add_option("--user", login.user, "database user")->capture_default_str();
    app.add_option("--password", login.password, "of the database user");
    app.add_option("--wait", wait, "seconds for databases that lag behind")
        ->capture_default_str()
        ->check(CLI::Range(0, 86400));
    CLI11_PARSE(app, argc, argv);
    std::vector<Login> logins;
    for (const std::string& socket : sockets) {
        logins.push_back(login);
        logins.back().socket = socket;
    }
    auto failures = check(logins, std::chrono::seconds(wait));
    if (!failures) {
        fmt::print(stderr, "tpcc_check: {}\n", failures.error().what);
        return 1;
    }
    if (*failures > 0) fmt::print("FAILED: {}\n", *failures);
    return *failures == 0 ? 0 : 1;
}
