#include "node/commands.hpp"

#include "base/log_level.hpp"
#include "database/snapshot_file.hpp"

#include <charconv>
#include <optional>

namespace bft::node {

namespace {

Error unknown() {
    return error(Errc::malformed, "unknown command");
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    while (!line.empty()) {
        const std::size_t end = std::min(line.find(' '), line.size());
        if (end > 0) words.push_back(line.substr(0, end));
        line.remove_prefix(std::min(end + 1, line.size()));
    }
    return words;
}

template <class Number>
bool read(std::string_view word, Number& into) {
    const char* end = word.data() + word.size();
    const auto parsed = std::from_chars(word.data(), end, into);
    return parsed.ec == std::errc() && parsed.ptr == end;
}

}  // namespace

void Commands::obey(const Caller& caller, const std::string& line,
                    const ControlServer::Reply& reply) {
    const Words words = words_of(line);
    const bool reading =
        words.size() > 2 && words[0] == "snapshot" && (words[1] == "head" || words[1] == "chunk");
    if (!reading) {
        const Result<void> done = act(words);
        const Result<void> recorded =
            log_.record(caller, line, done ? "ok" : "refused: " + done.error().what);
        if (!done) return reply(done.error());
        if (!recorded)
            return reply(error(Errc::io, "done, but not recorded: " + recorded.error().what));
        return reply(Bytes());
    }
    // A part of the act that "snapshot begin" has recorded.
    std::uint64_t slot = 0;
    std::uint32_t leaf = 0, chunk = 0;
    if (voter_ == nullptr || !read(words[2], slot)) return reply(unknown());
    if (words[1] == "head") return reply(snapshot_head(slot));
    if (words.size() != 5 || !read(words[3], leaf) || !read(words[4], chunk))
        return reply(unknown());
    voter_->read_saved(Slot(slot), leaf, chunk, [reply](std::optional<Bytes> rows) {
        reply(rows ? Result<Bytes>(std::move(*rows))
                   : Result<Bytes>(error(Errc::unavailable,
                                         "the snapshot is not open any more; begin again")));
    });
}

Result<void> Commands::act(const Words& words) {
    if (words.empty()) return unknown();
    const std::string_view name = words[0];
    if (words.size() == 1 && (name == "drain" || name == "undrain")) {
        readiness_.drain(name == "drain");
        return {};
    }
    if (words.size() == 1 && name == "restart") return {};
    if (words.size() == 2 && name == "log-level") return set_log_level(words[1]);
    if (voter_ == nullptr) return error(Errc::refused, "this daemon has no database voter");
    if (words.size() == 1 && name == "resync") return voter_->resync();
    std::uint64_t slot = 0;
    if (words.size() == 2 && name == "audit" && read(words[1], slot) && slot != 0)
        return voter_->audit(Slot(slot));
    if (words.size() >= 3 && name == "snapshot" && read(words[2], slot) && slot != 0) {
        if (words.size() == 3 && words[1] == "begin") return voter_->save(Slot(slot));
        if (words[1] == "end") {
            voter_->end_save();
            return {};
        }
    }
    return unknown();
}

Result<void> Commands::set_log_level(std::string_view level) {
    if (level != "debug" && level != "info" && level != "warn" && level != "error")
        return error(Errc::malformed, "a level is debug, info, warn or error");
    log::set_level(std::string(level));
    return {};
}

Result<Bytes> Commands::snapshot_head(std::uint64_t slot) {
    auto saved = voter_->saved(Slot(slot));
    if (!saved) return saved.error();
    return database::encode(database::SnapshotHead{cluster_, application_, Slot(slot), saved->root,
                                                   std::move(saved->votes), saved->leaves});
}

}  // namespace bft::node
