// Reading typed records, for the parts of DurableLog.
#pragma once

#include "host/durable_log.hpp"
#include "wire/codec.hpp"

namespace bft::host {

template <class Record>
std::optional<Record> DurableLog::read(const Bytes& key) const {
    auto value = store_.get(key);
    if (!value || !*value) return std::nullopt;
    auto record = wire::decode_record(**value);
    if (!record) return std::nullopt;
    if (auto* found = std::get_if<Record>(&*record)) return std::move(*found);
    return std::nullopt;
}

template <class Record>
Result<void> DurableLog::scan(const Bytes& prefix, const Bytes& from,
                              const std::function<void(Record&&)>& visit) const {
    std::optional<Error> damaged;
    auto scanned = store_.scan(prefix, from, [&](ByteView key, ByteView value) {
        auto record = wire::decode_record(value);
        auto* found = record ? std::get_if<Record>(&*record) : nullptr;
        if (found == nullptr) {
            damaged = error(Errc::io, "the log's record " + hex(key) +
                                          " is damaged; restore the data directory or replace this "
                                          "host's identities");
            return false;
        }
        visit(std::move(*found));
        return true;
    });
    if (!scanned) return scanned.error();
    if (damaged) return *damaged;
    return {};
}

}  // namespace bft::host
