// The snapshot of one cut: opened by the worker that committed it, scanned and read by a thread of
// its own while execution goes on.
#pragma once

#include "catalog/application.hpp"
#include "consensus/database_guard.hpp"
#include "database/scan.hpp"

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace bft::database {

struct SnapshotOptions {
    ConnectOptions connect;
    /// After each chunk of a scan: sleep so many times as long as it took. A scan is in no hurry.
    double rest = 1.0;
};

/// Called on the io_context.
struct SnapshotHandlers {
    std::function<void(consensus::Scan)> scanned;
    /// The scan found that a table is missing or cannot be read.
    std::function<void(std::string)> damaged;
    std::function<void(consensus::ChunkExport, std::optional<Bytes>)> exported;
};

class SnapshotKeeper {
public:
    SnapshotKeeper(boost::asio::io_context& io, SnapshotOptions options,
                   const catalog::Application& application, SnapshotHandlers handlers);
    ~SnapshotKeeper();
    SnapshotKeeper(const SnapshotKeeper&) = delete;
    SnapshotKeeper& operator=(const SnapshotKeeper&) = delete;

    /// From the worker that is alone with the database at this moment. False: another snapshot is
    /// still in use, or none could be opened.
    bool open(Slot slot);
    /// Answered by `exported`; by nullopt when that snapshot is not open.
    void read(const consensus::ChunkExport& asked);
    /// The snapshot is not needed any more.
    void close();

    [[nodiscard]] std::uint64_t scans() const { return scans_; }
    [[nodiscard]] std::uint64_t skipped() const { return skipped_; }
    [[nodiscard]] std::uint64_t cpu_us() const { return cpu_us_; }
    [[nodiscard]] std::uint64_t scan_ms() const { return scan_ms_; }  ///< of the last one

private:
    void run();
    void scan_now();
    void answer(const consensus::ChunkExport& asked);
    void drop_snapshot();
    [[nodiscard]] bool rest(std::chrono::steady_clock::duration worked);
    template <class Handler, class... Args>
    void post(Handler SnapshotHandlers::*handler, Args... args);

    boost::asio::io_context& io_;
    SnapshotOptions options_;
    const std::map<std::string, std::string> tables_;
    std::shared_ptr<const SnapshotHandlers> handlers_;

    std::mutex mutex_;
    std::condition_variable changed_;
    bool stop_ = false;
    bool close_ = false;
    bool in_use_ = false;
    std::optional<Session> opened_;  ///< handed over by open()
    Slot slot_{};
    std::deque<consensus::ChunkExport> asked_;

    std::optional<Session> session_;  ///< of the thread
    std::optional<DatabaseScan> scan_;
    std::atomic<std::uint64_t> scans_{0}, skipped_{0}, cpu_us_{0}, scan_ms_{0};
    std::thread thread_;
};

}  // namespace bft::database
