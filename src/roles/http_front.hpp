// The HTTP side of a host's replicas (docs/openapi.yaml): signed requests in, this host's signed
// answers out, commit events, pages, and how the host is doing.
#pragma once

#include "catalog/application.hpp"
#include "crypto/signing_key.hpp"
#include "crypto/web_key.hpp"
#include "host/reply_signer.hpp"
#include "http/server.hpp"
#include "roles/role.hpp"

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace bft::roles {

struct HttpFrontOptions {
    std::string listen;                 ///< "host:port"
    std::filesystem::path certificate;  ///< PEM; empty: plain HTTP
    std::filesystem::path key;
    std::filesystem::path site;  ///< folder that is served as it is; empty: none
    http::ServerOptions server;
    Duration answer_timeout = 30s;      ///< for a transaction; then 504
    std::uint32_t waiting_max = 16384;  ///< requests that wait for their answers, in all
};

/// What the front shows and does not know itself.
struct HttpFrontSources {
    std::string host;  ///< name
    HostId self{};
    std::string manifest;                    ///< JSON
    std::function<std::string()> status;     ///< JSON
    std::function<std::string()> not_ready;  ///< why; empty: it can serve
    std::function<std::string()> metrics;
    /// Who owns a partition now, as far as this host knows.
    std::function<std::optional<GroupId>(PartitionId)> owner;
};

class HttpFront {
public:
    /// `web_key` may be null: then nobody gets P-256 signatures. Errors say what the operator does.
    static Result<std::unique_ptr<HttpFront>> create(Environment& environment,
                                                     const catalog::Application& application,
                                                     const crypto::SigningKey& key,
                                                     std::unique_ptr<crypto::WebKey> web_key,
                                                     HttpFrontOptions options,
                                                     HttpFrontSources sources);
    ~HttpFront();

    /// When the roles have started.
    Result<void> start();
    [[nodiscard]] boost::json::object report() const;

private:
    enum class Alg : std::uint8_t { ed25519, p256 };
    struct Asked;
    struct Waiter {
        std::shared_ptr<Asked> asked;
        std::size_t entry = 0;
        consensus::Body body;
        GroupId group{};
        Position position{};
        TimePoint deadline{};
    };
    using Waiters = std::multimap<consensus::RequestId, Waiter>;
    struct Subscriber {
        std::shared_ptr<http::Stream> stream;
        std::optional<ClientId> client;
        std::optional<GroupId> group;
        bool with_signature = false;
        Alg alg = Alg::ed25519;
    };
    struct Committed {
        ClientId client{};
        Digest leaf;
        std::string text;  ///< JSON
    };

    HttpFront(Environment& environment, const catalog::Application& application,
              const crypto::SigningKey& key, std::unique_ptr<crypto::WebKey> web_key,
              HttpFrontOptions options, HttpFrontSources sources);
    Result<void> open();
    void add_routes();

    void post_transactions(http::Request request, const http::Respond& respond);
    void post_page(http::Request request, const http::Respond& respond);
    /// Hands one request in; what is wrong with it at once.
    std::optional<http::Response> ask(const consensus::Body& body,
                                      const std::shared_ptr<Asked>& asked, std::size_t entry);
    std::optional<http::Response> hand_in(const consensus::Body& body,
                                          host::Exchange::Submission then);
    /// This host's replica of a group.
    [[nodiscard]] std::optional<Position> position_in(const consensus::Group& group) const;
    [[nodiscard]] std::optional<consensus::Endpoint> replica_for(PartitionId home) const;
    void pass_on(const consensus::Endpoint& replica, const consensus::Body& body);
    [[nodiscard]] std::optional<Alg> alg_of(const http::Request& request) const;

    void answered(const consensus::Endpoint& self, const consensus::Reply& reply);
    bool tapped(const consensus::Endpoint& from, const consensus::Payload& payload);
    bool serve_waiters(const consensus::Reply& reply);
    void serve(const Waiter& waiter, const consensus::Reply& reply);
    void refuse(const Waiter& waiter, const consensus::Rejected& refusal);
    std::optional<std::string> render(const Waiter& waiter, const consensus::Reply& reply);
    void give_up(TimePoint now);
    void tick();

    std::variant<http::Response, http::Server::Opened> open_events(const http::Request& request);
    void send_events();
    void send_events(GroupId group, Position position, const std::vector<Committed>& batch);
    std::shared_ptr<const std::string> event_text(GroupId group, Position position,
                                                  const std::vector<const Committed*>& some,
                                                  const Subscriber& to);
    [[nodiscard]] boost::json::object speaker(GroupId group, Position position) const;
    [[nodiscard]] boost::json::array pages() const;
    host::ReplySigner& signer(Alg alg) { return alg == Alg::p256 ? *web_signer_ : signer_; }

    Environment& environment_;
    const catalog::Application& application_;
    HttpFrontOptions options_;
    HttpFrontSources sources_;
    std::unique_ptr<crypto::WebKey> web_key_;
    host::ReplySigner signer_;
    std::optional<host::ReplySigner> web_signer_;
    std::unique_ptr<boost::asio::ssl::context> tls_;
    Waiters waiters_;
    /// In order of time; entries outlive their waiters, and then mean nothing.
    std::deque<std::pair<TimePoint, consensus::RequestId>> deadlines_;
    std::map<std::uint64_t, Subscriber> subscribers_;
    std::uint64_t next_subscriber_ = 1;
    std::map<GroupId, std::vector<Committed>> committed_;
    bool events_posted_ = false;
    boost::asio::steady_timer ticker_;
    TimePoint heartbeat_at_{};
    TimePoint status_at_{};
    std::string status_;
    std::uint64_t transactions_ = 0, answers_ = 0, refusals_ = 0, unanswered_ = 0, events_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    std::unique_ptr<http::Server> server_;  // last: its handlers use what is above
};

}  // namespace bft::roles
