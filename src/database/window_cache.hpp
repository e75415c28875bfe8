// The client windows of cbft_win, kept in memory between batches.
#pragma once

#include "base/ids.hpp"
#include "consensus/client_window.hpp"

#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace bft::database {

using WindowKey = std::pair<PartitionId, ClientId>;
using Windows = std::map<WindowKey, consensus::ClientWindow>;

/// Shared by the workers. Items of one home partition never run at the same time, so an entry has
/// one user at a time; what is written here is committed already.
class WindowCache {
public:
    std::optional<consensus::ClientWindow> find(const WindowKey& key) const {
        std::lock_guard lock(mutex_);
        auto it = windows_.find(key);
        return it == windows_.end() ? std::nullopt : std::optional(it->second);
    }
    void store(const Windows& committed) {
        std::lock_guard lock(mutex_);
        // A flood of clients costs reads from the table, not memory.
        if (windows_.size() + committed.size() > kEntriesMax) windows_.clear();
        for (const auto& [key, window] : committed) windows_.insert_or_assign(key, window);
    }

private:
    static constexpr std::size_t kEntriesMax = 200'000;

    mutable std::mutex mutex_;
    Windows windows_;
};

}  // namespace bft::database
