// Several Links on one io_context, on 127.0.0.1 and ports that the system chooses.
#pragma once

#include "crypto/tls.hpp"
#include "net/links.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace bft::net {

inline std::shared_ptr<const Bytes> frame(std::string_view text) {
    return std::make_shared<const Bytes>(to_bytes(as_bytes(text)));
}

inline std::string address(std::uint16_t port) {
    return "127.0.0.1:" + std::to_string(port);
}

/// One process's end: a key, a TLS context, Links, and what it was told.
struct Node {
    Node(boost::asio::io_context& io, LinkOptions options = {},
         crypto::SigningKey signing_key = crypto::SigningKey::generate())
        : key(std::move(signing_key)), tls(*crypto::make_tls_context(key)) {
        LinkCallbacks callbacks;
        callbacks.allowed = [this](ByteView who) { return allowed.contains(to_bytes(who)); };
        callbacks.on_frame = [this](ByteView who, Bytes bytes) {
            frames.emplace_back(to_bytes(who), std::string(as_text(bytes)));
            if (on_frame) on_frame(who);
        };
        callbacks.on_up = [this](ByteView who) { ups.push_back(to_bytes(who)); };
        callbacks.on_down = [this](ByteView who, std::string_view reason) {
            downs.emplace_back(to_bytes(who), std::string(reason));
        };
        links = std::make_unique<Links>(io, *tls, std::move(options), std::move(callbacks));
    }

    [[nodiscard]] const Bytes& id() const { return key.public_key(); }
    [[nodiscard]] bool up(const Node& other) const { return links->is_up(other.id()); }
    bool send(const Node& to, std::string_view text) { return links->send(to.id(), frame(text)); }
    [[nodiscard]] std::size_t count(std::string_view text) const {
        return static_cast<std::size_t>(
            std::ranges::count_if(frames, [&](const auto& f) { return f.second == text; }));
    }

    crypto::SigningKey key;
    std::unique_ptr<boost::asio::ssl::context> tls;
    std::set<Bytes> allowed;
    std::vector<std::pair<Bytes, std::string>> frames;
    std::vector<Bytes> ups;
    std::vector<std::pair<Bytes, std::string>> downs;
    std::function<void(ByteView)> on_frame;
    std::unique_ptr<Links> links;
};

class LinksFixture : public testing::Test {
protected:
    /// Runs the loop until `holds`; false after ten seconds.
    template <class Condition>
    bool run_until(Condition holds) {
        auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (!holds()) {
            if (std::chrono::steady_clock::now() > deadline) return false;
            if (io_.stopped()) io_.restart();
            io_.run_one_for(std::chrono::milliseconds(20));
        }
        return true;
    }

    /// Everything that is ready now.
    void drain() {
        io_.restart();
        io_.poll();
    }

    static std::uint16_t listen(Node& node) {
        auto port = node.links->listen("127.0.0.1:0");
        EXPECT_TRUE(port.has_value()) << port.error().what;
        return port ? *port : 0;
    }

    boost::asio::io_context io_{1};
};

}  // namespace bft::net
