// Brings changes of the configuration to a cluster and follows what becomes of them (protocol.md
// 3.16): over a client's links, on the calling thread.
#pragma once

#include "client/hosts.hpp"
#include "client/key_checker.hpp"
#include "consensus/config_change.hpp"
#include "crypto/signing_key.hpp"
#include "net/links.hpp"

#include <boost/asio/io_context.hpp>

#include <memory>
#include <set>
#include <string>

namespace bft::client {

[[nodiscard]] Result<std::vector<crypto::SigningKey>> load_keys(
    const std::vector<std::string>& files);

/// `change`, signed by `keys`; `admins` are those in force. Errc::refused: a key that is not an
/// admin's, or too few of them.
[[nodiscard]] Result<consensus::Body> sign_change(const Digest& cluster,
                                                  const consensus::AdminKeys& admins,
                                                  consensus::ConfigChange change,
                                                  const std::vector<crypto::SigningKey>& keys);

class Admin {
public:
    /// As the client of `config`, with its key. Connects in the background.
    static Result<std::unique_ptr<Admin>> open(Config config);
    /// By somebody who has the cluster file, and so knows the voters, too.
    static Result<std::unique_ptr<Admin>> open(Config config, consensus::Membership membership);
    ~Admin();

    /// What f+1 replicas of the coordinators' group have in force. Errc::unavailable: they did not
    /// say so in time.
    [[nodiscard]] Result<consensus::Configuration> current(Duration patience);

    /// Has `request` ordered. Its barrier, when it is in force; Errc::refused: it was turned down,
    /// or another change came first; Errc::unavailable: not in time, so it may still come into
    /// force.
    [[nodiscard]] Result<consensus::BarrierCertPtr> order(const consensus::Body& request,
                                                          Duration patience);

    /// The highest feature level that each active replica and each primary says that its program
    /// knows; those who did not say so in time are absent.
    [[nodiscard]] std::map<consensus::Endpoint, std::uint64_t> features(Duration patience);
    /// Of whom features() should speak.
    [[nodiscard]] std::vector<consensus::Endpoint> members() const;
    /// Which of `members` follow the newest configuration and have caught up with it. Ends as soon
    /// as all of them do.
    [[nodiscard]] std::set<consensus::Endpoint> caught_up(
        const std::vector<consensus::Endpoint>& members, Duration patience);

    /// Hosts that are linked.
    [[nodiscard]] std::size_t connected() const { return up_.size(); }

private:
    Admin(Config config, consensus::Membership membership,
          std::unique_ptr<boost::asio::ssl::context> tls);

    void on_frame(ByteView key, const Bytes& frame);
    void send(const std::vector<consensus::Endpoint>& to, const consensus::Payload& payload);
    void ask();
    void note(const consensus::Message& message);
    [[nodiscard]] std::size_t coordinators_up_to_date() const;
    template <class Condition>
    bool wait(Duration patience, const std::function<void()>& again, Condition condition);

    Config config_;
    Hosts hosts_;
    const consensus::Membership& membership_ = hosts_.membership();
    KeyChecker checker_;
    consensus::Verifier verifier_{membership_, checker_};
    consensus::ConfigHistory history_;
    std::set<Bytes> up_;
    /// Who knows nothing newer than we do, and has delivered that.
    std::set<consensus::Endpoint> up_to_date_;
    std::map<Position, std::string> refusals_;
    std::map<consensus::Endpoint, std::uint64_t> features_;
    boost::asio::io_context io_;
    std::unique_ptr<boost::asio::ssl::context> tls_;
    std::unique_ptr<net::Links> links_;
};

}  // namespace bft::client
