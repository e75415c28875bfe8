#include "wire/json.hpp"

#include "base/base64url.hpp"
#include "wire/codec.hpp"
#include "wire/limits.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include <array>
#include <charconv>
#include <limits>
#include <set>

namespace bft::wire {

namespace json = boost::json;
using consensus::Outcome;
using consensus::Receipt;
using consensus::Rejected;
using consensus::Reply;
using consensus::ReplySignature;
using consensus::Request;

namespace {

constexpr std::size_t signatures_max = 64;
constexpr std::size_t html_bytes_max = 4 * 1024 * 1024;

/// Reads the members of one object; the first thing that is wrong stays.
class Reader {
public:
    explicit Reader(const json::value& value) : object_(value.if_object()) {
        if (object_ == nullptr) fail("an object is expected");
    }
    Reader(const json::object& parent, std::string_view name) {
        const json::value* value = parent.if_contains(name);
        object_ = value == nullptr ? nullptr : value->if_object();
        if (object_ == nullptr) fail("'" + std::string(name) + "' must be an object");
    }

    [[nodiscard]] bool has(std::string_view name) {
        return object_ != nullptr && object_->contains(name);
    }
    [[nodiscard]] const json::object& object() const {
        static const json::object none;
        return object_ == nullptr ? none : *object_;
    }

    std::string text(std::string_view name, std::size_t max) {
        const json::value* value = find(name);
        const json::string* found = value == nullptr ? nullptr : value->if_string();
        if (found == nullptr || found->size() > max) {
            fail("'" + std::string(name) + "' must be a string of at most " + std::to_string(max) +
                 " bytes");
            return {};
        }
        return std::string(found->data(), found->size());
    }
    Bytes bytes(std::string_view name, std::size_t max) {
        auto decoded = from_base64url(text(name, (max * 4 + 2) / 3));
        if (!decoded || decoded->size() > max) {
            fail("'" + std::string(name) + "' must be base64url without padding");
            return {};
        }
        return std::move(*decoded);
    }
    Digest digest(std::string_view name) { return to_digest(text(name, 64), name); }
    std::uint64_t number64(std::string_view name) {
        auto number = number_from(text(name, 20));
        if (!number) fail("'" + std::string(name) + "' must be a decimal number in a string");
        return number.value_or(0);
    }
    std::uint32_t number32(std::string_view name,
                           std::uint32_t max = std::numeric_limits<std::uint32_t>::max()) {
        const json::value* value = find(name);
        std::uint64_t number = std::numeric_limits<std::uint64_t>::max();
        if (value != nullptr && value->is_int64() && value->get_int64() >= 0)
            number = static_cast<std::uint64_t>(value->get_int64());
        if (value != nullptr && value->is_uint64()) number = value->get_uint64();
        if (number > max) {
            fail("'" + std::string(name) + "' must be a number from 0 to " + std::to_string(max));
            return 0;
        }
        return static_cast<std::uint32_t>(number);
    }
    std::vector<Digest> digests(std::string_view name, std::size_t max) {
        const json::value* value = find(name);
        const json::array* list = value == nullptr ? nullptr : value->if_array();
        std::vector<Digest> digests;
        if (list == nullptr || list->size() > max) {
            fail("'" + std::string(name) + "' must be a list of at most " + std::to_string(max));
            return digests;
        }
        for (const json::value& one : *list) {
            const json::string* found = one.if_string();
            digests.push_back(to_digest(
                found == nullptr ? std::string() : std::string(found->data(), found->size()),
                name));
        }
        return digests;
    }
    /// Every member must have been asked for: a misspelt one would silently mean nothing.
    void only(std::initializer_list<std::string_view> names) {
        const std::set<std::string_view> known(names);
        for (const auto& member : object())
            if (!known.contains({member.key().data(), member.key().size()}))
                fail("'" + std::string(member.key()).substr(0, 64) + "' is not known here");
    }

    void fail(std::string what) {
        if (why_.empty()) why_ = std::move(what);
    }
    [[nodiscard]] const std::string& why() const { return why_; }

private:
    const json::value* find(std::string_view name) {
        return object_ == nullptr ? nullptr : object_->if_contains(name);
    }
    Digest to_digest(const std::string& text, std::string_view name) {
        auto bytes = from_hex(text);
        auto digest = bytes ? Digest::from(*bytes) : std::nullopt;
        if (!digest) fail("'" + std::string(name) + "' must be 64 hexadecimal digits");
        return digest.value_or(Digest{});
    }

