#include "host/misbehaviour.hpp"

#include "consensus/signed_bytes.hpp"

#include <array>
#include <utility>

namespace bft::host {

using consensus::ItemResult;

namespace {

// A lie that agrees with itself: another result under the digest that fits it.
void falsify(ItemResult& item) {
    item.outcome = consensus::Outcome::ok;
    item.code = 0;
    item.result = to_bytes(as_bytes("a lie"));
    item.rdig = consensus::result_digest(item.outcome, item.code, item.result);
}

}  // namespace

Result<Misbehaviour> Misbehaviour::parse(std::string_view text) {
    static constexpr std::array<std::pair<std::string_view, Kind>, 8> names{{
        {"wrong-commit", Kind::wrong_commit},
        {"wrong-commit-db", Kind::wrong_commit_db},
        {"wrong-result", Kind::wrong_result},
        {"wrong-reply", Kind::wrong_reply},
        {"wrong-page", Kind::wrong_page},
        {"forged-signature", Kind::forged_signature},
        {"silence", Kind::silence},
        {"garbage", Kind::garbage},
    }};
    Misbehaviour misbehaviour;
    misbehaviour.prng_ = Prng(0x6c6965);
    while (!text.empty()) {
        std::string_view name = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), name.size() + 1));
        bool known = false;
        for (const auto& [candidate, kind] : names) {
            if (candidate != name) continue;
            misbehaviour.kinds_.insert(kind);
            known = true;
        }
        if (!known)
            return error(Errc::malformed,
                         "unknown misbehaviour '" + std::string(name) +
                             "'; there are wrong-commit, wrong-commit-db, wrong-result, "
                             "wrong-reply, wrong-page, forged-signature, silence and garbage");
    }
    return misbehaviour;
}

std::string Misbehaviour::text() const {
    static constexpr std::array names{"wrong-commit", "wrong-commit-db", "wrong-result",
                                      "wrong-reply",  "wrong-page",      "forged-signature",
                                      "silence",      "garbage"};
    std::string all;
    for (Kind kind : kinds_)
        all += (all.empty() ? "" : ",") + std::string(names[static_cast<std::size_t>(kind)]);
    return all;
}

std::optional<consensus::Payload> Misbehaviour::change(const consensus::Payload& payload) {
    if (does(Kind::silence)) return std::nullopt;
    consensus::Payload changed = payload;
    if (auto* commit = std::get_if<consensus::Commit>(&changed)) {
        if (does(Kind::wrong_commit)) {
            commit->hd.bytes[0] ^= 1;
            commit->prepare.hd = commit->hd;
        }
    } else if (auto* commit_db = std::get_if<consensus::CommitDb>(&changed)) {
        if (does(Kind::wrong_commit_db))
            for (consensus::DbItem& item : commit_db->items) {
                item.ts_ms += 1;
                item.rd.bytes[0] ^= 1;
            }
    } else if (auto* db_reply = std::get_if<consensus::DbReply>(&changed)) {
        if (does(Kind::wrong_result))
            for (ItemResult& item : db_reply->items) falsify(item);
    } else if (auto* reply = std::get_if<consensus::Reply>(&changed)) {
        if (does(Kind::wrong_reply)) {
            falsify(reply->answer);
            reply->answer.has_result = true;
        }
    }
    return changed;
}

void Misbehaviour::change_signature(Bytes& signature) const {
    if (does(Kind::forged_signature) && !signature.empty()) signature.front() ^= 1;
}

void Misbehaviour::change_page(std::string& html) const {
    if (does(Kind::wrong_page)) html += "<p>a lie</p>";
}

std::optional<Bytes> Misbehaviour::garbage() {
    if (!does(Kind::garbage) || !prng_.chance(100)) return std::nullopt;
    Bytes bytes(prng_.between(1, 300));
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(prng_.next());
    return bytes;
}

}  // namespace bft::host
