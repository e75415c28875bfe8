// Prometheus metrics over HTTP. The loop publishes a list of values now and then; a scrape reads
// the last one from the exporter's own thread and costs the loop nothing.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace bft::metrics {

/// Of a histogram: how many were at most `bound`, those of smaller buckets included.
struct Bucket {
    double bound = 0;
    std::uint64_t count = 0;
};

struct Sample {
    std::map<std::string, std::string> labels;
    double value = 0;             ///< of a histogram: the sum
    std::vector<Bucket> buckets;  ///< of a histogram, by bound; the last one is infinite
};

/// One name with all its samples. Names follow Prometheus: bft_..., _total for counters, base
/// units.
struct Family {
    enum class Type { counter, gauge, histogram };
    std::string name;
    std::string help;
    Type type = Type::gauge;
    std::vector<Sample> samples;
};

/// In Prometheus' text format.
std::string to_text(const std::vector<Family>& families);

class Exporter {
public:
    /// Serves http://`address`/metrics ("host:port").
    static Result<std::unique_ptr<Exporter>> listen(const std::string& address);
    ~Exporter();

    void publish(std::vector<Family> families);

private:
    struct Impl;
    explicit Exporter(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace bft::metrics
