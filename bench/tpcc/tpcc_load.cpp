// tpcc_load: makes TPC-C's initial state in one or several database servers.
#include "loader.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>

using namespace bft;
using namespace bft::tpcc;

namespace {

struct Options {
    std::vector<std::string> sockets;
    Login login;
    std::string application;
    int warehouses = 1;
    double scale = 1.0;
    std::uint64_t seed = 1;
    bool replace = false;
};

Result<void> load(const Options& options) {
    auto application = catalog::Application::load(options.application);
    if (!application) return application.error();
    auto scale = Scale::of(options.warehouses, options.scale);
    if (!scale) return scale.error();
    std::vector<Login> servers;
    for (const std::string& socket : options.sockets) {
        servers.push_back(options.login);
        servers.back().socket = socket;
    }
    auto start = std::chrono::steady_clock::now();
    auto seconds = [&] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    Loader loader(*application, std::move(servers), *scale, options.seed, options.replace);
    auto done = loader.run([&](LoadProgress progress) {
        fmt::print("\rloading: {:5.1f} % of {} rows, {:.0f} s ",
                   100.0 * static_cast<double>(progress.rows_sent) /
                       static_cast<double>(progress.rows_total),
                   progress.rows_total, seconds());
        std::fflush(stdout);
    });
    fmt::print("\n");
    if (!done) return done;
    fmt::print("loaded {} warehouses into {} servers in {:.1f} s\n", options.warehouses,
               options.sockets.size(), seconds());
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    options.login.database = "tpcc";
    options.application = "config/apps/tpcc";
    CLI::App app("Makes TPC-C's initial state in database servers, the same in each.");
    app.add_option("--socket", options.sockets, "unix socket of a server; repeatable")->required();
    app.add_option("--warehouses", options.warehouses, "number of warehouses")
        ->capture_default_str();
    app.add_option("--scale", options.scale, "size of a warehouse, 0 < scale <= 1")
        ->capture_default_str();
    app.add_option("--seed", options.seed, "of the generated rows")->capture_default_str();
    app.add_option("--app", options.application, "folder of the application")
        ->capture_default_str();
    app.add_option("--database", options.login.database, "database to make")->capture_default_str();
    app.add_option("--user", options.login.user, "database user")->capture_default_str();
    app.add_option("--password", options.login.password, "of the database user");
    app.add_flag("--replace", options.replace, "remove a database of that name first");
    CLI11_PARSE(app, argc, argv);
    auto done = load(options);
    if (!done) {
        fmt::print(stderr, "tpcc_load: {}\n", done.error().what);
        return 1;
    }
    return 0;
}