    const json::object* object_ = nullptr;
    std::string why_;
};

json::array to_json(const std::vector<Digest>& digests) {
    json::array list;
    for (const Digest& digest : digests) list.emplace_back(hex(digest));
    return list;
}

ReplySignature read_signature(Reader& in) {
    ReplySignature signature;
    signature.signature = in.bytes("signature", signature_bytes_max);
    signature.bundle_index = in.number32("bundle_index");
    signature.bundle_count = in.number32("bundle_count");
    signature.bundle_path = in.digests("bundle_path", path_length_max);
    return signature;
}

constexpr std::array outcomes{Outcome::ok, Outcome::aborted, Outcome::duplicate};

Error malformed(const std::string& what) {
    return error(Errc::malformed, what);
}

void read_transaction(Reader& in, Receipt& receipt) {
    Reply& reply = receipt.answer;
    reply.answer.rid = {ClientId(in.number64("client")), PartitionId(in.number32("home")),
                        ClientSeq(in.number64("cseq"))};
    reply.slot = Slot(in.number64("slot"));
    reply.answer.index = in.number32("index");
    reply.rd = in.digest("rd");
    reply.ts_ms = in.number64("ts_ms");
    std::string outcome = in.text("outcome", 16);
    bool known = false;
    for (Outcome candidate : outcomes)
        if (outcome == name_of(candidate)) {
            reply.answer.outcome = candidate;
            known = true;
        }
    if (!known) in.fail("'outcome' must be ok, aborted or duplicate");
    reply.answer.code = in.number32("code");
    reply.answer.rdig = in.digest("rdig");
    if (in.has("page")) receipt.page = in.digest("page");
}

}  // namespace

std::optional<std::uint64_t> number_from(std::string_view text) {
    std::uint64_t number = 0;
    auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc() || end != text.data() + text.size() ||
        (text.size() > 1 && text.front() == '0'))
        return std::nullopt;
    return number;
}

const char* name_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::ok:
            return "ok";
        case Outcome::aborted:
            return "aborted";
        case Outcome::duplicate:
            return "duplicate";
    }
    return "?";
}

const char* name_of(Rejected::Reason reason) {
    switch (reason) {
        case Rejected::Reason::malformed:
            return "malformed";
        case Rejected::Reason::unknown_partition:
            return "unknown_partition";
        case Rejected::Reason::unknown_procedure:
            return "unknown_procedure";
        case Rejected::Reason::bad_arguments:
            return "bad_arguments";
        case Rejected::Reason::wrong_partitions:
            return "wrong_partitions";
        case Rejected::Reason::bad_signature:
            return "bad_signature";
        case Rejected::Reason::over_quota:
            return "over_quota";
        case Rejected::Reason::stale:
            return "stale";
        case Rejected::Reason::not_a_client:
            return "not_a_client";
    }
    return "?";
}

Result<consensus::Body> request_from_json(const json::value& value) {
    Reader in(value);
    in.only({"raw", "signature", "bundle_index", "bundle_count", "bundle_path"});
    Bytes raw = in.bytes("raw", raw_bytes_max);
    Bytes signature = in.bytes("signature", signature_bytes_max);
    std::uint32_t index = in.has("bundle_index") ? in.number32("bundle_index") : 0;
    std::uint32_t count = in.has("bundle_count") ? in.number32("bundle_count") : 1;
    std::vector<Digest> path;
    if (in.has("bundle_path")) path = in.digests("bundle_path", path_length_max);
    if (!in.why().empty()) return malformed(in.why());
    auto request = decode_request(raw);
    if (!request) return request.error();
    request->signature = std::move(signature);
    request->bundle_index = index;
    request->bundle_count = count;
    request->bundle_path = std::move(path);
    return consensus::Body(std::make_shared<const Request>(std::move(*request)));
}

Result<std::vector<consensus::Body>> requests_from_json(std::string_view text, bool& list) {
    boost::system::error_code failure;
    json::parse_options options;
    options.max_depth = 8;
    json::value value =
        json::parse(json::string_view(text.data(), text.size()), failure, {}, options);
    if (failure) return malformed("this is not JSON: " + failure.message());
    std::vector<consensus::Body> requests;
    const json::object* object = value.if_object();
    list = object != nullptr && object->contains("transactions");
    if (!list) {
        auto request = request_from_json(value);
        if (!request) return request.error();
        requests.push_back(std::move(*request));
        return requests;
    }
    const json::array* entries = object->at("transactions").if_array();
    if (object->size() != 1 || entries == nullptr || entries->empty() ||
        entries->size() > requests_of_body_max)
        return malformed("'transactions' must be a list of 1 to " +
                         std::to_string(requests_of_body_max) + " requests, and stand alone");
    for (const json::value& entry : *entries) {
        auto request = request_from_json(entry);
        if (!request) return request.error();
        requests.push_back(std::move(*request));
    }
    return requests;
}

