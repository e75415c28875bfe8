// The status document as Prometheus metrics.
#pragma once

#include "metrics/exporter.hpp"

#include <boost/json/object.hpp>

#include <vector>

namespace bft::node {

std::vector<metrics::Family> metric_families(const boost::json::object& status);

}  // namespace bft::node
