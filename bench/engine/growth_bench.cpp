// growth_bench: what one request costs as groups, faults, values and crowds grow, in a cluster in
// memory (rig.hpp). One CSV row per combination of the lists; needs no machine with many cores.
#include "rig.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>

namespace {

using namespace bft::bench;

struct Lists {
    std::vector<std::uint32_t> groups{1};
    std::vector<std::uint32_t> f{1};
    std::vector<std::size_t> bytes{0};
    std::vector<std::size_t> crowd{512};
    std::size_t requests = 20000;
    bool databases = false;
};

bool measure(const RigOptions& options, std::size_t crowd, std::size_t requests) {
    Rig rig(options);
    // Past the first checkpoint, so that all that is regular is in the figures.
    for (int i = 0; i < 70; ++i)
        if (!rig.serve(options.groups)) return false;
    rig.reset();
    std::size_t rounds = std::max<std::size_t>(requests / crowd, 4);
    for (std::size_t i = 0; i < rounds; ++i)
        if (!rig.serve(crowd)) return false;
    const Cost& c = rig.cost();
    auto per = [&](auto value) {
        return static_cast<double>(value) / static_cast<double>(c.requests);
    };
    auto us = [&](std::chrono::nanoseconds time) { return per(time.count()) / 1000; };
    fmt::print(
        "{},{},{},{},{},{},{:.1f},{:.4f},{:.1f},{:.5f},{:.5f},{:.5f},{:.5f},{:.1f},{:.3f},{:.3f},{:"
        ".3f},"
        "{:.3f},{:.3f},{:.3f},{:.3f}\n",
        options.groups, options.f, options.op_bytes, crowd, options.databases ? "yes" : "no",
        c.requests,
        per(c.requests) * static_cast<double>(c.requests) / static_cast<double>(c.slots),
        per(c.frames), per(c.bytes), per(c.certificates), per(c.certificate_checks),
        per(c.signature_checks), per(c.durable), per(c.log_bytes), us(c.codec), us(c.verify),
        us(c.primary), us(c.replicas), us(c.voters), us(c.leader_host),
        us(c.codec + c.verify + c.primary + c.replicas + c.voters));
    std::fflush(stdout);
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    Lists lists;
    CLI::App app("What one request costs as the cluster grows: CSV on standard output");
    app.add_option("--groups", lists.groups, "numbers of groups")->delimiter(',');
    app.add_option("--f", lists.f, "hosts that may lie, of those with replicas")->delimiter(',');
    app.add_option("--bytes", lists.bytes, "of an operation (with databases also of a result)")
        ->delimiter(',');
    app.add_option("--crowd", lists.crowd, "requests that arrive together")->delimiter(',');
    app.add_option("--requests", lists.requests, "of each row, about")->capture_default_str();
    app.add_flag("--databases", lists.databases, "with voters, whose databases answer at once");
    CLI11_PARSE(app, argc, argv);
    fmt::print(
        "groups,f,bytes,crowd,databases,requests,requests_per_slot,frames,frame_bytes,certificates,"
        "certificate_checks,signature_checks,syncs,log_bytes,codec_us,verify_us,primary_us,"
        "replicas_us,"
        "voters_us,leader_host_us,cpu_us\n");
    for (std::uint32_t groups : lists.groups)
        for (std::uint32_t f : lists.f)
            for (std::size_t bytes : lists.bytes)
                for (std::size_t crowd : lists.crowd)
                    if (!measure({groups, f, lists.databases, bytes, lists.databases ? bytes : 0},
                                 crowd, lists.requests)) {
                        fmt::print(stderr, "growth_bench: not every request was answered\n");
                        return 1;
                    }
    return 0;
}
