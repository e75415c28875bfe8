#include "record.hpp"

#include <fmt/format.h>

#include <chrono>

namespace bft::tpcc {

namespace {

// Column of the customer in a Payment's answer (config/apps/tpcc/procedures.sql).
constexpr std::size_t payment_c_id = 11;

std::string text_of(const bftnode::Value& value) {
    if (const auto* number = std::get_if<std::int64_t>(&value.data)) return fmt::to_string(*number);
    if (const auto* text = std::get_if<std::string>(&value.data)) return *text;
    return "-";
}

const bftnode::Row* first_row(const bftnode::CallResult* result) {
    if (result == nullptr || result->result_sets.empty() || result->result_sets[0].empty())
        return nullptr;
    return &result->result_sets[0][0];
}

std::string orders_of(const bftnode::CallResult* result) {
    std::string orders;
    if (result == nullptr || result->result_sets.empty()) return orders;
    for (const bftnode::Row& row : result->result_sets[0])
        orders += fmt::format(" {}:{}", text_of(row.at(0)), text_of(row.at(1)));
    return orders;
}

std::string fields(const Request& request, const bftnode::CallResult* result) {
    const auto& args = request.args;
    const bftnode::Row* row = first_row(result);
    switch (request.transaction) {
        case Transaction::new_order:
            return fmt::format("{} {} {} {}{}", text_of(args[0]), text_of(args[1]),
                               text_of(args[2]), args[3].rows().size(),
                               row != nullptr ? " " + text_of(row->at(0)) : "");
        case Transaction::payment:
            return fmt::format("{} {} {} {} {} {}", text_of(args[0]), text_of(args[1]),
                               text_of(args[2]), text_of(args[3]),
                               text_of(row != nullptr ? row->at(payment_c_id) : args[4]),
                               text_of(args[6]));
        case Transaction::delivery:
            return fmt::format("{} {}{}", text_of(args[0]), text_of(args[1]), orders_of(result));
        case Transaction::order_status:
        case Transaction::stock_level:
            break;
    }
    return {};
}

}  // namespace

std::string record_line(const Request& request, const bftnode::CallResult* result) {
    bool lost = result == nullptr || result->error.has_value();
    if (lost && request.must_abort) return {};
    if (!lost && result->outcome != bftnode::Outcome::ok) return {};
    std::string line = fields(request, lost ? nullptr : result);
    if (line.empty()) return {};
    return fmt::format("{} {} {}", lost ? "lost" : "ok", request.procedure(), line);
}

Result<void> Timeline::open(const std::string& file) {
    file_ = file;
    out_.open(file);
    if (!out_) return error(Errc::io, "cannot write " + file);
    return {};
}

void Timeline::answered(const Request& request, std::uint64_t latency_us) {
    if (!out_.is_open()) return;
    auto at = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    out_ << at.count() << ' ' << text_of(request.args.at(0)) << ' ' << latency_us << '\n';
}

Result<void> Timeline::close() {
    if (out_.is_open() && !out_.flush()) return error(Errc::io, "cannot write " + file_);
    return {};
}

Result<void> Record::open(const std::string& file) {
    file_ = file;
    out_.open(file);
    if (!out_) return error(Errc::io, "cannot write " + file);
    return {};
}

void Record::answered(const Request& request, const bftnode::CallResult& result) {
    if (!is_open()) return;
    if (std::string line = record_line(request, &result); !line.empty()) out_ << line << '\n';
}

void Record::lost(const Request& request) {
    if (!is_open()) return;
    if (std::string line = record_line(request, nullptr); !line.empty()) out_ << line << '\n';
}

Result<void> Record::close() {
    if (!is_open()) return {};
    out_.close();
    if (!out_) return error(Errc::io, "cannot write " + file_);
    return {};
}

}  // namespace bft::tpcc
