#include "metrics/exporter.hpp"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <exception>
#include <mutex>

namespace bft::metrics {

namespace {

class Published final : public prometheus::Collectable {
public:
    void set(std::vector<prometheus::MetricFamily> families) {
        std::lock_guard lock(mutex_);
        families_ = std::move(families);
    }
    [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override {
        std::lock_guard lock(mutex_);
        return families_;
    }

private:
    mutable std::mutex mutex_;
    std::vector<prometheus::MetricFamily> families_;
};

prometheus::MetricType type_of(Family::Type type) {
    switch (type) {
        case Family::Type::counter:
            return prometheus::MetricType::Counter;
        case Family::Type::gauge:
            return prometheus::MetricType::Gauge;
        case Family::Type::histogram:
            return prometheus::MetricType::Histogram;
    }
    return prometheus::MetricType::Untyped;
}

void fill(prometheus::ClientMetric::Histogram& histogram, const Sample& sample) {
    histogram.sample_sum = sample.value;
    histogram.sample_count = sample.buckets.empty() ? 0 : sample.buckets.back().count;
    for (const Bucket& bucket : sample.buckets)
        histogram.bucket.push_back({bucket.count, bucket.bound});
}

prometheus::MetricFamily convert(const Family& family) {
    prometheus::MetricFamily converted;
    converted.name = family.name;
    converted.help = family.help;
    converted.type = type_of(family.type);
    for (const Sample& sample : family.samples) {
        prometheus::ClientMetric metric;
        for (const auto& [name, value] : sample.labels) {
            prometheus::ClientMetric::Label label;
            label.name = name;
            label.value = value;
            metric.label.push_back(std::move(label));
        }
        metric.counter.value = sample.value;
        metric.gauge.value = sample.value;
        if (family.type == Family::Type::histogram) fill(metric.histogram, sample);
        converted.metric.push_back(std::move(metric));
    }
    return converted;
}

}  // namespace

std::string to_text(const std::vector<Family>& families) {
    std::vector<prometheus::MetricFamily> converted;
    converted.reserve(families.size());
    for (const Family& family : families) converted.push_back(convert(family));
    return prometheus::TextSerializer().Serialize(converted);
}

struct Exporter::Impl {
    explicit Impl(const std::string& address) : exposer(address, 1) {
        exposer.RegisterCollectable(published);
    }
    std::shared_ptr<Published> published = std::make_shared<Published>();
    prometheus::Exposer exposer;
};

Exporter::Exporter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Exporter::~Exporter() = default;

Result<std::unique_ptr<Exporter>> Exporter::listen(const std::string& address) {
    try {
        return std::unique_ptr<Exporter>(new Exporter(std::make_unique<Impl>(address)));
    } catch (const std::exception& failure) {  // the exposer throws when it cannot listen
        return error(Errc::unavailable, "cannot serve metrics at " + address + ": " +
                                            failure.what() + "; is the address in use?");
    }
}

void Exporter::publish(std::vector<Family> families) {
    std::vector<prometheus::MetricFamily> converted;
    converted.reserve(families.size());
    for (const Family& family : families) converted.push_back(convert(family));
    impl_->published->set(std::move(converted));
}

}  // namespace bft::metrics
