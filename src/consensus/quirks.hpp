// Turns that a correct engine may take at any time and hardly ever does: a cache that has dropped
// what is asked for, a timer that is early, a batch of one. A simulation hands in quirks so that
// such turns are taken often, by seed (the BUGGIFY points of FoundationDB); a product's host hands
// in none, and nothing strikes.
#pragma once

#include <cstdint>

namespace bft::consensus {

enum class Quirk : std::uint8_t {
    small_batch,       ///< primary: a slot with one request, whatever waits
    early_heartbeat,   ///< primary: an empty slot before its time
    lost_body,         ///< replica: a pooled body is gone when its header comes
    late_commit,       ///< replica: commits with the next input, and more at once
    early_fetch,       ///< replica: asks for a certified message that is on its way
    early_check,       ///< replica: looks for what is missing before its time
    early_status,      ///< replica: says where it stands before its time
    hasty_suspicion,   ///< replica: asks for the next view though nobody is late
    bare_items,        ///< executor: COMMIT-DB without bodies
    early_resend,      ///< executor: COMMIT-DB again before an answer can be here
    digest_reply,      ///< executor: a digest where the full answer is due
    full_reply,        ///< executor: the full answer where a digest would do
    forgotten_answer,  ///< voter: an answer is in the database and no longer in memory
    early_gap,         ///< voter: asks for a sequence number that is on its way
    lone_item,         ///< voter: one item at a time
    full_quota,        ///< voter: a vote that found no room
    short_lease,       ///< guard: the snapshot that others read is closed
    other_donor,       ///< guard: asks the next donor while this one still works
    short_answer,      ///< log: an answer to FETCH holds one message of many
};
inline constexpr int quirk_kinds = 19;

[[nodiscard]] constexpr const char* to_string(Quirk quirk) {
    constexpr const char* names[quirk_kinds] = {
        "small batch",  "early heartbeat", "lost body",        "late commit", "early fetch",
        "early check",  "early status",    "hasty suspicion",  "bare items",  "early resend",
        "digest reply", "full reply",      "forgotten answer", "early gap",   "lone item",
        "full quota",   "short lease",     "other donor",      "short answer"};
    return names[static_cast<int>(quirk)];
}

class Quirks {
public:
    virtual ~Quirks() = default;
    /// Whether the engine that asks takes this turn now.
    [[nodiscard]] virtual bool strikes(Quirk quirk) = 0;
};

[[nodiscard]] inline bool strikes(Quirks* quirks, Quirk quirk) {
    return quirks != nullptr && quirks->strikes(quirk);
}

}  // namespace bft::consensus
