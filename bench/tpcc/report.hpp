// The driver's output: one live line per second, a table and JSON at the end.
#pragma once

#include "driver.hpp"

#include <string>

namespace bft::tpcc {

std::string progress_line(const Progress& progress);
std::string result_table(const DriveResult& result);
/// One JSON object; times in microseconds, rates per second.
std::string result_json(const DriveResult& result, const DriveOptions& options,
                        const std::string& target);

}  // namespace bft::tpcc
