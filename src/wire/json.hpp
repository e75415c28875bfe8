// Requests, answers, refusals and receipts as JSON (docs/openapi.yaml), between the plain structs
// and Boost.JSON's values. What comes from outside is bounded here, as in codec.hpp.
#pragma once

#include "base/result.hpp"
#include "consensus/messages.hpp"
#include "consensus/receipt.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <string_view>

namespace bft::wire {

/// A signed request; its rd and fields are computed from its raw bytes.
[[nodiscard]] Result<consensus::Body> request_from_json(const boost::json::value& value);
/// A whole body: one request, or a list of them under "transactions" and nothing else; `list` says
/// which it was.
[[nodiscard]] Result<std::vector<consensus::Body>> requests_from_json(std::string_view text,
                                                                      bool& list);
inline constexpr std::size_t requests_of_body_max = 256;
[[nodiscard]] boost::json::object request_to_json(const consensus::Request& request);

/// What replicas say equally (Transaction). `page` is left out when it is zero.
[[nodiscard]] boost::json::object transaction_to_json(const consensus::Reply& reply,
                                                      const Digest& page);
/// `alg` is "ed25519" or "p256".
[[nodiscard]] boost::json::object signature_to_json(const consensus::ReplySignature& signature,
                                                    std::string_view alg);
[[nodiscard]] boost::json::object refusal_to_json(const consensus::Rejected& refusal,
                                                  const Digest& rd);

[[nodiscard]] boost::json::object receipt_to_json(const consensus::Receipt& receipt);
[[nodiscard]] Result<consensus::Receipt> receipt_from_json(std::string_view text);

[[nodiscard]] const char* name_of(consensus::Outcome outcome);
[[nodiscard]] const char* name_of(consensus::Rejected::Reason reason);
/// A decimal string, as 64-bit integers travel in JSON; nullopt for anything else.
[[nodiscard]] std::optional<std::uint64_t> number_from(std::string_view text);

}  // namespace bft::wire
