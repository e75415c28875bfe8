// bftctl snapshot save: asks one host's daemon for its database at a slot to come, and believes
// nothing of what it says that f+1 databases have not signed.
#include "consensus/signed_bytes.hpp"
#include "node/bftctl.hpp"
#include "node/bftctl_snapshot.hpp"
#include "node/bftctl_targets.hpp"
#include "node/status_document.hpp"

#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

namespace bft::node {
namespace {

using Clock = std::chrono::steady_clock;

// The wish has to be everywhere before the order is there.
constexpr std::uint64_t slots_ahead = 32;
constexpr std::size_t reply_bytes_max = 32 * 1024 * 1024;
constexpr int attempts_max = 8;

/// One host's daemon.
class Donor {
public:
    explicit Donor(const Target& target)
        : target_(target), socket_(control_socket_of(target.config.status_socket)) {}

    [[nodiscard]] const Target& target() const { return target_; }

    /// Its status, if its voter serves.
    [[nodiscard]] Result<StatusDocument> status() const {
        auto document = read_status(target_.config.status_socket);
        if (!document) return document.error();
        auto status = parse_status(*document);
        if (!status) return status.error();
        if (!status->voter) return error(Errc::refused, "its daemon has no voter");
        if (status->voter->quarantined)
            return error(Errc::refused, "its database is in quarantine: " + status->voter->reason);
        if (!status->voter->database_up) return error(Errc::refused, "its database is away");
        return status;
    }
    [[nodiscard]] Result<std::string> ask(const std::string& line) const {
        return ask_control(socket_, line, reply_bytes_max, std::chrono::minutes(3));
    }

private:
    const Target& target_;
    std::filesystem::path socket_;
};

std::uint64_t slot_after(const StatusDocument& status, const ClusterFile& cluster,
                         std::uint64_t attempt) {
    std::uint64_t tip = 0;
    for (const auto& replica : status.replicas) tip = std::max(tip, replica.tip);
    const std::uint64_t every = cluster.checkpoint_slots;
    return ((tip + slots_ahead * (1 + attempt)) / every + 1) * every;
}

/// The head at `slot`, once f_D+1 have signed it. Errc::refused: that slot was skipped.
Result<database::SnapshotHead> wait_for_head(const Donor& donor, std::uint64_t slot,
                                             Clock::time_point deadline, Progress& progress) {
    const std::string line = "snapshot head " + std::to_string(slot);
    const auto since = Clock::now();
    while (!interrupted() && Clock::now() < deadline) {
        auto answer = donor.ask(line);
        if (answer) return database::decode_snapshot_head(as_bytes(*answer));
        if (!answer.error().what.starts_with("wait")) return answer.error();
        const auto waited =
            std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - since).count();
        progress.show("waiting for slot " + std::to_string(slot) +
                      " and f+1 scans: " + std::to_string(waited) + " s");
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    return error(Errc::unavailable,
                 interrupted() ? "interrupted" : "f+1 databases did not sign one root in time");
}

Result<void> copy_chunks(const Donor& donor, const database::SnapshotHead& head,
                         database::SnapshotWriter& writer, Progress& progress) {
    std::size_t all = 0, done = 0;
    for (const consensus::DbLeaf& leaf : *head.leaves) all += leaf.chunks.size();
    for (std::size_t i = 0; i < head.leaves->size(); ++i) {
        const consensus::DbLeaf& leaf = (*head.leaves)[i];
        for (std::size_t k = 0; k < leaf.chunks.size(); ++k) {
            if (interrupted()) return error(Errc::unavailable, "interrupted");
            auto rows = donor.ask("snapshot chunk " + std::to_string(head.slot.value) + " " +
                                  std::to_string(i) + " " + std::to_string(k));
            if (!rows) return rows.error();
            if (consensus::chunk_digest(as_bytes(*rows)) != leaf.chunks[k])
                return error(Errc::refused, database::describe(leaf) +
                                                ": the daemon gives other rows than were signed; "
                                                "take another --host");
            if (auto put = writer.add(as_bytes(*rows)); !put) return put;
            progress.show(std::to_string(++done) + "/" + std::to_string(all) + " chunks, " +
                          megabytes(writer.bytes()));
        }
    }
    return {};
}

/// A head that is signed, of a snapshot that is open.
Result<database::SnapshotHead> begin(const Donor& donor, const SnapshotSaveOptions& options,
                                     Progress& progress) {
    const auto deadline = Clock::now() + std::chrono::milliseconds(
                                             static_cast<std::int64_t>(options.timeout_s * 1000));
    Error last = error(Errc::unavailable, "interrupted");
    for (std::uint64_t attempt = 0; attempt < attempts_max && !interrupted(); ++attempt) {
        auto status = donor.status();
        if (!status) return status.error();
        const std::uint64_t slot = slot_after(*status, donor.target().cluster, attempt);
        auto told = donor.ask("snapshot begin " + std::to_string(slot));
        if (!told) return told.error();
        auto head = wait_for_head(donor, slot, deadline, progress);
        if (head) {
            if (head->slot.value != slot)
                return error(Errc::refused, "the daemon answers for another slot");
            if (auto right = check_head(*head, donor.target().cluster); !right)
                return right.error();
            return head;
        }
        (void)donor.ask("snapshot end " + std::to_string(slot) + " not-begun");
        last = head.error();
        if (last.code != Errc::refused) break;
    }
    return last;
}

Result<std::string> save_from(const Donor& donor, const SnapshotSaveOptions& options) {
    Progress progress;
    auto head = begin(donor, options, progress);
    if (!head) return head.error();
    const std::string slot = std::to_string(head->slot.value);
    const std::string file = options.out.empty()
                                 ? "bft-" + donor.target().cluster.name + "-" + slot + ".snapshot"
                                 : options.out;
    auto written = [&]() -> Result<void> {
        auto writer = database::SnapshotWriter::create(file, *head);
        if (!writer) return writer.error();
        if (auto copied = copy_chunks(donor, *head, *writer, progress); !copied) return copied;
        return writer->finish();
    }();
    progress.end();
    (void)donor.ask("snapshot end " + slot + (written ? " written" : " given-up"));
    if (!written) return written.error();
    return file;
}

/// The host that was named, or the first that can.
Result<Donor> choose(const std::vector<Target>& targets, const std::string& host) {
    std::string why;
    for (const Target& target : targets) {
        if (!host.empty() && target.config.host != host) continue;
        if (!target.cluster.roles_of(target.config.host).contains(Role::voter)) continue;
        Donor donor(target);
        auto status = donor.status();
        if (status) return donor;
        why += (why.empty() ? "" : "; ") + target.config.host + ": " + status.error().what;
    }
    return error(Errc::unavailable, why.empty() ? "no host here has a database" : why);
}

}  // namespace

int save_snapshot(const SnapshotSaveOptions& options) {
    const Result<std::vector<Target>> targets = find_targets(options.places);
    if (!targets || targets->empty()) {
        std::fprintf(stderr, "%s\n", targets ? "bftctl: no host" : targets.error().what.c_str());
        return exit_usage;
    }
    std::error_code ignored;
    if (!options.out.empty() && std::filesystem::exists(options.out, ignored)) {
        std::fprintf(stderr, "bftctl: %s exists already\n", options.out.c_str());
        return exit_usage;
    }
    note_signals();
    const Result<Donor> donor = choose(*targets, options.host);
    const Result<std::string> file =
        donor ? save_from(*donor, options) : Result<std::string>(donor.error());
    if (!file) {
        std::fprintf(stderr, "bftctl: %s; nothing was written\n", file.error().what.c_str());
        return interrupted() ? exit_interrupted : exit_failed;
    }
    std::printf("%s\n", file->c_str());
    return exit_done;
}

}  // namespace bft::node
