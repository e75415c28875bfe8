#include "database/executor.hpp"

#include "base/invariant.hpp"
#include "base/log.hpp"
#include "consensus/signed_bytes.hpp"
#include "database/scan.hpp"
#include "database/server_version.hpp"
#include "database/setup.hpp"
#include "database/worker.hpp"

namespace bft::database {

const char* to_string(Alarm::Kind kind) {
    switch (kind) {
        case Alarm::Kind::database_lost:
            return "database_lost";
        case Alarm::Kind::database_back:
            return "database_back";
        case Alarm::Kind::disk_full:
            return "disk_full";
        case Alarm::Kind::stuck:
            return "stuck";
        case Alarm::Kind::wrong_sequence:
            return "wrong_sequence";
        case Alarm::Kind::second_voter:
            return "second_voter";
        case Alarm::Kind::damaged:
            return "damaged";
    }
    return "unknown";
}

namespace {

// A session whose host vanished without a word holds its locks for so long.
constexpr std::chrono::seconds kIdleTimeout{120};

ExecutorOptions with_idle_timeout(ExecutorOptions options) {
    options.connect.idle_timeout = kIdleTimeout;
    return options;
}

}  // namespace

class OrderedExecutor::Impl {
public:
    Impl(boost::asio::io_context& io, ExecutorOptions options,
         const catalog::Application& application, ExecutorHandlers handlers)
        : shared_(io, with_idle_timeout(std::move(options)), application, std::move(handlers)),
          control_(shared_, shared_.options.self.value) {
        invariant(shared_.options.workers > 0 && shared_.options.batch_max > 0,
                  "an executor has workers and its batches have room");
    }

    Result<Standing> open() {
        invariant(workers_.empty(), "an executor is opened once");
        auto control = Session::connect(shared_.options.connect);
        if (!control) return control.error();
        auto next = prepare(*control);
        if (!next) return next.error();
        std::vector<Session> sessions;
        for (std::uint32_t i = 0; i < shared_.options.workers; ++i) {
            auto session = Session::connect(shared_.options.connect);
            if (!session) return session.error();
            sessions.push_back(std::move(*session));
        }
        for (std::uint32_t i = 0; i < shared_.options.workers; ++i)
            workers_.push_back(std::make_unique<Worker>(shared_, i + 1));
        control_.start(std::move(*control));
        for (std::size_t i = 0; i < workers_.size(); ++i)
            workers_[i]->start(std::move(sessions[i]));
        return next;
    }

    bool execute(consensus::Execution execution) {
        invariant(execution.worker < workers_.size(), "an item is given to a worker that exists");
        Worker& worker = *workers_[execution.worker];
        return worker.push(std::move(execution));
    }
    bool lookup(consensus::Lookup lookup) { return control_.push(std::move(lookup)); }

    void stop() {
        shared_.stop = true;
        control_.wake();
        for (auto& worker : workers_) worker->wake();
        control_.join();
        for (auto& worker : workers_) worker->join();
    }

    [[nodiscard]] const ExecutorCounters& counters() const { return shared_.counters; }

private:
    Result<Standing> prepare(Session& control) {
        const auto& options = shared_.options;
        if (auto locked = lock_database(control); !locked) return locked.error();
        if (auto hole = determinism_hole(control.version()); !hole.empty())
            log::warn("server_version version={} what=\"{}\"", control.version(), hole);
        if (auto created = create_bookkeeping(control); !created) return created.error();
        if (auto bound = bind(control, options.cluster, options.self); !bound) return bound.error();
        auto installed = options.install ? install(control, shared_.application)
                                         : check_installed(control, shared_.application);
        if (!installed) return installed.error();
        auto next = next_sequences(control);
        if (!next) return next.error();
        if (next->empty() && options.genesis)
            if (auto right = check_genesis(*options.genesis); !right) return right.error();
        auto config = configuration(control);
        if (!config) return config.error();
        return Standing{std::move(*next), std::move(*config)};
    }

    // Before the first item only, while the daemon starts: nothing else waits for it. On a session
    // of its own, for a scan leaves its session in a snapshot.
    Result<void> check_genesis(const Digest& genesis) {
        log::info("genesis_comparing database={} what=\"is it the snapshot's? about 5 s per GB\"",
                  shared_.options.connect.database);
        ConnectOptions patient = shared_.options.connect;
        patient.answer_timeout = std::chrono::minutes(10);  // a table whose order needs a sort
        auto session = Session::connect(patient);
        if (!session) return session.error();
        if (auto begun = begin_snapshot(*session); !begun) return begun;
        auto found = scan(*session, tables_of(shared_.application), [] { return true; });
        if (!found) return found.error();
        if (consensus::database_root(*found->leaves) == genesis) return {};
        return error(Errc::refused,
                     "this cluster begins with a snapshot, and database '" +
                         shared_.options.connect.database +
                         "' is not what that says: load it with `bftctl snapshot restore`");
    }

    ExecutorShared shared_;
    Control control_;
    std::vector<std::unique_ptr<Worker>> workers_;
};

OrderedExecutor::OrderedExecutor(boost::asio::io_context& io, ExecutorOptions options,
                                 const catalog::Application& application, ExecutorHandlers handlers)
    : impl_(std::make_unique<Impl>(io, std::move(options), application, std::move(handlers))) {}

OrderedExecutor::~OrderedExecutor() {
    stop();
}

Result<Standing> OrderedExecutor::open() {
    return impl_->open();
}
bool OrderedExecutor::execute(consensus::Execution execution) {
    return impl_->execute(std::move(execution));
}
bool OrderedExecutor::lookup(consensus::Lookup lookup) {
    return impl_->lookup(std::move(lookup));
}
void OrderedExecutor::stop() {
    impl_->stop();
}
const ExecutorCounters& OrderedExecutor::counters() const {
    return impl_->counters();
}

}  // namespace bft::database
