#include "database/snapshot.hpp"

#include <boost/asio/post.hpp>

#include <ctime>

namespace bft::database {

namespace {

constexpr std::size_t asked_max = 64;

ConnectOptions patient(ConnectOptions connect) {
    // A table whose order needs a sort says nothing for a while; a lent snapshot is idle in
    // between.
    connect.answer_timeout = std::chrono::minutes(10);
    connect.idle_timeout = std::chrono::hours(8);
    return connect;
}

std::uint64_t thread_cpu_us() {
    timespec used{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return static_cast<std::uint64_t>(used.tv_sec) * 1'000'000 +
           static_cast<std::uint64_t>(used.tv_nsec) / 1000;
}

}  // namespace

SnapshotKeeper::SnapshotKeeper(boost::asio::io_context& io, SnapshotOptions options,
                               const catalog::Application& application, SnapshotHandlers handlers)
    : io_(io),
      options_(std::move(options)),
      tables_(tables_of(application)),
      handlers_(std::make_shared<const SnapshotHandlers>(std::move(handlers))),
      thread_([this] {
          run();
          session_.reset();
          mysql_thread_end();
      }) {
    options_.connect = patient(options_.connect);
}

SnapshotKeeper::~SnapshotKeeper() {
    {
        std::lock_guard lock(mutex_);
        stop_ = true;
        changed_.notify_all();
    }
    thread_.join();
}

template <class Handler, class... Args>
void SnapshotKeeper::post(Handler SnapshotHandlers::*handler, Args... args) {
    boost::asio::post(io_, [handlers = handlers_, handler, ... moved = std::move(args)]() mutable {
        if ((*handlers).*handler) ((*handlers).*handler)(std::move(moved)...);
    });
}

bool SnapshotKeeper::open(Slot slot) {
    {
        std::lock_guard lock(mutex_);
        if (in_use_ || stop_) {
            ++skipped_;
            return false;
        }
        in_use_ = true;
    }
    auto session = Session::connect(options_.connect);
    bool begun = session && begin_snapshot(*session);
    std::lock_guard lock(mutex_);
    if (!begun) {
        in_use_ = false;
        ++skipped_;
        return false;
    }
    opened_ = std::move(*session);
    slot_ = slot;
    close_ = false;
    changed_.notify_all();
    return true;
}

void SnapshotKeeper::read(const consensus::ChunkExport& asked) {
    std::lock_guard lock(mutex_);
    if (in_use_ && asked.slot == slot_ && asked_.size() < asked_max) {
        asked_.push_back(asked);
        changed_.notify_all();
        return;
    }
    post(&SnapshotHandlers::exported, asked, std::optional<Bytes>());
}

void SnapshotKeeper::close() {
    std::lock_guard lock(mutex_);
    if (!in_use_) return;
    close_ = true;
    changed_.notify_all();
}

void SnapshotKeeper::run() {
    std::unique_lock lock(mutex_);
    while (!stop_) {
        changed_.wait(lock, [&] { return stop_ || close_ || opened_ || !asked_.empty(); });
        if (stop_) return;
        if (opened_) {
            session_ = std::exchange(opened_, std::nullopt);
            lock.unlock();
            scan_now();
            lock.lock();
        } else if (close_) {
            drop_snapshot();
        } else if (!asked_.empty()) {
            auto asked = asked_.front();
            asked_.pop_front();
            lock.unlock();
            answer(asked);
            lock.lock();
        }
    }
}

/// With the mutex held.
void SnapshotKeeper::drop_snapshot() {
    session_.reset();
    scan_.reset();
    close_ = false;
    in_use_ = false;
    for (const auto& asked : asked_)
        post(&SnapshotHandlers::exported, asked, std::optional<Bytes>());
    asked_.clear();
}

bool SnapshotKeeper::rest(std::chrono::steady_clock::duration worked) {
    auto length =
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(worked * options_.rest);
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, std::chrono::steady_clock::now() + length,
                        [&] { return stop_ || close_; });
    return !stop_ && !close_;
}

void SnapshotKeeper::scan_now() {
    auto began = std::chrono::steady_clock::now();
    auto chunk_began = began;
    std::uint64_t cpu = thread_cpu_us();
    auto scanned = scan(*session_, tables_, [&] {
        bool go_on = rest(std::chrono::steady_clock::now() - chunk_began);
        chunk_began = std::chrono::steady_clock::now();
        return go_on;
    });
    ++scans_;
    cpu_us_ += thread_cpu_us() - cpu;
    scan_ms_ = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                              std::chrono::steady_clock::now() - began)
                                              .count());
    consensus::Scan result{slot_, nullptr};
    if (scanned) {
        scan_ = std::move(*scanned);
        result.leaves = scan_->leaves;
    } else {
        std::lock_guard lock(mutex_);
        drop_snapshot();
    }
    if (!scanned && scanned.error().code == Errc::not_found)
        post(&SnapshotHandlers::damaged, scanned.error().what);
    else
        post(&SnapshotHandlers::scanned, result);
}

void SnapshotKeeper::answer(const consensus::ChunkExport& asked) {
    bool known = scan_ && asked.leaf < scan_->places.size() &&
                 asked.chunk < scan_->places[asked.leaf].size();
    std::optional<Bytes> rows;
    if (known) {
        std::uint64_t cpu = thread_cpu_us();
        auto read = read_chunk(*session_, *scan_, asked.leaf, asked.chunk);
        if (read) rows = std::move(*read);
        cpu_us_ += thread_cpu_us() - cpu;
    }
    post(&SnapshotHandlers::exported, asked, std::move(rows));
}

}  // namespace bft::database
