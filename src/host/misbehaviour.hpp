// Lies for integration tests, told at the seam where messages leave (bftnode --insecure-misbehave).
// The engines stay correct: what a peer sees is a Byzantine host.
#pragma once

#include "base/bytes.hpp"
#include "base/prng.hpp"
#include "base/result.hpp"
#include "consensus/engine.hpp"

#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace bft::host {

class Misbehaviour {
public:
    /// "wrong-commit,wrong-commit-db,wrong-result,wrong-reply,wrong-page,forged-signature,silence,
    /// garbage"
    static Result<Misbehaviour> parse(std::string_view comma_separated);

    Misbehaviour() : prng_(0) {}

    [[nodiscard]] bool any() const { return !kinds_.empty(); }
    [[nodiscard]] std::string text() const;

    /// What leaves instead of `send`; nullopt: nothing.
    [[nodiscard]] std::optional<consensus::Payload> change(const consensus::Payload& payload);
    /// Bytes to send before this message; often none.
    [[nodiscard]] std::optional<Bytes> garbage();
    /// Spoils the signature of an answer.
    void change_signature(Bytes& signature) const;
    /// Spoils a page.
    void change_page(std::string& html) const;

private:
    enum class Kind {
        wrong_commit,
        wrong_commit_db,
        wrong_result,
        wrong_reply,
        wrong_page,
        forged_signature,
        silence,
        garbage,
    };

    [[nodiscard]] bool does(Kind kind) const { return kinds_.contains(kind); }

    std::set<Kind> kinds_;
    Prng prng_;
};

}  // namespace bft::host