json::object request_to_json(const Request& request) {
    const consensus::RequestProof proof = consensus::proof_of(request);
    return {{"raw", base64url(request.raw)},
            {"signature", base64url(proof.signature)},
            {"bundle_index", request.bundle_index},
            {"bundle_count", request.bundle_count},
            {"bundle_path", to_json(proof.path)}};
}

json::object transaction_to_json(const Reply& reply, const Digest& page) {
    const consensus::ItemResult& answer = reply.answer;
    json::object out{
        {"client", std::to_string(answer.rid.client.value)},
        {"home", answer.rid.home.value},
        {"cseq", std::to_string(answer.rid.cseq.value)},
        {"slot", std::to_string(reply.slot.value)},
        {"index", answer.index},
        {"rd", hex(reply.rd)},
        {"ts_ms", std::to_string(reply.ts_ms)},
        {"outcome", name_of(answer.outcome)},
        {"code", answer.code},
        {"rdig", hex(answer.rdig)},
    };
    if (!page.is_zero()) out["page"] = hex(page);
    return out;
}

json::object signature_to_json(const ReplySignature& signature, std::string_view alg) {
    return {{"alg", alg},
            {"signature", base64url(signature.signature)},
            {"bundle_index", signature.bundle_index},
            {"bundle_count", signature.bundle_count},
            {"bundle_path", to_json(signature.bundle_path)}};
}

json::object refusal_to_json(const Rejected& refusal, const Digest& rd) {
    return {{"client", std::to_string(refusal.rid.client.value)},
            {"home", refusal.rid.home.value},
            {"cseq", std::to_string(refusal.rid.cseq.value)},
            {"rd", hex(rd)},
            {"reason", name_of(refusal.reason)}};
}

json::object receipt_to_json(const Receipt& receipt) {
    json::object out{
        {"version", 1},
        {"cluster", hex(receipt.cluster)},
        {"group", receipt.answer.group.value},
        {"answer", transaction_to_json(receipt.answer, receipt.page)},
    };
    if (!receipt.request.empty()) out["request"] = base64url(receipt.request);
    if (receipt.answer.answer.has_result) out["result"] = base64url(receipt.answer.answer.result);
    if (receipt.html) out["html"] = *receipt.html;
    json::array signatures;
    for (const Receipt::Signed& one : receipt.signatures) {
        json::object entry = signature_to_json(one.signature, one.alg);
        entry["position"] = one.position.value;
        entry["host"] = one.host;
        signatures.emplace_back(std::move(entry));
    }
    out["signatures"] = std::move(signatures);
    return out;
}

Result<Receipt> receipt_from_json(std::string_view text) {
    boost::system::error_code failure;
    json::value value = json::parse(json::string_view(text.data(), text.size()), failure);
    if (failure) return malformed("this is not JSON: " + failure.message());
    Reader in(value);
    if (in.number32("version") != 1) in.fail("'version' must be 1");
    Receipt receipt;
    receipt.cluster = in.digest("cluster");
    receipt.answer.group = GroupId(in.number32("group"));
    if (in.has("request")) receipt.request = in.bytes("request", raw_bytes_max);
    if (in.has("result")) {
        receipt.answer.answer.result = in.bytes("result", message_limits.result_bytes);
        receipt.answer.answer.has_result = true;
    }
    if (in.has("html")) receipt.html = in.text("html", html_bytes_max);
    Reader answer(in.object(), "answer");
    read_transaction(answer, receipt);
    if (!in.why().empty()) return malformed(in.why());
    if (!answer.why().empty()) return malformed("'answer': " + answer.why());
    const json::value* list = in.object().if_contains("signatures");
    if (list == nullptr || !list->is_array() || list->get_array().size() > signatures_max)
        return malformed("'signatures' must be a list of at most " +
                         std::to_string(signatures_max));
    for (const json::value& one : list->get_array()) {
        Reader entry(one);
        Receipt::Signed signature{Position(entry.number32("position")), entry.text("host", 64),
                                  entry.text("alg", 16), read_signature(entry)};
        if (!entry.why().empty()) return malformed("'signatures': " + entry.why());
        receipt.signatures.push_back(std::move(signature));
    }
    return receipt;
}

}  // namespace bft::wire
