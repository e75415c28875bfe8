// A host that is not in the cluster file: waits until the order has made it a member, and learns
// from the members' own signatures who takes part by now (docs/adr/0025). What it has learnt is on
// disk, so the next start asks nobody.
#pragma once

#include "consensus/configuration.hpp"
#include "host/clock.hpp"
#include "net/links.hpp"
#include "node/join_file.hpp"
#include "node/members.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>

#include <filesystem>
#include <map>
#include <memory>
#include <vector>

namespace bft::node {

class Newcomer {
public:
    /// `chain` is the file of what was learnt. The references must outlive this.
    Newcomer(boost::asio::io_context& loop, boost::asio::ssl::context& tls, Members& members,
             consensus::SignatureChecker& checker, Bytes own_key, std::filesystem::path chain);
    ~Newcomer();

    /// Takes up what earlier runs have learnt, and proves it anew.
    Result<void> load();
    /// Dials the members until wait is over. They refuse us until we are one of them.
    Result<void> dial();
    void hang_up() { links_.reset(); }

    /// The order has given this host something to do.
    [[nodiscard]] bool is_member() const;
    /// From the one after the cluster file's on: what engines of this host begin with.
    [[nodiscard]] const std::vector<consensus::BarrierCertPtr>& barriers() const {
        return barriers_;
    }
    /// What a disk would not take; the daemon must end.
    [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }

private:
    void on_frame(ByteView key, const Bytes& frame);
    void ask(ByteView key, const consensus::Message& heard);
    /// True: it is the next one, and it is signed by those who could.
    bool take(const consensus::Message& message);
    [[nodiscard]] Result<void> save() const;

    host::SystemClock clock_;
    boost::asio::io_context& loop_;
    boost::asio::ssl::context& tls_;
    Members& members_;
    consensus::SignatureChecker& checker_;
    Bytes own_key_;
    std::filesystem::path file_;
    std::shared_ptr<const host::Directory> directory_;
    consensus::ConfigHistory history_;
    std::vector<consensus::BarrierCertPtr> barriers_;
    std::map<Bytes, TimePoint> asked_;  ///< by the peer's key
    std::optional<Error> failure_;
    std::unique_ptr<net::Links> links_;
};

}  // namespace bft::node
