// What callers of the gateway that repeat themselves are answered: one call for each key, however
// often it is asked (docs/http.md, "Gateway").
#pragma once

#include "base/ids.hpp"
#include "base/time.hpp"
#include "http/message.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace bft::roles {

class Idempotency {
public:
    struct Limits {
        std::size_t keys = 16384;  ///< remembered; those whose call is under way are never dropped
        std::size_t bytes = 64 * 1024 * 1024;  ///< of remembered answers
        std::size_t waiting = 16;              ///< callers that wait for one call
    };
    explicit Idempotency(Limits limits) : limits_(limits) {}

    /// 1 to 255 visible ASCII characters.
    static bool valid(std::string_view key);

    enum class Asked : std::uint8_t {
        fresh,     ///< not known: make the call, then finish() or forget() it
        joined,    ///< its call is under way
        known,     ///< it was answered at once
        mismatch,  ///< the key stands for another call
        full,      ///< too many calls are under way, or too many wait for this one
    };
    /// `call`: what is called, with its arguments. fresh and joined: `respond` is kept until
    /// finish() or give_up(), the latter from `until` on.
    Asked ask(const std::string& key, const Digest& call, const http::Respond& respond,
              TimePoint until);
    /// Answers everybody who waits, and whoever comes later.
    void finish(const std::string& key, const http::Response& response);
    /// Nothing was sent: answers everybody who waits, and the key is as it never was.
    void forget(const std::string& key, const http::Response& response);
    /// Answers those who have waited long enough; their call goes on, and their key leads to it.
    void give_up(TimePoint now, const http::Response& response);

    [[nodiscard]] std::size_t under_way() const { return under_way_.size(); }
    [[nodiscard]] std::size_t remembered() const { return finished_.size(); }
    [[nodiscard]] std::uint64_t repeated() const { return repeated_; }

private:
    struct Waiting {
        http::Respond respond;
        TimePoint until{};
    };
    struct Entry {
        Digest call;
        std::vector<Waiting> waiting;
        std::optional<http::Response> answer;
    };
    static void respond_to(std::vector<Waiting> waiting, const http::Response& response);
    void shrink();

    Limits limits_;
    std::map<std::string, Entry, std::less<>> entries_;
    std::set<std::string, std::less<>> under_way_;
    std::deque<std::string> finished_;  ///< oldest first
    std::size_t bytes_ = 0;
    std::uint64_t repeated_ = 0;
};

}  // namespace bft::roles
