#include "usig/ledger.hpp"

#include "base/invariant.hpp"
#include "base/log.hpp"
#include "usig/byte_writer.hpp"

#include <chrono>
#include <thread>

namespace bft::usig {

namespace {

// Records: "<epoch>/last" = cv 8, voids 4, digest 32, certificate; "<epoch>/intent" = cv 8, digest
// 32;
// "<epoch>/note" = cv 8, the backend's note; "<epoch>/void" = cv 8.

Bytes encode_last(const Digest& digest, const consensus::Ui& ui) {
    ByteWriter out;
    out.put(ui.cv.value).put(ui.voids).raw(digest.view()).raw(ui.certificate);
    return out.take();
}

std::optional<Certified> decode_last(ByteView bytes) {
    ByteReader in(bytes);
    Certified out;
    out.ui.cv = Counter(in.get<std::uint64_t>());
    out.ui.voids = in.get<std::uint32_t>();
    in.fill(out.digest.bytes);
    out.ui.certificate = to_bytes(in.rest());
    return in.good() ? std::optional(out) : std::nullopt;
}

TimePoint steady_now() {
    return TimePoint(
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

std::string name(UsigId identity) {
    return "USIG identity " + std::to_string(identity.value);
}

Error hole(UsigId identity, Counter value, const Digest& digest, const std::string& why) {
    return error(
        Errc::refused,
        name(identity) + ": value " + std::to_string(value.value) + " was spent on digest " +
            hex(digest) + " and has no certificate (" + why +
            "). It certifies nothing until all who process this counter have promised never to "
            "count the value: every replica must run for a moment. If one is lost for good, "
            "replace the identity");
}

Error amnesia(UsigId identity, Counter spent, Counter value) {
    return error(Errc::refused,
                 name(identity) + ": the counter is at " + std::to_string(value.value) +
                     ", but the journal knows certificates up to " + std::to_string(spent.value) +
                     " only: the journal was lost or restored from an old copy. Restore the newest "
                     "journal, or replace the identity");
}

Error rolled_back(UsigId identity, Counter spent, Counter value) {
    return error(Errc::refused,
                 name(identity) + ": the counter is at " + std::to_string(value.value) +
                     ", but certificates up to " + std::to_string(spent.value) +
                     " were made: the TPM's state was rolled back (an old swtpm state or VM "
                     "snapshot). This TPM must not be used again; replace all its identities");
}

}  // namespace

Result<std::unique_ptr<Ledger>> Ledger::open(Backend& backend, Journal& journal) {
    std::unique_ptr<Ledger> ledger(new Ledger(backend, journal));
    for (const auto identity : backend.identities())
        if (auto ok = ledger->load(identity); !ok) return ok.error();
    if (auto ok = ledger->sync(); !ok) return ok.error();
    return ledger;
}

Result<void> Ledger::load(UsigId identity) {
    Entry& entry = entries_[identity];
    entry.key = hex(backend_.identity(identity).epoch());
    auto stored = journal_.get(entry.key + "/last");
    if (!stored) return stored.error();
    if (*stored) {
        entry.last = decode_last(**stored);
        if (!entry.last)
            return error(Errc::io, name(identity) + ": the journal's record has a bad format");
    }
    auto forsaken = journal_.get(entry.key + "/void");
    if (!forsaken) return forsaken.error();
    if (*forsaken) entry.forsaken = Counter(ByteReader(**forsaken).get<std::uint64_t>());
    auto value = backend_.value(identity);
    if (!value) return value.error();
    return compare(identity, entry, *value);
}

Result<void> Ledger::compare(UsigId identity, Entry& entry, Counter value) {
    const auto spent = entry.spent();
    if (value < spent) return rolled_back(identity, spent, value);
    if (value == spent) return {};  // T0
    auto stored = journal_.get(entry.key + "/intent");
    if (!stored) return stored.error();
    if (*stored) {
        ByteReader in(**stored);
        const Counter intended(in.get<std::uint64_t>());
        Digest digest;
        in.fill(digest.bytes);
        if (in.complete() && intended == value && value == spent.next())
            return finish(identity, entry, digest, value);
    }
    entry.trouble = amnesia(identity, spent, value);  // T2
    log::error("usig_forgotten {}", entry.trouble->what);
    return {};
}

// T1 where the backend still knows; else T1v.
Result<void> Ledger::finish(UsigId identity, Entry& entry, const Digest& digest, Counter value) {
    auto ui = resume(identity, entry, digest, value);
    if (!ui && ui.error().code != Errc::refused) return ui.error();
    if (!ui) {
        note_hole(identity, entry, digest, value, ui.error().what);
        return {};
    }
    log::info("usig_resumed identity={} cv={}", identity.value, value.value);
    return keep(entry, digest, *ui);
}

void Ledger::note_hole(UsigId identity, Entry& entry, const Digest& digest, Counter value,
                       const std::string& why) {
    entry.trouble = hole(identity, value, digest, why);
    entry.hole = value;
    log::warn("usig_hole {}", entry.trouble->what);
}

Result<Standing> Ledger::standing(UsigId identity) const {
    auto problem = trouble(identity);
    const auto found = entries_.find(identity);
    if (problem && (found == entries_.end() || !found->second.hole)) return *problem;
    return Standing{found->second.last, found->second.hole};
}

Result<Standing> Ledger::forsake(UsigId identity, Counter cv) {
    if (fatal_) return *fatal_;
    const auto found = entries_.find(identity);
    if (found == entries_.end()) return *trouble(identity);
    Entry& entry = found->second;
    if (entry.hole == cv) {
        if (auto ok = put(entry.key + "/void", ByteWriter().put(cv.value).bytes()); !ok)
            return ok.error();
        entry.forsaken = cv;
        entry.hole.reset();
        entry.trouble.reset();
        entry.intent.reset();
        log::info("usig_voided identity={} cv={}", identity.value, cv.value);
    } else if (entry.forsaken != cv) {
        return error(Errc::refused,
                     name(identity) + " has no hole at value " + std::to_string(cv.value));
    }
    return Standing{entry.last, std::nullopt};
}

Result<consensus::Ui> Ledger::resume(UsigId identity, Entry& entry, const Digest& digest,
                                     Counter value) {
    auto stored = journal_.get(entry.key + "/note");
    if (!stored) return stored.error();
    Bytes note;
    if (*stored) {
        ByteReader in(**stored);
        if (in.get<std::uint64_t>() == value.value) note = to_bytes(in.rest());
    }
    return backend_.resume(identity, digest, value, note);
}

std::optional<Error> Ledger::trouble(UsigId identity) const {
    const auto found = entries_.find(identity);
    if (found == entries_.end()) return error(Errc::not_found, name(identity) + " is not here");
    return found->second.trouble;
}

Result<std::optional<Certified>> Ledger::last(UsigId identity) const {
    if (auto problem = trouble(identity)) return *problem;
    return entries_.at(identity).last;
}

Result<void> Ledger::put(const std::string& key, ByteView value) {
    auto ok = journal_.put(key, value);
    if (!ok) fatal_ = ok.error();
    return ok;
}

Result<void> Ledger::intend(UsigId identity, const Digest& digest) {
    if (fatal_) return *fatal_;
    if (auto problem = trouble(identity)) return *problem;
    if (auto room = journal_.reserve(); !room) {
        if (room.error().code != Errc::exhausted)
            fatal_ = room.error();
        else if (complaints_.allow(steady_now()))
            log::error("usig_waits what=\"{}\"", room.error().what);
        return room;
    }
    Entry& entry = entries_.at(identity);
    entry.intent = digest;
    return put(entry.key + "/intent",
               ByteWriter().put(entry.spent().value + 1).raw(digest.view()).bytes());
}

Result<void> Ledger::sync() {
    if (fatal_) return *fatal_;
    auto ok = journal_.sync();
    if (!ok) fatal_ = ok.error();
    return ok;
}

Result<void> Ledger::keep(Entry& entry, const Digest& digest, const consensus::Ui& ui) {
    if (auto ok = put(entry.key + "/last", encode_last(digest, ui)); !ok) return ok;
    entry.last = Certified{digest, ui};
    return {};
}

Result<consensus::Ui> Ledger::create(UsigId identity) {
    if (fatal_) return *fatal_;
    if (auto problem = trouble(identity)) return *problem;
    Entry& entry = entries_.at(identity);
    invariant(entry.intent.has_value(), "a value is spent only on a recorded intent");
    const auto value = entry.spent().next();
    const auto note = [&](ByteView bytes) {
        return put(entry.key + "/note", ByteWriter().put(value.value).raw(bytes).bytes());
    };
    auto ui = backend_.create(identity, *entry.intent, note);
    if (!ui) ui = recover(identity, entry, ui.error());
    if (!ui) return ui.error();
    if (ui->cv != value || ui->voids != 0) {
        entry.trouble = amnesia(identity, entry.spent(), ui->cv);
        return *entry.trouble;
    }
    if (auto ok = keep(entry, *entry.intent, *ui); !ok) return ok.error();
    entry.intent.reset();
    return ui;
}

Result<consensus::Ui> Ledger::recover(UsigId identity, Entry& entry, const Error& problem) {
    constexpr int attempts = 5;
    log::warn("usig_create_failed identity={} problem=\"{}\"", identity.value, problem.what);
    if (fatal_) return *fatal_;
    auto now = backend_.value(identity);
    for (int turn = 1; turn < attempts && (!now || *now == entry.spent().next()); ++turn) {
        if (now) {
            auto ui = resume(identity, entry, *entry.intent, *now);
            if (ui) return ui;
            if (ui.error().code == Errc::refused) {
                note_hole(identity, entry, *entry.intent, *now, ui.error().what);
                return *entry.trouble;
            }
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1 << turn));
        now = backend_.value(identity);
    }
    if (!now || *now == entry.spent().next()) {
        fatal_ = error(Errc::io, "the TPM failed in the middle of a certificate: " + problem.what);
        return *fatal_;
    }
    if (*now == entry.spent()) return error(Errc::unavailable, problem.what);
    if (*now < entry.spent()) {
        fatal_ = rolled_back(identity, entry.spent(), *now);
        return *fatal_;
    }
    entry.trouble = amnesia(identity, entry.spent(), *now);
    return *entry.trouble;
}

}  // namespace bft::usig
